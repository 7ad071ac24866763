# COCO 2017 keypoints (labeled source) to MPII (target).
_base_ = [
    '../sets/coco.py',
    '../sets/mpii.py',
    '../sets/limb_joints.py',
]

# The joint definition is MPII's. COCO's pelvis and thorax are midpoints. It lacks the
# head top and the upper neck, whose weight is 0.
joints = 'MpiiDataset'
source = dict(joint_map=_base_.coco_midpoints, **_base_.coco_train)
target = _base_.mpii_train
target_val = _base_.mpii_val
target_evaluator = dict(type='SharedJointsMpiiPCK', joints=_base_.limb_joints)
target_metric = 'PCKh@0.5 (12 joints)'

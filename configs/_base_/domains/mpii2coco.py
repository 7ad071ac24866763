# MPII (labeled source) to COCO 2017 keypoints (target).
_base_ = [
    '../sets/coco.py',
    '../sets/mpii.py',
    '../sets/limb_joints.py',
]

# The joint definition is MPII's. COCO's pelvis and thorax are midpoints. It lacks the
# head top and the upper neck, and MPII lacks the face.
joints = 'MpiiDataset'
source = _base_.mpii_train
target = dict(joint_map=_base_.coco_midpoints, **_base_.coco_train)
target_val = _base_.coco_val
target_evaluator = dict(
    type='SharedJointsCocoMetric', joints=_base_.limb_joints, pred_joints=joints)
target_metric = 'coco (12 joints)/AP'

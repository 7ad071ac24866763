# The embedded pair: rendered people in a studio (labeled source) to the same kind of
# people on a street (target). `python tools/render_domains.py` writes both.
_base_ = [
    '../sets/coco.py',
    '../sets/mpii.py',
    '../sets/limb_joints.py',
]

synthetic_root = '{{$MMPOSE_DA_DATA:data}}/synthetic/'

# As in COCO to MPII: the sets have the same formats and joints.
joints = 'MpiiDataset'
source = dict(
    type='CocoDataset',
    data_root=synthetic_root + 'studio/',
    ann_file='annotations/person_keypoints_train.json',
    data_prefix=dict(img='images/'),
    joint_map=_base_.coco_midpoints)
target = dict(
    type='ZeroBasedMpiiDataset',
    data_root=synthetic_root + 'street/',
    ann_file='annotations/mpii_train.json',
    data_prefix=dict(img='images/'))
target_val = dict(
    type='ZeroBasedMpiiDataset',
    data_root=synthetic_root + 'street/',
    ann_file='annotations/mpii_val.json',
    headbox_file=synthetic_root + 'street/annotations/mpii_gt_val.mat',
    data_prefix=dict(img='images/'),
    test_mode=True)
target_evaluator = dict(type='SharedJointsMpiiPCK', joints=_base_.limb_joints)
target_metric = 'PCKh@0.5 (12 joints)'

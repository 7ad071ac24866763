# COCO 2017 keypoints (labelled source) to MPII (target).
domain_root = '{{$MMPOSE_DA_DATA:data}}/'

# The joint definition is MPII's. COCO's pelvis and thorax are midpoints; it has no head
# top and no upper neck, whose weight is 0.
joints = 'MpiiDataset'
shared_joints = [
    f'{side}_{part}' for part in ('ankle', 'knee', 'hip', 'wrist', 'elbow', 'shoulder')
    for side in ('right', 'left')
]

source = dict(
    type='CocoDataset',
    data_root=domain_root + 'coco/',
    ann_file='annotations/person_keypoints_train2017.json',
    data_prefix=dict(img='train2017/'),
    joint_map=dict(
        pelvis=('left_hip', 'right_hip'), thorax=('left_shoulder', 'right_shoulder')))
target = dict(
    type='MpiiDataset',
    data_root=domain_root + 'mpii/',
    ann_file='annotations/mpii_train.json',
    data_prefix=dict(img='images/'))
target_val = dict(
    type='MpiiDataset',
    data_root=domain_root + 'mpii/',
    ann_file='annotations/mpii_val.json',
    headbox_file=domain_root + 'mpii/annotations/mpii_gt_val.mat',
    data_prefix=dict(img='images/'),
    test_mode=True)
target_evaluator = dict(type='SharedJointsMpiiPCK', joints=shared_joints)

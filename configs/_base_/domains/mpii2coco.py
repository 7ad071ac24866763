# MPII (labelled source) to COCO 2017 keypoints (target).
domain_root = '{{$MMPOSE_DA_DATA:data}}/'

# The joint definition is MPII's. COCO's pelvis and thorax are midpoints; it has no head
# top and no upper neck, and MPII has no face.
joints = 'MpiiDataset'
shared_joints = [
    f'{side}_{part}' for part in ('ankle', 'knee', 'hip', 'wrist', 'elbow', 'shoulder')
    for side in ('right', 'left')
]

source = dict(
    type='MpiiDataset',
    data_root=domain_root + 'mpii/',
    ann_file='annotations/mpii_train.json',
    data_prefix=dict(img='images/'))
target = dict(
    type='CocoDataset',
    data_root=domain_root + 'coco/',
    ann_file='annotations/person_keypoints_train2017.json',
    data_prefix=dict(img='train2017/'),
    joint_map=dict(
        pelvis=('left_hip', 'right_hip'), thorax=('left_shoulder', 'right_shoulder')))
# With the annotated boxes; for those of a detector, give the dataset its bbox_file.
target_val = dict(
    type='CocoDataset',
    data_root=domain_root + 'coco/',
    ann_file='annotations/person_keypoints_val2017.json',
    data_prefix=dict(img='val2017/'),
    test_mode=True)
target_evaluator = dict(
    type='SharedJointsCocoMetric', joints=shared_joints, pred_joints=joints)

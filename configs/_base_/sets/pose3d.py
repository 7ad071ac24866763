# SURREAL and Human3.6M with 3D joints, in mm in the frame of the camera. The converters
# that write the 2D files write these as well; both have the joints of Human3.6M.
surreal3d_train = dict(
    type='Pose3dDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/surreal/',
    ann_file='annotations/surreal3d_train.json',
    data_prefix=dict(img='images/'))

# Protocol 1: trained on S1, S5, S6, S7, S8; tested on every 64th frame of S9, S11.
h36m3d_train = dict(
    type='Pose3dDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/h36m/',
    ann_file='annotations/h36m3d_train.json',
    data_prefix=dict(img='images/'))
h36m3d_test = dict(
    h36m3d_train, ann_file='annotations/h36m3d_test.json', test_mode=True)

# Joints of Human3.6M in sets with 2D joints alone, by the name in that set, or as
# midpoints.
h36m_from_mpii = dict(
    root='pelvis',
    right_foot='right_ankle',
    left_foot='left_ankle',
    spine=('pelvis', 'thorax'),
    neck_base='upper_neck',
    head='head_top')
h36m_from_crowdpose = dict(
    root=('left_hip', 'right_hip'),
    right_foot='right_ankle',
    left_foot='left_ankle',
    neck_base='neck',
    head='top_head')

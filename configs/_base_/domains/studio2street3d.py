# The embedded pair with 3D joints: rendered people in a studio (labeled source) to the
# same kind of people in a street (target), written by tools/render_domains.py.
synthetic_root = '{{$MMPOSE_DA_DATA:data}}/synthetic/'

joints = 'Pose3dDataset'
source = dict(
    type='Pose3dDataset',
    data_root=synthetic_root + 'studio/',
    ann_file='annotations/pose3d_train.json',
    data_prefix=dict(img='images/'))
target = dict(
    type='Pose3dDataset',
    data_root=synthetic_root + 'street/',
    ann_file='annotations/pose3d_train.json',
    data_prefix=dict(img='images/'))
target_val = dict(
    type='Pose3dDataset',
    data_root=synthetic_root + 'street/',
    ann_file='annotations/pose3d_val.json',
    data_prefix=dict(img='images/'),
    test_mode=True)
target_evaluator = [
    dict(type='CameraMPJPE', mode='mpjpe'),
    dict(type='CameraMPJPE', mode='p-mpjpe'),
]
target_metric = 'MPJPE'

# MPII Human Pose.
mpii_train = dict(
    type='ZeroBasedMpiiDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/mpii/',
    ann_file='annotations/mpii_train.json',
    data_prefix=dict(img='images/'))
mpii_val = dict(
    type='ZeroBasedMpiiDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/mpii/',
    ann_file='annotations/mpii_val.json',
    headbox_file='{{$MMPOSE_DA_DATA:data}}/mpii/annotations/mpii_gt_val.mat',
    data_prefix=dict(img='images/'),
    test_mode=True)

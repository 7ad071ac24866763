# CrowdPose, with MMPose's annotation files.
crowdpose_trainval = dict(
    type='CrowdPoseDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/crowdpose/',
    ann_file='annotations/mmpose_crowdpose_trainval.json',
    data_prefix=dict(img='images/'))
# With the annotated boxes; for detector boxes, set bbox_file of the dataset.
crowdpose_test = dict(
    type='CrowdPoseDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/crowdpose/',
    ann_file='annotations/mmpose_crowdpose_test.json',
    data_prefix=dict(img='images/'),
    test_mode=True)
crowdpose_test_evaluator = dict(
    type='CocoMetric',
    ann_file='{{$MMPOSE_DA_DATA:data}}/crowdpose/annotations/'
    'mmpose_crowdpose_test.json',
    use_area=False,
    iou_type='keypoints_crowd',
    prefix='crowdpose')

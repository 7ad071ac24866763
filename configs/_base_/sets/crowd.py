# Rendered crowds in the format of CrowdPose: several people an image, who overlap.
crowd_train = dict(
    type='CrowdPoseDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/synthetic/crowd/',
    ann_file='annotations/crowdpose_train.json',
    data_prefix=dict(img='images/'))
# With the annotated boxes.
crowd_val = dict(
    type='CrowdPoseDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/synthetic/crowd/',
    ann_file='annotations/crowdpose_val.json',
    data_prefix=dict(img='images/'),
    test_mode=True)
# CrowdPose's own: AP of all images, and of those with a low, medium, and high index.
crowd_evaluator = dict(
    type='CocoMetric',
    ann_file='{{$MMPOSE_DA_DATA:data}}/synthetic/crowd/annotations/crowdpose_val.json',
    use_area=False,
    iou_type='keypoints_crowd',
    prefix='crowdpose')
crowd_metric = 'crowdpose/AP'

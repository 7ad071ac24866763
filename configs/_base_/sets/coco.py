# COCO 2017 keypoints.
coco_train = dict(
    type='CocoDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/coco/',
    ann_file='annotations/person_keypoints_train2017.json',
    data_prefix=dict(img='train2017/'))
# With the annotated boxes; for detector boxes, set bbox_file of the dataset.
coco_val = dict(
    type='CocoDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/coco/',
    ann_file='annotations/person_keypoints_val2017.json',
    data_prefix=dict(img='val2017/'),
    test_mode=True)

# Joints of other sets, as midpoints of COCO's own.
coco_midpoints = dict(
    pelvis=('left_hip', 'right_hip'), thorax=('left_shoulder', 'right_shoulder'))

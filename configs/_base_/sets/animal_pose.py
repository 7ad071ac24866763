# Animal-Pose's sheep and dogs; `python tools/dataset_converters/animal_pose.py` writes
# the annotations. MMPose's own files do not name the animal.
animal_pose_train = dict(
    type='AnimalPoseDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/animal_pose/',
    ann_file='annotations/sheep_dog_train.json',
    data_prefix=dict(img='images/'))
animal_pose_val = dict(
    animal_pose_train, ann_file='annotations/sheep_dog_val.json', test_mode=True)

# FreiHAND; `python tools/dataset_converters/freihand.py` writes the annotations.
freihand_train = dict(
    type='BaseCocoStyleDataset',  # MMPose's own class uses whole images as boxes
    metainfo=dict(from_file='configs/_base_/datasets/freihand2d.py'),
    data_root='{{$MMPOSE_DA_DATA:data}}/freihand/',
    ann_file='annotations/freihand_hands_train.json',
    data_prefix=dict(img=''))
freihand_val = dict(
    freihand_train, ann_file='annotations/freihand_hands_val.json', test_mode=True)

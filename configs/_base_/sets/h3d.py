# Hand-3D-Studio as RegDA provides it; `python tools/dataset_converters/h3d.py` writes
# the annotations. Its joints are FreiHAND's; boxes are whole images.
h3d_train = dict(
    type='BaseCocoStyleDataset',
    metainfo=dict(from_file='configs/_base_/datasets/freihand2d.py'),
    data_root='{{$MMPOSE_DA_DATA:data}}/h3d/',
    ann_file='annotations/h3d_train.json',
    data_prefix=dict(img=''))
h3d_test = dict(h3d_train, ann_file='annotations/h3d_test.json', test_mode=True)

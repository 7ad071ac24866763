# Human3.6M in 2D; `python tools/dataset_converters/h36m.py` writes the annotations from
# MMPose's. Trained on S1, S5, S6, S7, S8; tested on S9, S11.
h36m_train = dict(
    type='BaseCocoStyleDataset',  # MMPose's own class reads sequences for 3D
    metainfo=dict(from_file='configs/_base_/datasets/h36m.py'),
    data_root='{{$MMPOSE_DA_DATA:data}}/h36m/',
    ann_file='annotations/h36m_train.json',
    data_prefix=dict(img='images/'))
h36m_test = dict(
    h36m_train, ann_file='annotations/h36m_test.json', test_mode=True)

# Rendered Handpose; `python tools/dataset_converters/rhd.py` writes the annotations,
# one per hand.
rhd_train = dict(
    type='Rhd2DDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/rhd/',
    ann_file='annotations/rhd_hands_train.json',
    data_prefix=dict(img=''))

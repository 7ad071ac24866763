# TigDog's horses and tigers; `python tools/dataset_converters/tigdog.py` writes the
# annotations.
tigdog_train = dict(
    type='TigDogDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/tigdog/',
    ann_file='annotations/tigdog_train.json',
    data_prefix=dict(img=''))
tigdog_val = dict(
    tigdog_train, ann_file='annotations/tigdog_val.json', test_mode=True)

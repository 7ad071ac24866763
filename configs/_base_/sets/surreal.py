# SURREAL; `python tools/dataset_converters/surreal.py` writes it.
surreal_train = dict(
    type='SurrealDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/surreal/',
    ann_file='annotations/surreal_train.json',
    data_prefix=dict(img='images/'))

# RegDA uses these as shoulders; by name, they are where the arms begin.
surreal_collars = dict(left_shoulder='left_collar', right_shoulder='right_collar')

# Synthetic animals of Mu et al., CVPR 2020, with TigDog's joints;
# `python tools/dataset_converters/synthetic_animals.py` writes the annotations.
synthetic_horse_tiger_train = dict(
    type='TigDogDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/synthetic_animals/',
    ann_file='annotations/horse_tiger_train.json',
    data_prefix=dict(img=''))
synthetic_sheep_hound_train = dict(
    synthetic_horse_tiger_train, ann_file='annotations/sheep_hound_train.json')

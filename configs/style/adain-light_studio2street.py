# The embedded pair at 64 px, each in the style of the other: the decoder of AdaINStyle,
# for the encoder of an autoencoder. Its decoder is where this one starts.
_base_ = './autoencoder_studio2street.py'

load_from = 'work_dirs/autoencoder_studio2street/iter_1500.pth'
model = dict(
    _delete_=True,
    type='AdaINTrainer',
    encoder=load_from,
    channels=_base_.light_channels,
    style_weight=10.0,
    data_preprocessor=_base_.model.data_preprocessor)

train_cfg = dict(max_iters=1500)

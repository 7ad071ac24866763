# Synthetic animals and TigDog, each in the style of the other: the decoder of
# AdaINStyle.
_base_ = [
    '../_base_/models/adain.py',
    '../_base_/domains/synthanimal2tigdog.py',
]

train_dataloader = dict(
    dataset=dict(
        joints=_base_.joints, source=_base_.source, target=_base_.target))

# SURREAL to Human3.6M in 3D, ResNet-50, source only (direct transfer): the pretrain
# stage of Zhang et al., Sec. 4.2, from which the adapted rows start. It is also the row
# "Ours (Only Source)" of Table 1.
_base_ = [
    '../_base_/models/res50_marginal.py',
    '../_base_/domains/surreal2h36m3d.py',
]

model = dict(joints=_base_.joints)

train_dataloader = dict(
    dataset=dict(joints=_base_.joints, source=_base_.source))
val_dataloader = dict(
    dataset=dict(
        _delete_=True, pipeline=_base_.val_pipeline, **_base_.target_val))
test_dataloader = val_dataloader
val_evaluator = _base_.target_evaluator
test_evaluator = val_evaluator

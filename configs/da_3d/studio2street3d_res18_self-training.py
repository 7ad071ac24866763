# The embedded pair in 3D, self-training without alignment: rounds of labeling, ranking,
# and training, with the budget of the other rows. `python tools/self_train.py` runs it.
_base_ = [
    './studio2street3d_res18_source-only.py',
    '../_base_/methods/self_training_3d.py',
]

self_training = dict(rounds=4, **_base_.policy_60, labeling=_base_.ensemble)

train_dataloader = dict(
    batch_sampler=dict(
        samples_per_domain=dict(source=16, target_pseudo=16, target_unlabeled=0)),
    dataset=dict(target=_base_.target))
train_cfg = dict(max_iters=125, val_interval=125)

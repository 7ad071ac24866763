# SURREAL to Human3.6M in 3D, ResNet-50, self-training without alignment: the adaptation
# stage of Zhang et al., Sec. 4.2, for the row "Ours (w/o domain adaptation alignment)"
# of Table 1. `python tools/self_train.py` runs it.
_base_ = [
    './surreal2h36m3d_res50_pretrain.py',
    '../_base_/methods/self_training_3d.py',
]

load_from = 'work_dirs/surreal2h36m3d_res50_pretrain/epoch_150.pth'

# Sec. 4.2: 20 rounds. Table 2: 60 % of the people first, then 5 % more in each round,
# up to 99 %, is the policy with the errors of Table 1.
self_training = dict(rounds=20, **_base_.policy_60, labeling=_base_.ensemble)

# Eq. 1: alpha is 0.05 and beta 0.1, which is 2 alpha.
model = dict(head=dict(loss=dict(loss_weight=0.05)), pseudo_loss_weight=2.0)

# Sec. 4.2: a batch size of 8, which may count one domain or both; here, 8 of each. Each
# round has 2 epochs, which may be of either domain; here, of the people it trains on.
train_dataloader = dict(
    batch_size=16,
    batch_sampler=dict(
        samples_per_domain=dict(
            _delete_=True, source=8, target_pseudo=8, target_unlabeled=0),
        epoch_domain='target_pseudo'),
    dataset=dict(target=_base_.target))
auto_scale_lr = dict(base_batch_size=16)
train_cfg = dict(max_epochs=2, val_interval=2)

# SURREAL to Human3.6M in 3D, ResNet-50, unsupervised: domain-adversarial training. The
# row "DANN" of Table 1 of Zhang et al., who do not say how they train it: here, with
# the settings and epochs of the adaptation stage.
_base_ = [
    './surreal2h36m3d_res50_pretrain.py',
    '../_base_/methods/feature_alignment.py',
]

load_from = 'work_dirs/surreal2h36m3d_res50_pretrain/epoch_150.pth'

# Sec. 4.2: alpha is 0.05 in the adaptation stage.
model = dict(
    head=dict(loss=dict(loss_weight=0.05)),
    adaptations=dict(dann=_base_.dann))

# 20 rounds of 2 epochs make 40 epochs of the target.
train_dataloader = dict(
    batch_size=16,
    batch_sampler=dict(
        samples_per_domain=dict(_delete_=True, source=8, target_unlabeled=8),
        epoch_domain='target_unlabeled'),
    dataset=dict(target=_base_.target))
auto_scale_lr = dict(base_batch_size=16)
train_cfg = dict(max_epochs=40)

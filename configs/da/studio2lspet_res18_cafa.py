# Studio to Leeds Sports Pose Extended, a small ResNet, unsupervised: CAFA alone.
_base_ = [
    './studio2lspet_res18_source-only.py',
    '../_base_/methods/human_level_shift.py',
]

model = dict(
    adaptations=dict(
        cafa=_base_.cafa))

train_dataloader = dict(
    batch_size=64,
    batch_sampler=dict(samples_per_domain=dict(target_unlabeled=32)),
    dataset=dict(target=_base_.target))

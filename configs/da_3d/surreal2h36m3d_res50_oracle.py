# SURREAL to Human3.6M in 3D, ResNet-50, oracle: trained on the target domain with all
# its labels. The row "Ours (Only Target)" of Table 1 of Zhang et al.
_base_ = './surreal2h36m3d_res50_pretrain.py'

model = dict(target_loss_weight=1.0)

train_dataloader = dict(
    batch_sampler=dict(
        samples_per_domain=dict(_delete_=True, target_labeled=32)),
    dataset=dict(source=None, target=_base_.target, labeled_target=dict(ratio=1.0)))

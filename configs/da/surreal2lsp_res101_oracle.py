# Leeds Sports Pose, ResNet-101, oracle: trained on the labels of LSP's training half,
# and evaluated on the other half alone.
_base_ = './surreal2lsp_res101_source-only.py'

model = dict(target_loss_weight=1.0)

train_dataloader = dict(
    batch_sampler=dict(
        samples_per_domain=dict(_delete_=True, target_labeled=32)),
    dataset=dict(
        source=None, target=_base_.lsp_train, labeled_target=dict(ratio=1.0)))
val_dataloader = dict(
    dataset=dict(
        _delete_=True, pipeline=_base_.val_pipeline, **_base_.lsp_test))
test_dataloader = val_dataloader

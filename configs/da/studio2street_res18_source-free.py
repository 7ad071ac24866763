# The embedded pair, a small ResNet, source-free: a mean teacher and information
# maximization on target images alone, from the source model.
_base_ = './studio2street_res18_mean-teacher-info-max.py'

# Without labels, only a slow teacher keeps what the source model knew.
model = dict(
    adaptations=dict(
        mean_teacher=dict(momentum=0.999, share=0.5, threshold=0.4)))

train_dataloader = dict(
    batch_sampler=dict(
        samples_per_domain=dict(_delete_=True, target_unlabeled=32)),
    dataset=dict(source=None))

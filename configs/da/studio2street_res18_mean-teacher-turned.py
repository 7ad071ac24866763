# The embedded pair, a small ResNet, unsupervised: the teacher of `best-turned` for the
# budget of the other rows, in which it teaches more joints, and from the start.
_base_ = './studio2street_res18_best-turned.py'

model = dict(
    adaptations=dict(
        mean_teacher=dict(share=0.4, threshold=0.0, rampup=None)))

train_cfg = dict(max_iters=500)

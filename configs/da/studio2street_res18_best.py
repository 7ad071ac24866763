# The embedded pair, a small ResNet, unsupervised: the recipe of this toolbox, a mean
# teacher with views for upright people, and three times the iterations of the others.
_base_ = './studio2street_res18_mean-teacher-weak.py'

train_cfg = dict(max_iters=1500)

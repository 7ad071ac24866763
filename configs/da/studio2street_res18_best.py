# The embedded pair, a small ResNet, unsupervised: the recipe of this toolbox, and three
# times the iterations of the others.
_base_ = './studio2street_res18_mean-teacher-patches.py'

train_cfg = dict(max_iters=1500)

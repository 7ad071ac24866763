# The embedded pair in 3D, self-training without alignment from AdaBN: the first labels
# are those of the source model with the batch-norm statistics of the target.
_base_ = './studio2street3d_res18_self-training.py'

load_from = 'work_dirs/studio2street3d_res18_adabn/iter_500.pth'

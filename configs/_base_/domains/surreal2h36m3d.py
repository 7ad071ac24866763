# SURREAL (labeled source) to Human3.6M (target), in 3D.
_base_ = '../sets/pose3d.py'

joints = 'Pose3dDataset'
source = _base_.surreal3d_train
# The boxes come from the joints; jitter hides the labels' extent.
target = dict(
    box_jitter=dict(shift=0.1, scale=0.2), **_base_.h36m3d_train)
target_val = _base_.h36m3d_test
# All 17 joints (Zhang et al., Sec. 4.3).
target_evaluator = [
    dict(type='CameraMPJPE', mode='mpjpe'),
    dict(type='CameraMPJPE', mode='p-mpjpe'),
]
target_metric = 'MPJPE'

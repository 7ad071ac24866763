# Rendered Handpose (labeled source) to Hand-3D-Studio (target).
_base_ = [
    '../sets/rhd.py',
    '../sets/h3d.py',
    '../sets/hand_joints.py',
]

# The joint definition is FreiHAND's, which H3D has. RHD has the same joints in a
# different order.
joints = 'FreiHandDataset'
source = _base_.rhd_train
# The boxes come from the joints; jitter hides the labels' extent.
target = dict(
    box_jitter=dict(shift=0.1, scale=0.2), **_base_.h3d_train)
target_val = _base_.h3d_test
target_evaluator = dict(type='SharedJointsPCK', thr=0.05, joints=_base_.hand_joints)
target_metric = 'PCK@0.05 (21 joints)'

# Rendered Handpose (labeled source) to FreiHAND (target).
_base_ = [
    '../sets/rhd.py',
    '../sets/freihand.py',
    '../sets/hand_joints.py',
]

# The joint definition is FreiHAND's. RHD has the same joints in a different order.
joints = 'FreiHandDataset'
source = _base_.rhd_train
target = _base_.freihand_train
target_val = _base_.freihand_val
target_evaluator = dict(type='SharedJointsPCK', thr=0.05, joints=_base_.hand_joints)
target_metric = 'PCK@0.05 (21 joints)'

# SURREAL (labeled source) to Leeds Sports Pose (target). As in RegDA, all of LSP is
# the unlabeled target and is evaluated.
_base_ = [
    '../sets/surreal.py',
    '../sets/lsp.py',
    '../sets/limb_joints.py',
]

# The joint definition is LSP's. SMPL has no head top, whose weight is 0. With
# joint_map=_base_.surreal_collars in the source, the shoulders are those of RegDA.
joints = 'LspDataset'
source = _base_.surreal_train
target = _base_.lsp_all
target_val = dict(test_mode=True, **_base_.lsp_all)
target_evaluator = dict(type='SharedJointsPCK', thr=0.05, joints=_base_.limb_joints)
target_metric = 'PCK@0.05 (12 joints)'

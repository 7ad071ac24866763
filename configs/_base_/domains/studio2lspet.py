# A studio set with COCO joints (labeled source) to Leeds Sports Pose Extended.
_base_ = '../sets/limb_joints.py'

domain_root = '{{$MMPOSE_DA_DATA:data}}/'

# The joint definition is LSP's. COCO has no head top, and LSP's neck is not a midpoint
# of its joints; the weight of both is 0.
joints = 'LspDataset'

source = dict(
    type='CocoDataset',
    data_root=domain_root + 'studio/',
    ann_file='annotations/studio_all.json',
    data_prefix=dict(img='images/'))
target = dict(
    type='LspDataset',
    data_root=domain_root + 'lspet/',
    ann_file='annotations/lspet_train.json',
    data_prefix=dict(img='images/'),
    # The boxes come from the joints; jitter hides the labels' extent.
    box_jitter=dict(shift=0.1, scale=0.2))
target_val = dict(
    type='LspDataset',
    data_root=domain_root + 'lspet/',
    ann_file='annotations/lspet_val.json',
    data_prefix=dict(img='images/'),
    test_mode=True)
target_evaluator = dict(type='SharedJointsPCK', thr=0.1, joints=_base_.limb_joints)
target_metric = 'PCK@0.1 (12 joints)'

# SURREAL (labeled source) to Human3.6M (target), in 2D.
_base_ = [
    '../sets/surreal.py',
    '../sets/h36m.py',
]

# The joint definition is Human3.6M's. Its feet are ankles, and its thorax is where
# SMPL's neck begins. SMPL lacks its spine and neck; their weight is 0.
joints = 'Human36mDataset'
source = dict(
    joint_map=dict(
        root='pelvis',
        thorax='neck',
        left_foot='left_ankle',
        right_foot='right_ankle'),
    **_base_.surreal_train)
# The boxes come from the joints; jitter hides the labels' extent.
target = dict(
    box_jitter=dict(shift=0.1, scale=0.2), **_base_.h36m_train)
target_val = _base_.h36m_test
target_evaluator = dict(
    type='SharedJointsPCK',
    thr=0.05,
    joints=[
        f'{side}_{part}'
        for part in ('foot', 'knee', 'hip', 'wrist', 'elbow', 'shoulder')
        for side in ('right', 'left')
    ])
target_metric = 'PCK@0.05 (12 joints)'

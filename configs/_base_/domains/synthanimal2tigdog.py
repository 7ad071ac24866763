# Synthetic horses and tigers (labeled source) to TigDog's (target).
_base_ = [
    '../sets/synthetic_animals.py',
    '../sets/tigdog.py',
]

# Both have TigDog's joints.
joints = 'TigDogDataset'
source = _base_.synthetic_horse_tiger_train
# The boxes come from the joints; jitter hides the labels' extent.
target = dict(
    box_jitter=dict(shift=0.1, scale=0.2), **_base_.tigdog_train)
target_val = _base_.tigdog_val
target_evaluator = dict(
    type='SharedJointsPCK',
    thr=0.05,
    joints=[
        'left_eye', 'right_eye', 'chin', 'tail_start', 'left_shoulder',
        'right_shoulder'
    ] + [
        f'{side}_{end}_{part}' for part in ('hoof', 'knee', 'elbow')
        for end in ('front', 'back') for side in ('left', 'right')
    ])
target_metric = 'PCK@0.05 (18 joints)'

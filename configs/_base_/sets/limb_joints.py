# The joints that all body sets have, by MMPose's names.
limb_joints = [
    f'{side}_{part}' for part in ('ankle', 'knee', 'hip', 'wrist', 'elbow', 'shoulder')
    for side in ('right', 'left')
]

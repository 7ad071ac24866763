# What tools/adapt.py builds a training config from: MMPose's runtime, that of this
# package, and the methods. The model, the data and the schedule are those of the job.
_base_ = [
    'mmpose::_base_/default_runtime.py',
    './runtime.py',
    './methods/best.py',
    './methods/uniframe.py',
    './methods/feature_alignment.py',
    './methods/human_level_shift.py',
]

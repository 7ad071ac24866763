# How a run trains, checks and saves. Whatever starts it (tools/train.py, MIM, or
# `Runner.from_cfg`), it can be killed at any moment and resumed with the same result.
custom_imports = dict(imports=['mmpose_da'])

# A log that starts with what matters; the full config goes to the work directory.
runner_type = 'ConciseLogRunner'

exact_epochs = dict(type='ExactEpochBasedTrainLoop')
exact_iters = dict(type='ExactIterBasedTrainLoop')

# Workers that end with their process, even if it is killed.
worker_init_fn = dict(type='end_with_parent')

# The last checkpoint counts: choosing one by target labels would not be unsupervised.
safe_checkpoints = dict(type='SafeCheckpointHook', save_best=None)
# Log metrics by iteration, like losses. Stop at a loss that is not finite, and at a
# checkpoint that does not fit the model.
checks = dict(
    logger=dict(type='LoggerHook', log_metric_by_epoch=False),
    non_finite=dict(type='NonFiniteHook'),
    checkpoint_match=dict(type='CheckpointMatchHook'))

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def model_of(runner: Runner) -> nn.Module:
    """A runner's model, without what distributed training wraps around it."""
    model = runner.model
    return model.module if is_model_wrapper(model) else model

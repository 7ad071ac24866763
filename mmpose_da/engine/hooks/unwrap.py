from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def model_of(runner: Runner) -> nn.Module:
    """Return the model of a runner without its distributed wrapper."""
    model = runner.model
    return model.module if is_model_wrapper(model) else model

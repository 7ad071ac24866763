from mmengine.model import BaseModel, is_model_wrapper
from mmengine.runner import Runner


def model_of(runner: Runner) -> BaseModel:
    """Return the model of a runner without its distributed wrapper."""
    model = runner.model
    return model.module if is_model_wrapper(model) else model

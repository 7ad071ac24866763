import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from .unwrap import model_of


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keeps the weights of convolutions in PyTorch's channels-last format.

    Convolutions then compute in this format, whatever the format of the images, with
    the same numbers up to rounding. This is usually faster on CPUs, and on GPUs with
    mixed precision.
    """

    def before_run(self, runner: Runner) -> None:
        model_of(runner).to(memory_format=torch.channels_last)

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import nn

from .unwrap import model_of


@HOOKS.register_module()
class CheckpointMatchHook(Hook):
    """Refuses a checkpoint that is not one of the model.

    MMEngine loads the weights whose name and shape fit, warns of the others in a line
    of the log, and goes on even if there is none that fits. ``tools/train.py`` and
    ``tools/test.py`` take this hook.

    Args:
        complete (bool): Refuse also a checkpoint that leaves a weight of the network
            that predicts as it was before, which is random; for tests. A training may
            start from a part of the weights, such as a backbone. Defaults to False.

    Raises:
        ValueError: When a checkpoint is loaded; names it, and the first weights that
            it hasn't.
    """

    def __init__(self, complete: bool = False) -> None:
        self.complete = complete

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Have the weights counted that are written when the model takes them."""
        model = model_of(runner)
        versions = _versions(model)

        def check(module: nn.Module, incompatible_keys: tuple) -> None:
            handle.remove()
            now = _versions(module)
            kept = {name for name in now if now[name] == versions[name]}
            missing = [name for name in _deployed(module) if name in kept]
            if len(kept) < len(now) and not (self.complete and missing):
                return
            raise ValueError(
                f"the checkpoint '{runner._load_from or runner.work_dir}' is not one "
                f"of this {type(module).__name__}: {len(missing)} weights are not in "
                f"it, or of another shape, among them {missing[:3]}; check `model` in "
                "the config, and that this is the right file"
            )

        handle = model.register_load_state_dict_post_hook(check)


def _versions(model: nn.Module) -> dict[str, int]:
    """How often each weight has been written; counters of batches are none."""
    return {
        name: weight._version
        for name, weight in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def _deployed(model: nn.Module) -> list[str]:
    """The names of the weights that predict."""
    network = getattr(model, "deployed", model)
    backbone = next(n for n, m in model.named_modules() if m is network.backbone)
    prefix = backbone.removesuffix("backbone")
    return [
        name
        for name in _versions(model)
        if name.startswith(prefix) and (prefix or not name.startswith("adaptations."))
    ]

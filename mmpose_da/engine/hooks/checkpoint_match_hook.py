from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import nn

from .unwrap import model_of


@HOOKS.register_module()
class CheckpointMatchHook(Hook):
    """Rejects a checkpoint that does not match the model.

    MMEngine loads the weights whose name and shape match, logs a warning about the
    others, and continues even if none match. ``tools/train.py`` and ``tools/test.py``
    use this hook.

    Args:
        complete (bool): Also reject a checkpoint that leaves any weight of the deployed
            network at its random initial value. Meant for testing. Training may start
            from a part of the weights, such as a backbone. Defaults to False.

    Raises:
        ValueError: If a loaded checkpoint does not match. The message names the
            checkpoint and the first weights that it lacks.
    """

    def __init__(self, complete: bool = False) -> None:
        self.complete = complete

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Register a check of which weights are written when the model loads."""
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
                f"the checkpoint '{runner._load_from or runner.work_dir}' does not "
                f"match this {type(module).__name__}: {len(missing)} weights are "
                f"missing or have another shape, among them {missing[:3]}; check "
                "`model` in the config and whether this is the right file"
            )

        handle = model.register_load_state_dict_post_hook(check)


def _versions(model: nn.Module) -> dict[str, int]:
    """Return how often each weight was written, excluding batch counters."""
    return {
        name: weight._version
        for name, weight in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def _deployed(model: nn.Module) -> list[str]:
    """Return the names of the weights of the deployed network."""
    prefix = ""
    network: Any = getattr(model, "deployed", None)  # other models deploy themselves
    if network is not None:
        backbone = next(n for n, m in model.named_modules() if m is network.backbone)
        prefix = backbone.removesuffix("backbone")
    return [
        name
        for name in _versions(model)
        if name.startswith(prefix) and (prefix or not name.startswith("adaptations."))
    ]

"""What the command lines in ``tools/`` call.

Work of one kind has a module or a package of its own, imported by name: :mod:`.adapt`,
:mod:`.detect`, :mod:`.report`, :mod:`.scores`, :mod:`.benchmark`, :mod:`.demo`,
:mod:`.render`, :mod:`.step_benchmark`, :mod:`.resume_check`.
"""

from .config import config_text, enable_hook, load_config, merge_options, with_pair
from .publish import publish
from .stages import Interrupted, Result, train_stage
from .testing import (
    choose_badcase_metric,
    dump_predictions,
    enable_drawing,
    set_checkpoint,
    test,
)
from .training import (
    build_runner,
    check_device,
    check_validation,
    disable_validation,
    enable_amp,
    enable_auto_scale_lr,
    resume,
    set_start,
    start_from_scratch,
    train,
)

__all__ = [
    "Interrupted",
    "Result",
    "build_runner",
    "check_device",
    "check_validation",
    "choose_badcase_metric",
    "config_text",
    "disable_validation",
    "dump_predictions",
    "enable_amp",
    "enable_auto_scale_lr",
    "enable_drawing",
    "enable_hook",
    "load_config",
    "merge_options",
    "publish",
    "resume",
    "set_checkpoint",
    "set_start",
    "start_from_scratch",
    "test",
    "train",
    "train_stage",
    "with_pair",
]

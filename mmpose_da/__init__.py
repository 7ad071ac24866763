"""MMPose-DA: domain adaptation for MMPose.

Importing this package checks the versions of the stack, makes it usable without
compiled MMCV, and registers every component with MMPose's registries.
"""

# The order of what follows matters, and all of it is on purpose: this is the one
# place of the project where an import has side effects.
# ruff: noqa: E402, I001
from .version import __version__
from .compat.versions import check_versions

check_versions()  # before anything is imported from the packages it checks

from .compat.checkpoint import make_loading_safe
from .compat.mmcv_ops import import_mmcv_ops

import_mmcv_ops()  # before MMPose, which imports mmcv.ops
make_loading_safe()

from . import (
    codecs,
    datasets,
    engine,
    evaluation,
    models,
    structures,
    visualization,
)

__all__ = [
    "__version__",
    "codecs",
    "datasets",
    "engine",
    "evaluation",
    "models",
    "structures",
    "visualization",
]

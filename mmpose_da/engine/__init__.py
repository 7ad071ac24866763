from .adabn_loop import AdaBNLoop
from .atomic_backend import AtomicLocalBackend
from .hooks import (
    CheckpointMatchHook,
    EMATeacherHook,
    IntervalVisualizationHook,
    LabelFreeScoresHook,
    NonFiniteHook,
    SafeCheckpointHook,
    StyleSamplesHook,
)
from .loops import ExactEpochBasedTrainLoop, ExactIterBasedTrainLoop
from .resume import find_checkpoint
from .runner import ConciseLogRunner
from .workers import end_with_parent

__all__ = [
    "AdaBNLoop",
    "AtomicLocalBackend",
    "CheckpointMatchHook",
    "ConciseLogRunner",
    "EMATeacherHook",
    "ExactEpochBasedTrainLoop",
    "ExactIterBasedTrainLoop",
    "IntervalVisualizationHook",
    "LabelFreeScoresHook",
    "NonFiniteHook",
    "SafeCheckpointHook",
    "StyleSamplesHook",
    "end_with_parent",
    "find_checkpoint",
]

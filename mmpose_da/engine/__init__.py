from .adabn_loop import AdaBNLoop
from .atomic_backend import AtomicLocalBackend
from .hooks import (
    ChannelsLastHook,
    CheckpointMatchHook,
    EMATeacherHook,
    IntervalVisualizationHook,
    LabelFreeScoresHook,
    NonFiniteHook,
    SafeCheckpointHook,
    StyleSamplesHook,
)
from .inverse_decay_lr import InverseDecayLR
from .loops import ExactEpochBasedTrainLoop, ExactIterBasedTrainLoop
from .resume import find_checkpoint
from .runner import ConciseLogRunner
from .workers import end_with_parent

__all__ = [
    "AdaBNLoop",
    "AtomicLocalBackend",
    "ChannelsLastHook",
    "CheckpointMatchHook",
    "ConciseLogRunner",
    "EMATeacherHook",
    "ExactEpochBasedTrainLoop",
    "ExactIterBasedTrainLoop",
    "IntervalVisualizationHook",
    "InverseDecayLR",
    "LabelFreeScoresHook",
    "NonFiniteHook",
    "SafeCheckpointHook",
    "StyleSamplesHook",
    "end_with_parent",
    "find_checkpoint",
]

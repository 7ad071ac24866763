from .channels_last_hook import ChannelsLastHook
from .checkpoint_match_hook import CheckpointMatchHook
from .ema_teacher_hook import EMATeacherHook
from .interval_visualization_hook import IntervalVisualizationHook
from .label_free_scores_hook import LabelFreeScoresHook
from .non_finite_hook import NonFiniteHook
from .safe_checkpoint_hook import SafeCheckpointHook
from .style_samples_hook import StyleSamplesHook

__all__ = [
    "ChannelsLastHook",
    "CheckpointMatchHook",
    "EMATeacherHook",
    "IntervalVisualizationHook",
    "LabelFreeScoresHook",
    "NonFiniteHook",
    "SafeCheckpointHook",
    "StyleSamplesHook",
]

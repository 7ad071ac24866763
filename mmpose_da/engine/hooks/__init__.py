from .ema_teacher_hook import EMATeacherHook
from .style_samples_hook import StyleSamplesHook

__all__ = ["EMATeacherHook", "StyleSamplesHook"]

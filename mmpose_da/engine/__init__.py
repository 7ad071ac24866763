from .hooks import EMATeacherHook, StyleSamplesHook

__all__ = ["EMATeacherHook", "StyleSamplesHook"]

from . import adaptations, heads, layers, losses, necks, pose_estimators, styles

__all__ = [
    "adaptations",
    "heads",
    "layers",
    "losses",
    "necks",
    "pose_estimators",
    "styles",
]

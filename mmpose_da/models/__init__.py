from . import (
    adaptations,
    backbones,
    heads,
    layers,
    losses,
    necks,
    pose_estimators,
    styles,
)

__all__ = [
    "adaptations",
    "backbones",
    "heads",
    "layers",
    "losses",
    "necks",
    "pose_estimators",
    "styles",
]

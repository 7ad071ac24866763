from . import adaptations, heads, layers, losses, necks, pose_estimators

__all__ = ["adaptations", "heads", "layers", "losses", "necks", "pose_estimators"]

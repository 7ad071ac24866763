from .cafa_neck import CAFANeck
from .feature_fusion import FeatureFusion

__all__ = ["CAFANeck", "FeatureFusion"]

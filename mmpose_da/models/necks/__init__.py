from .cafa_neck import CAFANeck

__all__ = ["CAFANeck"]

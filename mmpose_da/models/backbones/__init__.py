from .efasnet import EFASNet, FASMBottleneck

__all__ = ["EFASNet", "FASMBottleneck"]

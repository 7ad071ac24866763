from .joints_visualizer import JointsVisualizer

__all__ = ["JointsVisualizer"]

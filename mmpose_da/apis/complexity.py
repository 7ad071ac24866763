"""Parameters and multiply-adds of the networks that configs describe."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import DefaultScope
from mmpose.registry import MODELS

from ..models.pose_estimators import PoseNetwork
from .config import load_config
from .quiet import quiet

#: Below it, the analysis says which operations count nothing, such as additions.
QUIET = logging.ERROR


@dataclass(frozen=True)
class Complexity:
    """What a network costs.

    Attributes:
        name (str): Name of the config.
        input_size (tuple[int, int]): Width and height of the input in pixels.
        parameters (int): Number of parameters.
        multiply_adds (int): Multiplications with an addition, for one image. The field
            calls 10^9 of them a GFLOP.
    """

    name: str
    input_size: tuple[int, int]
    parameters: int
    multiply_adds: int


def read_config(name: str) -> Config:
    """Read a config file, or one of another package, such as ``mmpose::...``."""
    return get_config(name) if "::" in name else load_config(name)


def complexity(cfg: Config, name: str | None = None) -> Complexity:
    """Count the parameters and multiply-adds of the deployed network of a config.

    Of a ``DomainAdaptiveTopdown``, this is the student, without adaptations.

    Args:
        cfg (Config): The config.
        name (str, optional): Its name in the table. Defaults to None: that of its file.

    Returns:
        Complexity: The numbers, at the input size of the head's codec.

    Raises:
        ValueError: If the model is not a top-down estimator with a codec that has an
            input size.
    """
    name = name or Path(cfg.filename or "config").stem
    with quiet(QUIET), DefaultScope.overwrite_default_scope("mmpose"):
        model = MODELS.build(cfg.model)
    codec = getattr(getattr(model, "head", None), "decoder", None)
    size = getattr(codec, "input_size", None)
    if size is None:
        raise ValueError(
            f"{name} has no input size: `model` must be a top-down estimator whose "
            f"head has a `decoder` with `input_size`, but is a {type(model).__name__}"
        )
    width, height = (int(side) for side in size)
    with quiet(QUIET), torch.no_grad():
        counts = get_model_complexity_info(
            PoseNetwork(model).eval(),
            (3, height, width),
            show_table=False,
            show_arch=False,
        )
    return Complexity(name, (width, height), counts["params"], counts["flops"])


def markdown(rows: Sequence[Complexity]) -> str:
    """Format numbers as a table in Markdown, with the input size as height x width."""
    lines = [
        "| config | input size | parameters (M) | GFLOPs |",
        "| --- | --- | ---: | ---: |",
    ]
    for row in rows:
        width, height = row.input_size
        millions, giga = row.parameters / 1e6, row.multiply_adds / 1e9
        lines.append(f"| {row.name} | {height}x{width} | {millions:.2f} | {giga:.3f} |")
    return "\n".join(lines) + "\n"

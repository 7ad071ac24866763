"""Export of a stock model to ONNX, verified with ONNX Runtime."""

from __future__ import annotations

import importlib.util
import inspect
import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from ..structures import tensors

OPSET = 17
#: Largest difference of an output, relative to the largest value.
TOLERANCE = 1e-3


class RawOutput(nn.Module):
    """The network of a pose estimator: from images to what its head gives.

    Args:
        estimator (nn.Module): A pose estimator of MMPose.
    """

    def __init__(self, estimator: nn.Module) -> None:
        super().__init__()
        self.estimator = estimator

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the output of the head.

        Args:
            images (Tensor): Normalized crops (B, 3, H, W).

        Returns:
            tuple[Tensor, ...]: Heatmaps, SimCC vectors, or coordinates. Of several
            stages, the last one.
        """
        outputs = cast(Any, self.estimator)._forward(images)
        if isinstance(outputs, list):
            outputs = outputs[-1]
        return tuple(tensors(outputs))


def check_onnx() -> None:
    """Check that ONNX is installed.

    Raises:
        RuntimeError: If not.
    """
    if importlib.util.find_spec("onnx") is None:
        raise RuntimeError(
            "the export to ONNX needs the package onnx, and onnxruntime to verify the "
            "result: `pip install onnx onnxruntime`"
        )


def export_onnx(
    estimator: nn.Module,
    crops: Tensor,
    path: str | Path,
    metadata: Mapping[str, Any] | None = None,
) -> bool:
    """Write the network of a pose estimator as an ONNX file.

    The input is ``input`` (batch, 3, H, W), a crop in RGB or BGR and normalized as
    ``data_preprocessor`` of the config says. The outputs are those of the head, before
    decoding: ``simcc_x`` and ``simcc_y`` for SimCC, otherwise ``output``, or
    ``output_0``, ... The size of the batch is free.

    Args:
        estimator (nn.Module): A pose estimator of MMPose, on the CPU.
        crops (Tensor): Network inputs (B, 3, H, W) on which the result is verified.
        path (str | Path): The file.
        metadata (Mapping[str, Any], optional): What is written into the file, as JSON
            by key. Defaults to None.

    Returns:
        bool: Whether the result was verified, which needs ONNX Runtime. Otherwise, a
        warning says so.

    Raises:
        RuntimeError: If ONNX is not installed, or the exported network gives something
            else.
    """
    check_onnx()
    import onnx

    network = RawOutput(estimator).eval()
    with torch.no_grad():
        expected = network(crops)
    names = _output_names(estimator, len(expected))
    free = {name: {0: "batch"} for name in ("input", *names)}
    options: dict[str, Any] = dict(dynamic_axes=free)
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of traced shapes, which are constant here
        torch.onnx.export(
            network,
            (crops[:1],),
            str(path),
            input_names=["input"],
            output_names=names,
            opset_version=OPSET,
            **options,
        )
    model = onnx.load(str(path))
    onnx.checker.check_model(model)
    texts = {key: json.dumps(value) for key, value in (metadata or {}).items()}
    onnx.helper.set_model_props(model, texts)
    onnx.save(model, str(path))
    if importlib.util.find_spec("onnxruntime") is None:
        print_log(
            f"'{path}' is not verified: onnxruntime is not installed",
            "current",
            logging.WARNING,
        )
        return False
    _verify(path, crops, names, expected)
    return True


def _output_names(estimator: nn.Module, count: int) -> list[str]:
    if (
        "SimCC" in type(estimator.head).__name__
        or "RTMCC" in type(estimator.head).__name__
    ):
        return ["simcc_x", "simcc_y"]
    return ["output"] if count == 1 else [f"output_{i}" for i in range(count)]


def _verify(
    path: str | Path, crops: Tensor, names: list[str], expected: tuple[Tensor, ...]
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    found = session.run(names, dict(input=crops.numpy()))
    for name, ours, theirs in zip(names, expected, found, strict=True):
        difference = np.abs(ours.numpy() - theirs).max()
        if not difference <= TOLERANCE * max(1.0, ours.abs().max().item()):
            raise RuntimeError(
                f"the exported network gives something else: '{name}' differs by up to "
                f"{difference:.3g}"
            )

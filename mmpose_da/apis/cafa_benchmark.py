"""Peak memory and time of CAFANeck, or of attention with explicit N x N maps.

``python -m`` this measures one method in this process: one forward and backward pass
over pairs of feature maps. The settings are a JSON object, the only argument, and so is
the result, the last line of the output.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time

import torch
from torch import Tensor

from mmpose_da.apis.machine import cpu_name
from mmpose_da.models.necks import CAFANeck

MIB = 2**20


def explicit(neck: CAFANeck, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Compute CAFANeck.forward for as many source as target images, with full maps."""
    query, key = neck.query(source).flatten(2), neck.key(target).flatten(2)
    v_source, v_target = neck.value(source).flatten(2), neck.value(target).flatten(2)
    correlation = neck.scale * query.transpose(1, 2) @ key  # (B, N, N)
    from_target = v_target @ correlation.softmax(2).transpose(1, 2)
    from_source = v_source @ correlation.softmax(1)
    return (
        source + neck.source_strength * from_target.view_as(source),
        target + neck.target_strength * from_source.view_as(target),
    )


def measure(
    method: str,
    device: str,
    batch: int,
    height: int,
    width: int,
    channels: int,
    repeat: int,
) -> dict:
    """Measure one method on one device, in this process.

    Args:
        method (str): ``'fused'``, CAFANeck itself, or ``'explicit'``.
        device (str): ``'cpu'`` or ``'cuda'``.
        batch (int): Number of pairs of feature maps.
        height (int): Height of a feature map.
        width (int): Width of a feature map.
        channels (int): Channels of a feature map.
        repeat (int): Number of timed passes.

    Returns:
        dict: ``memory`` (MiB above the start), ``time`` (median seconds), ``machine``,
        ``threads``, and ``torch``.
    """
    on_cuda = device == "cuda"
    torch.manual_seed(0)
    neck = CAFANeck(channels).to(device)
    for strength in (neck.source_strength, neck.target_strength):
        torch.nn.init.ones_(strength)

    def features(batch: int, height: int, width: int) -> Tensor:
        x = torch.randn(batch, channels, height, width, device=device)
        return x.requires_grad_()

    def step(source: Tensor, target: Tensor) -> float:
        begin = time.perf_counter()
        if method == "fused":
            out = neck(source, target)
        else:
            out = explicit(neck, source, target)
        sum(x.square().mean() for x in out).backward()
        if on_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    def peak() -> float:
        if on_cuda:
            return torch.cuda.max_memory_allocated()
        # Kilobytes on Linux, bytes on macOS.
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    step(features(1, 8, 8), features(1, 8, 8))  # loads libraries and starts threads
    size = (batch, height, width)
    inputs = features(*size), features(*size)
    if on_cuda:
        torch.cuda.reset_peak_memory_stats()
    baseline = peak()
    times = [step(*inputs) for _ in range(repeat)]
    return {
        "memory": (peak() - baseline) / MIB,
        "time": statistics.median(times),
        "machine": torch.cuda.get_device_name() if on_cuda else cpu_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))

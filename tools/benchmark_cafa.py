"""Peak memory and time of CAFANeck versus attention with explicit N x N maps.

Each measurement is one forward and backward pass over pairs of feature maps, in a
process of its own, and is printed as a row of a Markdown table.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time

METHODS = ("fused", "explicit")
MIB = 2**20


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16, help="pairs of images")
    parser.add_argument("--height", type=int, default=64, help="of the feature map")
    parser.add_argument("--width", type=int, default=48, help="of the feature map")
    parser.add_argument("--channels", type=int, default=32, help="of the feature map")
    parser.add_argument("--repeat", type=int, default=3, help="passes that are timed")
    parser.add_argument("--method", choices=METHODS, help="measure this one only")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="on this one only")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def explicit(neck, source, target):
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


def measure(args: argparse.Namespace) -> dict:
    """Measure one method on one device, in this process."""
    import torch

    from mmpose_da.models.necks import CAFANeck

    on_cuda = args.device == "cuda"
    torch.manual_seed(0)
    neck = CAFANeck(args.channels).to(args.device)
    for strength in (neck.source_strength, neck.target_strength):
        torch.nn.init.ones_(strength)

    def features(batch: int, height: int, width: int) -> torch.Tensor:
        x = torch.randn(batch, args.channels, height, width, device=args.device)
        return x.requires_grad_()

    def step(source: torch.Tensor, target: torch.Tensor) -> float:
        begin = time.perf_counter()
        if args.method == "fused":
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
    size = (args.batch, args.height, args.width)
    inputs = features(*size), features(*size)
    if on_cuda:
        torch.cuda.reset_peak_memory_stats()
    baseline = peak()
    times = [step(*inputs) for _ in range(args.repeat)]
    return {
        "memory": (peak() - baseline) / MIB,
        "time": statistics.median(times),
        "machine": torch.cuda.get_device_name() if on_cuda else cpu_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def cpu_name() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line for line in file if line.startswith("model name")]
        return lines[0].split(":", 1)[1].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def devices() -> list[str]:
    # Check in another process to keep this one small: the peak memory of a process
    # starts at that of its parent.
    code = "import torch; print(int(torch.cuda.is_available()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return ["cpu", "cuda"] if found.stdout.strip() == "1" else ["cpu"]


def main() -> None:
    args = parse_args()
    if args.worker:
        print(json.dumps(measure(args)))
        return
    positions = args.height * args.width
    print(
        f"{args.batch} pairs, {args.height} x {args.width} = {positions} positions, "
        f"{args.channels} channels, float32, forward and backward\n"
    )
    print("| device | method | peak memory (MiB) | time (s) |")
    print("|---|---|---|---|")
    machines = {}
    for device in [args.device] if args.device else devices():
        for method in [args.method] if args.method else METHODS:
            command = [sys.executable, __file__, "--worker"]
            for name in ("batch", "height", "width", "channels", "repeat"):
                command += [f"--{name}", str(getattr(args, name))]
            command += ["--device", device, "--method", method]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                # Common for the explicit method: it runs out of memory.
                print(f"| {device} | {method} | failed ({done.returncode}) | |")
                continue
            row = json.loads(done.stdout.splitlines()[-1])
            print(f"| {device} | {method} | {row['memory']:.0f} | {row['time']:.3f} |")
            machines[device] = (
                f"{device}: {row['machine']}, {row['threads']} CPU threads, "
                f"torch {row['torch']}"
            )
    print("\n" + "\n".join(machines.values()))


if __name__ == "__main__":
    main()

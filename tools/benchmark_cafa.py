"""Peak memory and time of CAFANeck versus attention with explicit N x N maps.

Each measurement is one forward and backward pass over pairs of feature maps, in a
process of its own, and is printed as a row of a Markdown table.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence

from _options import positive

METHODS = ("fused", "explicit")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    option = parser.add_argument
    option("--batch", type=positive, default=16, help="pairs of images")
    option("--height", type=positive, default=64, help="of the feature map")
    option("--width", type=positive, default=48, help="of the feature map")
    option("--channels", type=positive, default=32, help="of the feature map")
    option("--repeat", type=positive, default=3, help="number of timed passes")
    option("--method", choices=METHODS, help="measure only this one")
    option("--device", choices=["cpu", "cuda"], help="measure only on this one")
    return parser.parse_args(argv)


def devices() -> list[str]:
    """Return the available devices."""
    # Check in another process to keep this one small: the peak memory of a process
    # starts at that of its parent.
    code = "import torch; print(int(torch.cuda.is_available()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return ["cpu", "cuda"] if found.stdout.strip() == "1" else ["cpu"]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    args = parse_args(argv)
    size = {k: v for k, v in vars(args).items() if k not in ("method", "device")}
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
            settings = json.dumps(dict(size, method=method, device=device))
            command = [sys.executable, "-m", "mmpose_da.apis.cafa_benchmark", settings]
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

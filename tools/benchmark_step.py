"""Time a training step against the least it consists of, on synthetic images.

For every config: (a) a step of its model on a batch of its own composition; (b) a step
of MMPose's estimator with the same network on as many images, all labeled; (c) a
forward pass of that network on the unlabeled target images.
"""

import argparse
import gc
from collections.abc import Sequence
from pathlib import Path

from _options import ConfigOptions, add_cfg_options, existing_file, positive


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    option = parser.add_argument
    option("configs", nargs="+", type=existing_file, metavar="CONFIG")
    option(
        "--samples",
        nargs="+",
        action=ConfigOptions,
        metavar="DOMAIN=COUNT",
        help="number of images of each domain, such as source=8 target_labeled=8 "
        "(default: those of the config)",
    )
    option("--input-size", nargs=2, type=positive, metavar=("WIDTH", "HEIGHT"))
    option("--iters", type=positive, default=20, help="number of timed iterations")
    option("--warmup", type=int, default=5, help="number of iterations before these")
    option("--threads", type=positive, help="CPU threads (default: PyTorch's)")
    option("--device", choices=["cpu", "cuda"], help="default: the GPU if there is one")
    option("--profile", action="store_true", help="also time the parts of (a)")
    add_cfg_options(parser, "every config")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print the tables."""
    args = parse_args(argv)
    import torch

    from mmpose_da.apis import step_benchmark as bench

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    results = {}
    for path in args.configs:
        try:
            cfg = bench.load_step_config(
                path, args.samples, args.input_size, args.cfg_options
            )
        except ValueError as error:
            raise SystemExit(f"error: {error}") from None
        results[Path(path).stem] = bench.measure(
            cfg, device, args.iters, args.warmup, args.profile
        )
        gc.collect()  # frees modules in reference cycles
    machine = bench.describe_machine(device)
    print(f"{machine}; median (quartiles) of {args.iters} iterations\n")
    print(bench.table(results))
    for name, result in results.items() if args.profile else ():
        print(f"{name}\n\n{bench.parts_table(result)}")


if __name__ == "__main__":
    main()

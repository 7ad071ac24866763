"""Publish an adapted model as a stock MMPose model: weights, and a config for them."""

import argparse
from collections.abc import Sequence

from _cli import existing_file
from mmengine.config import Config

from mmpose_da.apis import publish, with_pair


def main(argv: Sequence[str] | None = None) -> None:
    """Publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=existing_file, help="the config of the run")
    parser.add_argument("checkpoint", type=existing_file, help="the adapted checkpoint")
    parser.add_argument(
        "target",
        metavar="OUT",
        help="the file for the weights, ending in .pth; the config is written beside "
        "it, ending in .py",
    )
    parser.add_argument(
        "--pair",
        type=existing_file,
        metavar="CONFIG",
        help="the pair of domains of the run, if it had this option",
    )
    parser.add_argument(
        "--network",
        choices=("student", "teacher"),
        help="whose weights (default: what `model.test_cfg.network` says)",
    )
    args = parser.parse_args(argv)
    try:
        cfg = Config.fromfile(args.config)
        if args.pair is not None:
            cfg = with_pair(cfg, Config.fromfile(args.pair))
        weights, config = publish(cfg, args.checkpoint, args.target, args.network)
    except (OSError, RuntimeError, ValueError) as error:
        parser.exit(1, f"publish_model.py: {error}\n")
    print(f"weights: {weights}\nconfig:  {config}")


if __name__ == "__main__":
    main()

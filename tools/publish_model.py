"""Publish an adapted model as a stock MMPose model: weights, and a config for them."""

import argparse
from collections.abc import Sequence

from _options import add_pair, existing_file


def main(argv: Sequence[str] | None = None) -> None:
    """Publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    option = parser.add_argument
    option("config", type=existing_file, help="the config of the run")
    option("checkpoint", type=existing_file, help="the adapted checkpoint")
    option(
        "target",
        metavar="OUT",
        help="the file for the weights, ending in .pth; the config is written beside "
        "it, ending in .py",
    )
    add_pair(parser)
    option(
        "--network",
        choices=("student", "teacher"),
        help="whose weights (default: those that `model.test_cfg.network` names)",
    )
    option(
        "--onnx",
        action="store_true",
        help="also write the network as an ONNX file beside the weights (needs the "
        "package onnx, and onnxruntime to verify it)",
    )
    args = parser.parse_args(argv)
    from mmpose_da import apis

    try:
        cfg = apis.load_config(args.config, args.pair)
        weights, config = apis.publish(
            cfg, args.checkpoint, args.target, args.network, args.onnx
        )
    except (OSError, RuntimeError, ValueError) as error:
        parser.exit(1, f"publish_model.py: {error}\n")
    print(f"weights: {weights}\nconfig:  {config}")
    if args.onnx:
        print(f"onnx:    {weights.with_suffix('.onnx')}")


if __name__ == "__main__":
    main()

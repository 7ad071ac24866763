"""Print the parameters and GFLOPs of the networks of configs, as a table.

A GFLOP is 10^9 multiplications with an addition, as in MMPose's model zoo.
"""

import argparse
from collections.abc import Sequence

from _options import add_cfg_options, existing_file


def config(value: str) -> str:
    """Check that a config is a file, or of another package, such as ``mmpose::...``."""
    return value if "::" in value else existing_file(value)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "configs",
        nargs="+",
        type=config,
        metavar="CONFIG",
        help="a file, or a config of MMPose, such as mmpose::body_2d_keypoint/"
        "topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py",
    )
    add_cfg_options(parser, "every config")
    args = parser.parse_args(argv)
    from mmpose_da.apis import complexity, merge_options

    rows = []
    try:
        for path in args.configs:
            cfg = complexity.read_config(path)
            merge_options(cfg, args.cfg_options)
            rows.append(complexity.complexity(cfg))
    except (OSError, ValueError) as error:
        parser.exit(1, f"complexity.py: {error}\n")
    print(complexity.markdown(rows), end="")


if __name__ == "__main__":
    main()

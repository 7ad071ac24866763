"""Draw the maps of a location-free model, before and after each of its parts."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from _options import existing_file, positive


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, on the test set of the config."""
    parser = argparse.ArgumentParser(description=__doc__)
    option = parser.add_argument
    option("config", type=existing_file, help="config of the model")
    option("checkpoint", type=existing_file, help="its weights")
    option("out", type=Path, help="the picture, such as maps.png")
    option(
        "--joints",
        nargs="+",
        default=["left_wrist", "right_knee"],
        metavar="NAME",
        help="joints to draw (default: left_wrist right_knee)",
    )
    option("--people", type=positive, default=4, help="number of people (default: 4)")
    args = parser.parse_args(argv)
    import mmpose_da  # noqa: F401, I001 - before MMPose

    from mmengine.device import get_device
    from mmpose.apis import init_model
    from mmpose.registry import DATASETS

    from mmpose_da import apis
    from mmpose_da.visualization import draw_part_maps

    cfg = apis.load_config(args.config)
    model = init_model(cfg, str(args.checkpoint), device=get_device())
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    try:
        draw_part_maps(model, dataset, args.joints, args.people, args.out)
    except ValueError as error:
        parser.exit(1, f"draw_part_maps.py: {error}\n")
    print(args.out)


if __name__ == "__main__":
    main()

"""Draw 3D poses: images, annotations, and the predictions of several models."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from _options import existing_file, positive


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, on the validation set of the first model's config."""
    parser = argparse.ArgumentParser(description=__doc__)
    option = parser.add_argument
    option("out", type=Path, help="the picture, such as poses.png")
    option(
        "--model",
        nargs=3,
        action="append",
        required=True,
        metavar=("TITLE", "CONFIG", "CHECKPOINT"),
        help="a row of the picture; can be repeated",
    )
    option("--people", type=positive, default=6, help="number of people (default: 6)")
    args = parser.parse_args(argv)
    for _, *files in args.model:
        for path in files:
            try:
                existing_file(path)
            except argparse.ArgumentTypeError as error:
                parser.error(str(error))
    import mmpose_da  # noqa: F401, I001 - before MMPose

    from mmengine.device import get_device
    from mmpose.apis import init_model
    from mmpose.registry import DATASETS

    from mmpose_da import apis
    from mmpose_da.visualization import draw_poses_3d

    configs = {title: apis.load_config(config) for title, config, _ in args.model}
    models = {
        title: init_model(configs[title], checkpoint, device=get_device())
        for title, _, checkpoint in args.model
    }
    first, *_ = configs.values()
    dataset = DATASETS.build(first.val_dataloader.dataset)
    try:
        draw_poses_3d(models, dataset, args.people, args.out)
    except (OSError, ValueError) as error:
        parser.exit(1, f"draw_poses_3d.py: {error}\n")
    print(args.out)


if __name__ == "__main__":
    main()

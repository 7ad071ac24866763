"""Adapt a trained model to the images of a new site, and publish it.

From a model of MMPose and a folder of images, a video, or a COCO file, with labeled
source images or without, to a plain model of MMPose. When run again, it resumes where
it was interrupted.
"""

import argparse
from collections.abc import Sequence

from _options import (
    add_detection,
    checkpoint,
    detection_of,
    existing_path,
    positive,
)

METHODS = (
    *("best", "best-turned", "mean-teacher", "mla", "uniframe"),
    *("dan", "dann", "cafa", "adabn"),
)


def joint(value: str) -> tuple[str, str | list[str]]:
    """Read one entry of a joint map, for ``argparse``."""
    wanted, _, given = value.partition("=")
    names = given.split(",")
    if not (wanted and all(names) and len(names) <= 2):
        raise argparse.ArgumentTypeError(
            f"must be WANTED=GIVEN or WANTED=GIVEN,GIVEN, got '{value}'"
        )
    return wanted, names[0] if len(names) == 1 else names


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    option = parser.add_argument
    option(
        "model",
        help="a config file, a config of a package (mmpose::...), or the name of a "
        "model of MMPose (such as rtmpose-m)",
    )
    option(
        "checkpoint",
        nargs="?",
        type=checkpoint,
        help="its weights (default: those that MMPose publishes for the name)",
    )
    option(
        "--target",
        required=True,
        type=existing_path,
        help="the images of the new site: a folder, a video, or a COCO file",
    )
    option("--work-dir", required=True, help="folder for all stages")

    group = parser.add_argument_group("labeled source images (without: source-free)")
    group.add_argument("--source", type=existing_path, help="the annotation file")
    group.add_argument("--source-images", type=existing_path, help="the image folder")
    group.add_argument(
        "--source-joints",
        help="the type of a dataset of MMPose, such as MpiiDataset, or a file with a "
        "joint definition (default: COCO format with the joints of the model)",
    )
    group.add_argument(
        "--joint-map",
        nargs="+",
        type=joint,
        metavar="WANTED=GIVEN",
        help="source joints whose names differ; GIVEN,GIVEN is a midpoint",
    )

    group = parser.add_argument_group("people of the target")
    add_detection(group, prefix="detect-")

    group = parser.add_argument_group("training")
    option = group.add_argument
    option("--method", choices=METHODS, default="best")
    option(
        "--budget",
        help="iterations (2000) or time (30min, 2h) of the training (default: by the "
        "amount of data and the device)",
    )
    option("--batch-size", type=positive, help="images of each domain in a batch")
    option("--lr", type=float, default=1e-4, help="learning rate (default: 1e-4)")
    option("--seed", type=int, default=0)
    option("--workers", type=int, help="processes that load images")
    option("--threads", type=positive, help="CPU threads")
    option("--device", help="such as cpu or cuda:1 (default: a GPU if there is one)")

    group = parser.add_argument_group("result")
    option = group.add_argument
    option("--network", choices=("student", "teacher"), help="which one to publish")
    option("--onnx", action="store_true", help="also publish an ONNX file")

    group = parser.add_argument_group("what is run")
    option = group.add_argument
    option("--stages", nargs="+", default=(), help="only these stages (default: all)")
    option(
        "--dry-run",
        action="store_true",
        help="say what would be run and how long it would take, and run nothing",
    )
    args = parser.parse_args(argv)
    if (args.source is None) != (args.source_images is None):
        parser.error("--source and --source-images belong together")
    if args.source is None and (args.source_joints or args.joint_map):
        parser.error("--source-joints and --joint-map need --source")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Adapt."""
    args = parse_args(argv)
    from mmpose_da.apis.adapt.config import Source
    from mmpose_da.apis.adapt.run import Job, adapt, dry_run
    from mmpose_da.apis.detect.run import Detection

    try:
        source = args.source and Source(
            args.source,
            args.source_images,
            args.source_joints,
            dict(args.joint_map) if args.joint_map else None,
        )
        job = Job(
            args.model,
            Detection(args.target, **detection_of(args)),
            checkpoint=args.checkpoint,
            source=source,
            method=args.method,
            budget=args.budget,
            batch_size=args.batch_size,
            learning_rate=args.lr,
            network=args.network,
            seed=args.seed,
            workers=args.workers,
            onnx=args.onnx,
        )
        options = dict(stages=args.stages, device=args.device)
        if args.dry_run:
            dry_run(job, args.work_dir, **options)
        else:
            adapt(job, args.work_dir, threads=args.threads, **options)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command resumes from here") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise SystemExit(f"adapt.py: {error}") from error


if __name__ == "__main__":
    main()

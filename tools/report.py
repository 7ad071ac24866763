"""Write a report of an adaptation as one HTML file.

The run is a work directory of tools/adapt.py, or a config and a checkpoint.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from _options import checkpoint, existing_file, existing_path, positive


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    option = parser.add_argument
    option("run", type=existing_path, help="work directory of adapt.py, or a config")
    option("checkpoint", nargs="?", type=existing_file, help="checkpoint of the config")
    option("--out", type=Path, help="the file (default: report.html beside the model)")
    option(
        "--before",
        type=checkpoint,
        help="checkpoint before the run (default: the one that the config starts from)",
    )
    option(
        "--labels", type=existing_file, help="a labeled validation set of the target"
    )
    option("--label-images", type=existing_path, help="its image folder")
    option(
        "--label-joints",
        help="the type of a dataset of MMPose, such as MpiiDataset, or a file with a "
        "joint definition (default: COCO format with the joints of the model)",
    )
    option("--embedding", choices=("pca", "tsne"), default="pca", help="of features")
    option(
        "--people", type=positive, default=500, help="how many are predicted at most"
    )
    args = parser.parse_args(argv)
    if (args.labels is None) != (args.label_images is None):
        parser.error("--labels and --label-images belong together")
    if Path(args.run).is_dir() != (args.checkpoint is None):
        parser.error("give a work directory of adapt.py, or a config and a checkpoint")
    if args.checkpoint is None and args.before is not None:
        parser.error("--before is for a config and a checkpoint")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Write the report."""
    args = parse_args(argv)
    import mmpose_da  # noqa: F401 - registers
    from mmpose_da.apis.adapt.config import Source
    from mmpose_da.apis.report.run import run_of_config, run_of_job
    from mmpose_da.apis.report.write import write_report

    labels = args.labels and Source(args.labels, args.label_images, args.label_joints)
    options = dict(labels=labels, embedding=args.embedding, people=args.people)
    try:
        if args.checkpoint is None:
            run = run_of_job(args.run, **options)
            out = args.out or Path(args.run, "report/report.html")
        else:
            run = run_of_config(args.run, args.checkpoint, args.before, **options)
            out = args.out or Path(args.checkpoint).with_name("report.html")
        found = write_report(run, out)
    except (OSError, RuntimeError, ValueError) as error:
        raise SystemExit(f"report.py: {error}") from error
    for warning in found["warnings"]:
        print(f"warning: {warning}")
    for title in found["missing"]:
        print(f"not in the report: {title}")
    print(out)


if __name__ == "__main__":
    main()

"""Types and options of command lines, without an import that takes time."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def existing_file(value: str) -> str:
    """Check that a path is a file, for ``argparse``."""
    if not Path(value).is_file():
        raise argparse.ArgumentTypeError(f"there is no file '{value}'")
    return value


def checkpoint(value: str) -> str:
    """Check that a checkpoint is a file, or a location such as ``https://...``."""
    return value if "://" in value else existing_file(value)


def positive(value: str) -> int:
    """Check that a number is a positive integer, for ``argparse``."""
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got '{value}'")
    return int(value)


class ConfigOptions(argparse.Action):
    """MMEngine's ``DictAction``, imported only when the option is used."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        from mmengine.config import DictAction

        for value in values:
            if "=" not in value:
                parser.error(f"{option_string}: '{value}' is not KEY=VALUE")
        DictAction(self.option_strings, self.dest)(
            parser, namespace, values, option_string
        )


def add_cfg_options(parser: argparse.ArgumentParser, of: str = "the config") -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=ConfigOptions,
        default={},
        metavar="KEY=VALUE",
        help=f"change entries of {of}, for example model.backbone.depth=18; a list is "
        'key="[a,b]" or key=a,b, without blanks',
    )


def add_pair(parser: argparse.ArgumentParser) -> None:
    """Add ``--pair``."""
    parser.add_argument(
        "--pair",
        type=existing_file,
        metavar="CONFIG",
        help="use this pair of domains instead of the config's: a file like those of "
        "configs/_base_/domains",
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share, after the config."""
    option = parser.add_argument
    add_pair(parser)
    option(
        "--work-dir",
        help="folder for logs, checkpoints and results (default: `work_dir` of the "
        "config, else work_dirs/NAME_OF_CONFIG, with --pair "
        "work_dirs/NAME_OF_PAIR/NAME_OF_CONFIG)",
    )
    option("--show-dir", help="folder in which to save drawn predictions")
    option("--show", action="store_true", help="show predictions in a window")
    option("--interval", type=positive, default=1, help="draw one batch in this many")
    option("--wait-time", type=float, default=1, help="seconds that a window is shown")
    add_cfg_options(parser)
    option(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="what starts the processes of a distributed run",
    )
    # `torch.distributed.launch` passes it; everything else sets LOCAL_RANK.
    option("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)


def existing_path(value: str) -> str:
    """Check that a path exists, for ``argparse``."""
    if not Path(value).exists():
        raise argparse.ArgumentTypeError(f"there is no file or folder '{value}'")
    return value


#: Options of detection: name, type, and help.
DETECTION = (
    ("images", existing_path, "the image folder of a COCO file (default: its folder)"),
    ("model", str, "a detector of torchvision, or a config of MMDetection"),
    ("weights", str, "its weights (default: torchvision's are downloaded)"),
    ("boxes", existing_file, "the file of --detector boxes (default: the source)"),
    ("score", float, "leave out boxes with a lower score (default: 0.5; of a file 0)"),
    ("min_size", float, "leave out boxes whose longer side is shorter (default: 32)"),
    ("step", positive, "take every n-th frame of a video (default: two per second)"),
    (
        "duplicates",
        int,
        "leave out frames whose perceptual hash differs in at most this many of 255 "
        "bits from the last one; -1 keeps all (default: 6)",
    ),
)


def add_detection(parser: argparse.ArgumentParser, prefix: str = "") -> None:
    """Add the options of ``mmpose_da.apis.detect.run.Detection``."""
    parser.add_argument(
        "--detector",
        choices=("torchvision", "mmdet", "boxes", "whole", "hog"),
        help="what finds people: a network of torchvision (default) or MMDetection, "
        "boxes of a file, each whole image, or OpenCV's built-in detector, which is "
        "weak and needs no download",
    )
    for name, kind, text in DETECTION:
        flag = f"--{prefix}{name}".replace("_", "-")
        parser.add_argument(flag, type=kind, dest=f"detect_{name}", help=text)


def detection_of(args: argparse.Namespace) -> dict:
    """Return the given arguments of ``mmpose_da.apis.detect.run.Detection``."""
    given = {name: getattr(args, f"detect_{name}") for name, _, _ in DETECTION}
    given["detector"] = args.detector
    return {name: value for name, value in given.items() if value is not None}

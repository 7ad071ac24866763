"""Make an MMPose checkpoint of an adapted one."""

import argparse
import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.runner import CheckpointLoader

import mmpose_da  # noqa: F401 - makes the loading of checkpoints safe

ADAPTATION_PREFIX = "adaptations."
#: Where a teacher's weights are; what follows are the keys of the stock estimator.
TEACHER_PREFIX = re.compile(r"adaptations\.[^.]+\.average\.module\.")
#: What is kept of ``meta``. The config is not: it describes the adaptive model, and
#: the weights are those of the stock one.
META_KEYS = (
    "dataset_meta",
    "epoch",
    "iter",
    "seed",
    "experiment_name",
    "mmengine_version",
)


def to_plain(value: Any) -> Any:
    """Turn NumPy data into lists and numbers, at every depth.

    MMPose reads them alike, and only plain data can be loaded safely by an MMPose
    without this package.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, dict):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_plain(item) for item in value)
    return value


def stock_checkpoint(
    checkpoint: dict[str, Any], network: str | None = None
) -> dict[str, Any]:
    """Keep of an adapted checkpoint what the stock estimator needs.

    Args:
        checkpoint (dict): A checkpoint of MMEngine's ``Runner``.
        network (str, optional): ``'student'`` or ``'teacher'``, where it has both.
            Defaults to None.

    Returns:
        dict: ``state_dict`` without the weights of adaptations, and ``meta`` with
        :data:`META_KEYS`. The states of the optimizer, the schedulers and the
        message hub are left out.

    Raises:
        ValueError: If the checkpoint has no ``state_dict``, or nothing of it is left,
            or it is not clear which network is wanted.
    """
    if "state_dict" not in checkpoint:
        raise ValueError(f"no `state_dict` in it, only {sorted(map(str, checkpoint))}")
    weights = checkpoint["state_dict"]
    teacher = [key for key in weights if TEACHER_PREFIX.match(key)]
    if teacher and network is None:
        raise ValueError(
            "it has a student and a teacher; say which with --network, the one that "
            "`test_cfg.network` of its config names (by default the student)"
        )
    if network == "teacher" and not teacher:
        raise ValueError("it has no teacher")
    if network == "teacher":
        names = {TEACHER_PREFIX.sub("", key): key for key in teacher}
    else:
        names = {key: key for key in weights if not key.startswith(ADAPTATION_PREFIX)}
    state_dict = OrderedDict((name, weights[key]) for name, key in names.items())
    if not state_dict:
        raise ValueError(f"its `state_dict` has no key without '{ADAPTATION_PREFIX}'")
    meta = checkpoint.get("meta", {})
    return dict(
        meta={key: to_plain(meta[key]) for key in META_KEYS if key in meta},
        state_dict=state_dict,
    )


def publish(
    source: str | Path, target: str | Path, network: str | None = None
) -> Path:
    """Write the stock checkpoint of an adapted one.

    Args:
        source (str | Path): The adapted checkpoint.
        target (str | Path): The file to write, such as ``res50.pth``. The first 8
            hexadecimal digits of its SHA-256 are put into the name:
            ``res50-0a1b2c3d.pth``.
        network (str, optional): See :func:`stock_checkpoint`. Defaults to None.

    Returns:
        Path: The file that was written. It appears under this name when complete.

    Raises:
        FileNotFoundError: If there is no file ``source``.
        ValueError: If it is not a checkpoint with weights to publish.
    """
    source, target = Path(source), Path(target)
    if not source.is_file():
        raise FileNotFoundError(f"there is no checkpoint '{source}'")
    try:
        checkpoint = CheckpointLoader.load_checkpoint(str(source), "cpu", "silent")
        published = stock_checkpoint(checkpoint, network)
    except ValueError as error:
        raise ValueError(f"cannot publish '{source}': {error}") from error

    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        # Into a file object: given a path, torch.save stores its name, and the digits
        # would depend on it.
        with partial.open("wb") as file:
            torch.save(published, file)
        digits = hashlib.sha256(partial.read_bytes()).hexdigest()[:8]
        suffix = target.suffix or ".pth"
        final = target.with_name(f"{target.stem}-{digits}{suffix}")
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)
    return final


def main(argv: Sequence[str] | None = None) -> None:
    """Publish."""
    parser = argparse.ArgumentParser(
        description="Make an MMPose checkpoint of an adapted one: its weights without "
        "those of adaptations, for the stock config, without the state of the training"
    )
    parser.add_argument("source", metavar="IN", help="the adapted checkpoint")
    parser.add_argument(
        "target", metavar="OUT", help="the file to write; gets its hash in the name"
    )
    parser.add_argument(
        "--network",
        choices=("student", "teacher"),
        help="whose weights, where the checkpoint has both",
    )
    args = parser.parse_args(argv)
    try:
        print(publish(args.source, args.target, args.network))
    except (FileNotFoundError, ValueError) as error:
        parser.exit(1, f"publish_model.py: {error}\n")


if __name__ == "__main__":
    main()

"""How large the training of a job is, and how long its stages take."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import cv2

from ..detect.detectors import Picture, build_detector
from ..detect.images import Video, is_video, list_images, read_image
from ..detect.run import Detected, Detection, detect
from ..machine import num_cores
from ..quiet import quiet
from ..step_time import step_time
from ..work_files import write_json
from .config import BATCH, Plan, default_iterations
from .job import Work, parse_budget
from .methods import METHODS

#: Images on which a dry run measures.
PREVIEW = 16


def make_plan(
    work: Work, detected: Detected, people: int | None = None
) -> tuple[Plan, float]:
    """Decide on the size of the training.

    Args:
        work (Work): The job.
        detected (Detected): People to measure with.
        people (int, optional): The number of target people. Defaults to None: that of
            ``detected``.

    Returns:
        tuple[Plan, float]: The plan, and the expected seconds.
    """
    job = work.job
    people = detected.num_people if people is None else people
    batch = job.batch_size or BATCH.get(work.device, BATCH["cuda"])
    trains = METHODS[job.method].trains
    workers = min(4, num_cores() - 1) if job.workers is None else job.workers
    plan = Plan(
        iterations=default_iterations(people, min(batch, people), work.device),
        source_batch=batch if job.source is not None and trains else 0,
        target_batch=min(batch, people),
        learning_rate=job.learning_rate,
        workers=max(0, workers),
    )
    if not trains:  # one pass, as often as there are batches
        plan = Plan(
            **dict(asdict(plan), iterations=max(1, people // plan.target_batch))
        )
    with quiet():
        each = step_time(work.config(detected, plan), work.device)
    iterations, seconds = parse_budget(job.budget)
    if seconds is not None:
        iterations = max(1, int(seconds / each))
    if iterations is not None:
        plan = Plan(**dict(asdict(plan), iterations=iterations))
    return plan, plan.iterations * each


def describe_plan(plan: Plan) -> str:
    """Say what a plan is."""
    source = f"{plan.source_batch} source and " if plan.source_batch else ""
    return (
        f"{plan.iterations} iterations with {source}{plan.target_batch} target images"
    )


def describe_time(seconds: float) -> str:
    """Say how long something takes."""
    if seconds < 99:
        return f"{seconds:.0f} s"
    if seconds < 99 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def preview(target: Detection, folder: Path) -> tuple[Detected, int]:
    """Take the first images of a target as people, in a folder of their own.

    Args:
        target (Detection): The target.
        folder (Path): The folder, which is empty.

    Returns:
        tuple[Detected, int]: The people, and the number of all images.
    """
    if is_video(target.source):
        video = Video(target.source)
        step = target.step or video.default_step
        images, count = folder / "frames", max(1, video.length // step)
        images.mkdir()
        for (index, frame), _ in zip(video.frames(step), range(PREVIEW), strict=False):
            cv2.imwrite(str(images / f"{index:06d}.jpg"), frame)
        source: dict = dict(source=str(images))
    else:
        listed = list_images(target.source, target.images)
        count = len(listed.names)
        first = list(listed.names.items())[:PREVIEW]
        records = [dict(id=identity, file_name=name) for name, identity in first]
        write_json(dict(images=records), folder / "first.json")
        source = dict(source=str(folder / "first.json"), images=str(listed.folder))
    settings = Detection(**source, detector="whole", min_size=0)
    return detect(settings, folder / "work"), count


def detection_time(work: Work, detected: Detected, count: int) -> str:
    """Say how long detection takes, if this can be measured without a download."""
    target = work.job.target
    text = f"{count} images"
    network = target.detector in ("torchvision", "mmdet")
    if network and (target.weights is None or "://" in target.weights):
        return f"{text}; not measured, because the detector may be downloaded"
    images = list_images(detected.ann_file, detected.images)
    if target.detector == "boxes":
        return f"{text}, whose boxes are read"
    detector = build_detector(
        target.detector, images, target.model, target.weights, device=work.device
    )
    names = list(images.names)[:4]
    begin = time.monotonic()
    detector([Picture(name, 0, read_image(images.folder / name)) for name in names])
    each = (time.monotonic() - begin) / len(names)
    return f"{text}; about {describe_time(each * count)}, measured by a few images"

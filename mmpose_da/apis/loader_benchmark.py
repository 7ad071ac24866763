"""Timing the data loading of a source domain against MMPose's own dataset."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import mmengine
import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

#: Whose training pipeline both datasets run.
CONFIG = (
    "mmpose::body_2d_keypoint/topdown_heatmap/coco/"
    "td-hm_res50_8xb64-210e_coco-256x192.py"
)
NUM_KEYPOINTS = 17

Value = TypeVar("Value")


def measure_loaders(
    num_people: int, num_samples: int, repeats: int = 5
) -> dict[str, dict[str, float]]:
    """Time ``MixedDomainDataset`` and ``CocoDataset`` on the same made-up people.

    Both read one annotation file in COCO's format with one person per image, and run
    the training pipeline of MMPose's config for ResNet-50 on COCO, on photographs of
    640 x 480 pixels. They take turns, in one thread; times are those of the CPU.

    Args:
        num_people (int): Number of people in the annotation file.
        num_samples (int): Number of samples that are loaded.
        repeats (int): Number of turns. Defaults to 5.

    Returns:
        dict[str, dict[str, float]]: For ``stock`` and ``mixed``: ``load``, the seconds
        to read the annotation file, and ``sample``, the milliseconds of a sample; the
        medians over the turns.
    """
    init_default_scope("mmpose")
    cv2.setNumThreads(1)
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        write_people(Path(folder), num_people)
        stock = dict(
            type="CocoDataset",
            data_root=folder,
            ann_file="people.json",
            data_prefix=dict(img="images/"),
        )
        pipeline = get_config(CONFIG).train_pipeline
        configs = dict(
            stock=dict(stock, pipeline=pipeline),
            mixed=dict(
                type="MixedDomainDataset",
                joints="CocoDataset",
                source=stock,
                pipeline=pipeline,
            ),
        )
        times: dict[str, dict[str, list[float]]] = {
            name: dict(load=[], sample=[]) for name in configs
        }
        indices = np.linspace(0, num_people - 1, num_samples).astype(int)
        for _ in range(repeats):
            for name, config in configs.items():
                dataset, seconds = _timed(partial(DATASETS.build, config))
                times[name]["load"].append(seconds)
                dataset[0]  # what is done once
                _, seconds = _timed(partial(_read, dataset, indices))
                times[name]["sample"].append(1000 * seconds / num_samples)
                del dataset
    logging.disable(logging.NOTSET)
    return {
        name: {key: float(np.median(values)) for key, values in of_name.items()}
        for name, of_name in times.items()
    }


def write_people(folder: Path, count: int) -> None:
    """Write an annotation file of people, who share ten images."""
    rng = np.random.default_rng(0)
    for index in range(10):
        coarse = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
        noise = rng.normal(0, 8, image.shape)
        path = folder / "images" / f"{index}.jpg"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), (image + noise).clip(0, 255).astype(np.uint8))
    corner, size = rng.uniform(0, 300, (count, 2)), rng.uniform(80, 180, (count, 2))
    points = corner[:, None] + rng.random((count, NUM_KEYPOINTS, 2)) * size[:, None]
    joints = np.dstack([points, np.full((count, NUM_KEYPOINTS), 2)]).round(1)
    ids = range(1, count + 1)
    content = dict(
        images=[
            dict(id=i, file_name=f"{i % 10}.jpg", width=640, height=480) for i in ids
        ],
        annotations=[
            dict(
                id=i,
                image_id=i,
                category_id=1,
                iscrowd=0,
                num_keypoints=NUM_KEYPOINTS,
                bbox=[*corner[i - 1].round(1).tolist(), *size[i - 1].round(1).tolist()],
                area=float(size[i - 1].prod()),
                keypoints=joints[i - 1].flatten().tolist(),
            )
            for i in ids
        ],
        categories=[dict(id=1, name="person")],
    )
    mmengine.dump(content, str(folder / "people.json"))


def _read(dataset: BaseDataset, indices: np.ndarray) -> None:
    for index in indices:
        dataset[int(index)]


def _timed(work: Callable[[], Value]) -> tuple[Value, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start

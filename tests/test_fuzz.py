"""Any change of valid input gives a working result or an error that names it."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmpose.registry import MODELS
from tiny_domains import (
    COCO_MIDPOINTS,
    TRAIN_PIPELINE,
    coco_config,
    mpii_config,
    write_coco,
    write_mpii,
)
from tiny_model import model_config
from tiny_run import METHOD

from mmpose_da.datasets import AnnotationError, MixedDomainDataset

fuzz = settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
VALUES = [
    *(None, True, False, 0, -1, 1, 7, 0.5, -2.5, 1e30, 1e308, 2**70),
    *(float("nan"), float("inf"), -float("inf")),
    *("", "a", "3", "3.5", "../a.png"),
    *([], {}, [[]], [None], [1, [2, 3]], [0.0, 0.0], dict(id=1), [dict(id=1)]),
]


def change(draw, root: Any) -> list[tuple[list, Any]]:
    """Change, remove, or copy one or two values somewhere in nested dicts and lists.

    Returns:
        list[tuple]: The keys that lead to each, and its new value.
    """
    changes = []
    for _ in range(draw(st.integers(1, 2))):
        node, path = root, []
        while node:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = draw(st.sampled_from(keys))
            path = [*path, key]
            if not isinstance(node[key], (dict, list)) or draw(st.integers(0, 7)) == 7:
                break
            node = node[key]
        else:
            continue
        what = draw(st.sampled_from(["replace", "replace", "remove", "double"]))
        value = None
        if what == "replace":
            value = node[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        elif what == "double" and isinstance(node, list):
            node.append(copy.deepcopy(node[key]))
        else:
            del node[key]
        changes.append((path, value))
    return changes


# ----------------------------------------------------------- annotation files


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("domains")
    write_coco(folder / "coco", 3)
    write_mpii(folder / "mpii", 3)
    return folder


def blank_image(results: dict) -> dict:
    """Stands in for image loading, which is not tested here."""
    image = np.zeros((80, 80, 3), np.uint8)
    return dict(results, img=image, img_shape=(80, 80), ori_shape=(80, 80))


def people_in(content: Any) -> int:
    return len(content["annotations"] if isinstance(content, dict) else content)


@pytest.mark.parametrize("role", ["source", "target"])
@pytest.mark.parametrize("kind", ["coco", "mpii"])
def test_annotation_files(folder, kind, role):
    make = dict(coco=coco_config, mpii=mpii_config)[kind]
    cfg = make(folder / kind, serialize_data=False)
    path = Path(cfg["ann_file"])
    valid = path.read_text()

    @fuzz
    @given(st.data())
    def check(data):
        content = json.loads(valid)
        change(data.draw, content)
        path.write_text(json.dumps(content))
        try:
            dataset = MixedDomainDataset(
                "MpiiDataset",
                **{role: cfg},
                pipeline=[blank_image, *TRAIN_PIPELINE[1:]],
            )
        except AnnotationError as error:
            assert str(path) in str(error)
            assert "cannot be read as the annotations" not in str(error)
        except FileNotFoundError as error:
            assert "data_prefix" in str(error)  # an image whose name was changed
        else:
            (left_out,) = dataset.left_out.values()
            assert len(dataset) + len(left_out) == people_in(content)
            for index in range(len(dataset)):
                sample = dataset[index]
                boxes = sample["data_samples"].gt_instances.bboxes
                assert np.isfinite(boxes).all()

    try:
        check()
    finally:
        path.write_text(valid)


# -------------------------------------------------------------------- configs

ERRORS = (ValueError, FileNotFoundError, TypeError)


def names_a_change(error: Exception, changes: list[tuple[list, Any]]) -> bool:
    """Whether an error says where, or what, one of the changed values is."""
    says = str(error)
    words = [str(key) for path, _ in changes for key in path]
    words += [repr(value) for _, value in changes if value is not None]
    return any(word in says for word in words)


def test_dataset_configs(folder):
    valid = dict(
        joints="MpiiDataset",
        source=coco_config(
            folder / "coco", joint_map=COCO_MIDPOINTS, serialize_data=False
        ),
        target=mpii_config(folder / "mpii", serialize_data=False),
        labeled_target=dict(count=1, seed=0),
        pipeline=[blank_image, *TRAIN_PIPELINE[1:]],
    )

    @fuzz
    @given(st.data())
    def check(data):
        arguments = copy.deepcopy(valid)
        changes = change(data.draw, arguments)
        try:
            dataset = MixedDomainDataset(**arguments)
        except ERRORS as error:
            assert names_a_change(error, changes), (changes, error)
        else:
            assert len(dataset) == sum(dataset.lens) > 0
            assert dataset.domains == list(dataset.left_out)

    check()


def test_estimator_configs():
    valid = dict(
        joints="MpiiDataset",
        adaptations=METHOD,
        target_loss_weight=0.5,
        checkpoint_joints="MpiiDataset",
    )

    @fuzz
    @given(st.data())
    def check(data):
        arguments = copy.deepcopy(valid)
        changes = change(data.draw, arguments)
        try:
            estimator = MODELS.build(
                model_config(type="DomainAdaptiveTopdown", **arguments)
            )
        except ERRORS as error:
            assert names_a_change(error, changes), (changes, error)
        else:
            assert estimator.deployed.backbone is estimator.backbone

    check()

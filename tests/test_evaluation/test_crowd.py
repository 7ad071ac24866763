"""MMPose evaluates the rendered crowd as it does CrowdPose."""

import json

import numpy as np
import pytest
from mmpose.datasets import CrowdPoseDataset
from mmpose.evaluation.metrics import CocoMetric

from mmpose_da.rendering import CROWD, write_domain
from mmpose_da.rendering.crowd_index import LEVELS
from mmpose_da.structures import joint_definition

IMAGES = 24
METRICS = dict(easy="AP(E)", medium="AP(M)", hard="AP(H)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "crowd"
    write_domain(folder, CROWD, dict(val=IMAGES), size=64, format="crowdpose")
    return folder


@pytest.fixture(scope="module")
def ann_file(folder):
    return folder / "annotations/crowdpose_val.json"


def level_of(index):
    return [level for level, start in LEVELS.items() if index >= start][-1]


def predictions(ann_file, noise, rng):
    """Labels plus noise (pixels, by image), as MMPose's predictions."""
    dataset = CrowdPoseDataset(ann_file=str(ann_file), test_mode=True)
    samples = []
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        error = noise(info) * rng.standard_normal(info["keypoints"].shape)
        samples.append(
            dict(
                id=info["id"],
                img_id=info["img_id"],
                pred_instances=dict(
                    keypoints=info["keypoints"] + error,
                    keypoint_scores=np.ones((1, 14)),
                ),
                gt_instances=dict(bbox_scores=np.ones(1)),
            )
        )
    return samples


def evaluate(ann_file, noise=lambda info: 0.0):
    metric = CocoMetric(
        ann_file=str(ann_file),
        iou_type="keypoints_crowd",
        use_area=False,
        prefix="crowdpose",
    )
    metric.dataset_meta = joint_definition("CrowdPoseDataset")
    samples = predictions(ann_file, noise, np.random.default_rng(0))
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def with_indices(ann_file, path, index):
    """Write the annotations with other crowd indices, as a function of the position."""
    content = json.loads(ann_file.read_text())
    for position, image in enumerate(content["images"]):
        image["crowdIndex"] = index(position)
    path.write_text(json.dumps(content))
    return path


def test_labels_as_predictions_are_perfect_at_every_level(ann_file):
    result = evaluate(ann_file)
    for name in ("AP", "AP .5", "AP .75", "AR", *METRICS.values()):
        assert result[f"crowdpose/{name}"] == pytest.approx(1), name


def test_noise_lowers_the_precision(ann_file):
    low, high = (evaluate(ann_file, lambda info, n=n: n) for n in (1.0, 2.0))
    for name in ("AP", *METRICS.values()):
        key = f"crowdpose/{name}"
        assert 0 < high[key] < low[key] < 0.99, name


@pytest.mark.parametrize("level", LEVELS)
def test_noise_at_a_level_lowers_the_precision_of_that_level_only(ann_file, level):
    result = evaluate(
        ann_file, lambda info: 2.0 * (level_of(info["crowd_index"]) == level)
    )
    for each, name in METRICS.items():
        value = result[f"crowdpose/{name}"]
        assert value < 0.9 if each == level else value == pytest.approx(1), name


@pytest.mark.parametrize(
    "index, level",
    [
        *((0.0, "easy"), (0.15, "easy"), (0.199, "easy"), (0.2, "medium")),
        *((0.799, "medium"), (0.8, "hard"), (1.0, "hard"), (2.5, "hard")),
    ],
)
def test_levels_begin_where_those_of_the_metric_do(ann_file, tmp_path, index, level):
    assert level_of(index) == level
    path = with_indices(ann_file, tmp_path / "one_level.json", lambda position: index)
    result = evaluate(path)
    for each, name in METRICS.items():
        # The metric reports -1 for a level without images.
        expected = 1 if each == level else -1
        assert result[f"crowdpose/{name}"] == pytest.approx(expected), name


def test_people_whom_nobody_sees_do_not_count(ann_file, tmp_path):
    content = json.loads(ann_file.read_text())
    hidden = content["annotations"][0]
    hidden["keypoints"][2::3] = [1] * 14
    hidden["num_keypoints"] = 0
    path = tmp_path / "hidden.json"
    path.write_text(json.dumps(content))
    dataset = CrowdPoseDataset(ann_file=str(path), test_mode=True)
    ids = {dataset.get_data_info(i)["id"] for i in range(len(dataset))}
    assert ids == {a["id"] for a in content["annotations"][1:]}
    assert evaluate(path)["crowdpose/AP"] == pytest.approx(1)

"""Error against confidence of pseudo-labels."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_domains import COCO_JOINTS
from tiny_domains_3d import pose3d_config, write_pose3d

from mmpose_da.datasets import MixedDomainDataset, PseudoLabels
from mmpose_da.structures import joint_definition
from mmpose_da.visualization import LabelQuality, label_quality, plot_label_quality


def people_of(dataset: str, config: dict) -> MixedDomainDataset:
    return MixedDomainDataset(dataset, target=config, labeled_target=dict(ratio=1.0))


def names_of(dataset: str) -> tuple[str, ...]:
    names = joint_definition(dataset)["keypoint_id2name"]
    return tuple(names[i] for i in range(len(names)))


def test_errors_are_distances_relative_to_the_box(coco):
    coco.pop("joint_map")
    annotations = json.loads(Path(coco["ann_file"]).read_text())["annotations"]
    truth = np.array([a["keypoints"] for a in annotations]).reshape(-1, COCO_JOINTS, 3)
    shift = np.arange(6)[:, None, None] * [3.0, 4.0]  # 0, 5, 10, ... pixels
    labels = PseudoLabels(
        names_of("CocoDataset"),
        tuple(a["id"] for a in annotations),
        truth[..., :2] + shift,
        np.ones(truth.shape[:2]),
        np.linspace(1, 0, 6),
    )
    quality = label_quality(labels, people_of("CocoDataset", coco))
    expected = 100 * 5 * np.arange(6) / 64
    np.testing.assert_allclose(quality.errors, expected, atol=1e-4)
    assert quality.rank_correlation == pytest.approx(-1)
    assert quality.mean_error(0.5) == quality.lowest_error(0.5)
    assert quality.mean_error(0.5) == pytest.approx(100 * 5 / 64)
    assert quality.kept_error == quality.errors.mean()
    assert np.isnan(quality.dropped_error)
    # The two most confident people are kept.
    quality = label_quality(
        labels.most_confident(1 / 3), people_of("CocoDataset", coco)
    )
    np.testing.assert_allclose(quality.errors, expected, atol=1e-4)
    assert quality.kept.tolist() == [True] * 2 + [False] * 4
    assert quality.kept_error == pytest.approx(100 * 2.5 / 64)
    assert quality.dropped_error == pytest.approx(100 * 17.5 / 64)


def test_depth_counts(tmp_path):
    write_pose3d(tmp_path / "p", 4)
    config = pose3d_config(tmp_path / "p")
    dataset = people_of("Pose3dDataset", config)
    infos = [dataset.get_data_info(i) for i in range(4)]
    points = np.stack(
        [np.column_stack([i["keypoints"][0], i["depth"][0]]) for i in infos]
    )
    ids = tuple(int(i["id"]) for i in infos)
    ones = np.ones((4, 17))

    def quality(points):
        names = names_of("Human36mDataset")
        return label_quality(
            PseudoLabels(names, ids, points, ones, ones[:, 0]), dataset
        )

    np.testing.assert_allclose(quality(points).errors, 0, atol=1e-4)
    deeper = points + [0, 0, 8.0]
    np.testing.assert_allclose(quality(deeper).errors, 100 * 8 / 64, rtol=1e-4)


def test_ranking_against_a_perfect_one():
    rng = np.random.default_rng(0)
    errors = rng.uniform(1, 9, 200)
    worse = LabelQuality(-errors + rng.normal(0, 4, 200), errors, errors < 5)
    assert -0.9 < worse.rank_correlation < -0.2
    for share in (0.1, 0.5):
        assert worse.lowest_error(share) < worse.mean_error(share) < errors.mean()
    assert worse.mean_error(1.0) == pytest.approx(errors.mean())


def test_nobody_in_common(coco):
    coco.pop("joint_map")
    nothing = np.zeros((1, 17, 2))
    labels = PseudoLabels(
        names_of("CocoDataset"), (999,), nothing, nothing[..., 0], np.ones(1)
    )
    with pytest.raises(ValueError, match="none of the people"):
        label_quality(labels, people_of("CocoDataset", coco))


def test_picture(tmp_path):
    rng = np.random.default_rng(0)
    plot_label_quality(
        LabelQuality(rng.uniform(size=50), rng.uniform(size=50), np.ones(50, bool)),
        tmp_path / "a/q.png",
    )
    assert np.std(cv2.imread(str(tmp_path / "a/q.png"))) > 0

"""MPJPE of joints in image pixels, against a slow computation."""

import numpy as np
import pytest
from mmpose.registry import METRICS

from mmpose_da.evaluation import CameraMPJPE
from mmpose_da.structures import joint_definition

CAMERA = (310.0, 290.0, 80.0, 70.0)


def make_samples(count=5, noise=0.0, path="images/000001.jpg", seed=0):
    rng = np.random.default_rng(seed)
    fx, fy, cx, cy = CAMERA
    samples = []
    for _ in range(count):
        truth = rng.uniform((-400, -900, 3500), (400, 900, 4500), (1, 17, 3))
        root = truth[0, 0, 2]
        points = np.empty((1, 17, 3))
        for k, (x, y, z) in enumerate(truth[0]):
            points[0, k] = (
                fx * x / z + cx,
                fy * y / z + cy,
                (z - root) / root * (fx * fy) ** 0.5,
            )
        points += noise * rng.standard_normal(points.shape)
        samples.append(
            dict(
                id=1,
                img_path=path,
                camera=CAMERA,
                pred_instances=dict(keypoints=points),
                gt_instances=dict(keypoints_cam=truth),
            )
        )
    return samples


def evaluate(samples, mode="mpjpe"):
    metric = METRICS.build(dict(type="CameraMPJPE", mode=mode))
    metric.dataset_meta = joint_definition("Human36mDataset")
    metric.process(None, samples)
    return metric.compute_metrics(metric.results)


def slow_mpjpe(samples):
    fx, fy, cx, cy = CAMERA
    errors = []
    for sample in samples:
        truth = sample["gt_instances"]["keypoints_cam"][0]
        points = sample["pred_instances"]["keypoints"][0]
        found = []
        for x, y, depth in points:
            z = truth[0, 2] * (1 + depth / (fx * fy) ** 0.5)
            found.append([(x - cx) * z / fx, (y - cy) * z / fy, z])
        found = np.array(found)
        for k in range(17):
            a, b = found[k] - found[0], truth[k] - truth[0]
            errors.append(np.linalg.norm(a - b))
    return np.mean(errors)


@pytest.mark.parametrize("mode", ["mpjpe", "p-mpjpe"])
def test_labels_as_predictions_have_no_error(mode):
    [(name, value)] = evaluate(make_samples(), mode).items()
    assert name == mode.upper() and value == pytest.approx(0, abs=1e-6)


def test_against_a_slow_computation():
    samples = make_samples(noise=3.0)
    found = evaluate(samples)
    assert found == {"MPJPE": pytest.approx(slow_mpjpe(samples))}
    assert found["MPJPE"] > 20
    assert evaluate(samples, "p-mpjpe")["P-MPJPE"] < found["MPJPE"]


def test_actions_of_human36m():
    walking = make_samples(3, 2.0, "h36m/S9_Walking.54138969_000001.jpg", seed=1)
    sitting = make_samples(3, 6.0, "h36m/S11_Sitting_1.54138969_000007.jpg", seed=2)
    found = evaluate(walking + sitting)
    assert found["MPJPE_Walking"] == pytest.approx(slow_mpjpe(walking))
    assert found["MPJPE_Sitting"] == pytest.approx(slow_mpjpe(sitting))
    assert set(found) == {"MPJPE", "MPJPE_Walking", "MPJPE_Sitting"}


@pytest.mark.parametrize("missing", ["camera", "keypoints_cam"])
def test_missing_labels(missing):
    [sample] = make_samples(1)
    sample.pop(missing, None)
    sample["gt_instances"].pop(missing, None)
    with pytest.raises(ValueError, match="no 3D labels or no camera.*meta_keys"):
        evaluate([sample])
    assert CameraMPJPE().root == "root"

import json

import numpy as np
import pytest
from mmpose.evaluation.metrics import CocoMetric, MpiiPCKAccuracy
from tiny_domains import COCO_LIMBS, MPII_LIMBS, coco_config, write_coco

from mmpose_da.evaluation import (
    SharedJointsCocoMetric,
    SharedJointsMpiiPCK,
    SharedJointsPCK,
)
from mmpose_da.structures import joint_definition

LIMBS = [
    f"{side}_{part}"
    for part in ("ankle", "knee", "hip", "wrist", "elbow", "shoulder")
    for side in ("right", "left")
]


def sample(pred, gt, visible=None, head_size=10.0, box=(0, 0, 50, 100)):
    visible = np.ones(len(gt)) if visible is None else visible
    return dict(
        pred_instances=dict(keypoints=pred[None]),
        gt_instances=dict(
            keypoints=gt[None],
            keypoints_visible=visible[None],
            head_size=np.array([[head_size]]),
            bboxes=np.array([box], float),
        ),
    )


def evaluate(metric, dataset, samples):
    metric.dataset_meta = joint_definition(dataset)
    metric.process(None, samples)
    return metric.compute_metrics(metric.results)


@pytest.fixture
def people():
    """20 people with 16 joints and predictions with errors of 0 to 20 px."""
    rng = np.random.default_rng(0)
    result = []
    for _ in range(20):
        gt = rng.uniform(0, 100, (16, 2))
        angle = rng.uniform(0, 2 * np.pi, 16)
        error = rng.uniform(0, 20, 16)[:, None] * np.c_[np.cos(angle), np.sin(angle)]
        visible = rng.integers(0, 2, 16).astype(float)
        result.append((gt + error - 1, gt, visible))  # MPII's ground truth is 1-based
    return result


def test_mpii_pck_counts_the_shared_joints_alone(people):
    samples = [sample(pred, gt, visible) for pred, gt, visible in people]
    metrics = evaluate(SharedJointsMpiiPCK(joints=LIMBS), "MpiiDataset", samples)
    hits = {k: [] for k in MPII_LIMBS}
    for pred, gt, visible in people:
        for k in MPII_LIMBS:
            if visible[k]:
                hits[k].append(np.linalg.norm(pred[k] + 1 - gt[k]) <= 0.5 * 10)
    every = np.concatenate(list(hits.values()))
    assert metrics["PCKh@0.5 (12 joints)"] == pytest.approx(100 * every.mean())
    ankle = (np.mean(hits[0]) + np.mean(hits[5])) / 2
    assert metrics["Ankle PCK"] == pytest.approx(100 * ankle)
    assert "Head PCK" not in metrics and "PCK" not in metrics

    stock = evaluate(MpiiPCKAccuracy(), "MpiiDataset", samples)
    assert metrics["Knee PCK"] == pytest.approx(stock["Knee PCK"])
    assert metrics["PCKh@0.5 (12 joints)"] != pytest.approx(stock["PCK"])


def test_mpii_pck_with_the_head(people):
    samples = [sample(pred, gt, visible) for pred, gt, visible in people]
    joints = [*LIMBS, "upper_neck", "head_top"]
    metrics = evaluate(SharedJointsMpiiPCK(joints=joints), "MpiiDataset", samples)
    stock = evaluate(MpiiPCKAccuracy(), "MpiiDataset", samples)
    assert metrics["PCKh@0.5 (14 joints)"] == pytest.approx(stock["PCK"])
    assert metrics["Head PCK"] == pytest.approx(stock["Head PCK"])


def test_pck_is_normalized_by_the_longer_side(people):
    samples = [sample(p[:14] + 1, g[:14], v[:14]) for p, g, v in people]
    joints = ["right_ankle", "left_ankle", "right_knee"]
    metrics = evaluate(SharedJointsPCK(joints=joints, thr=0.1), "LspDataset", samples)
    hits = {k: [] for k in (0, 5, 1)}
    for pred, gt, visible in people:
        for k in hits:
            if visible[k]:
                hits[k].append(np.linalg.norm(pred[k] + 1 - gt[k]) < 0.1 * 100)
    mean = {k: 100 * np.mean(v) for k, v in hits.items()}
    assert metrics == {
        "Ankle PCK@0.1": pytest.approx((mean[0] + mean[5]) / 2),
        "Knee PCK@0.1": pytest.approx(mean[1]),
        "PCK@0.1 (3 joints)": pytest.approx(np.mean(list(mean.values()))),
    }


@pytest.mark.parametrize(
    "metric, dataset, offset",
    [(SharedJointsMpiiPCK, "MpiiDataset", 1), (SharedJointsPCK, "LspDataset", 0)],
)
def test_joint_without_labels_does_not_count(people, metric, dataset, offset):
    """Perfect predictions; one ankle and both wrists are labeled nowhere."""
    definition = joint_definition(dataset)
    hidden = ["left_ankle", "left_wrist", "right_wrist"]
    samples = []
    for _, gt, _ in people:
        gt = gt[: definition["num_keypoints"]]
        visible = np.ones(len(gt))
        visible[[definition["keypoint_name2id"][joint] for joint in hidden]] = 0
        samples.append(sample(gt - offset, gt, visible))
    metrics = evaluate(metric(joints=LIMBS), dataset, samples)
    assert set(metrics.values()) == {100}
    parts = {name.split()[0] for name in metrics}
    assert parts >= {"Ankle", "Knee"} and "Wrist" not in parts


def coco_samples(path, noise):
    """Predictions with MPII's joints for every annotation, noise px off."""
    rng = np.random.default_rng(0)
    content = json.loads(path.read_text())
    samples = []
    for annotation in content["annotations"]:
        given = np.array(annotation["keypoints"], float).reshape(17, 3)
        joints = rng.uniform(0, 80, (1, 16, 2))
        joints[0, MPII_LIMBS] = given[COCO_LIMBS, :2]
        joints[0, MPII_LIMBS] += rng.normal(0, noise, (12, 2))
        samples.append(
            dict(
                id=annotation["id"],
                img_id=annotation["image_id"],
                pred_instances=dict(
                    keypoints=joints, keypoint_scores=np.full((1, 16), 0.9)
                ),
                gt_instances=dict(
                    bbox_scores=np.ones(1), bbox_scales=np.array([[64.0, 64.0]])
                ),
            )
        )
    return samples


def coco_metrics(path, noise, times=1):
    metric = SharedJointsCocoMetric(
        joints=LIMBS, pred_joints="MpiiDataset", ann_file=str(path)
    )
    metric.dataset_meta = joint_definition("CocoDataset")
    for _ in range(times):
        metric.results.clear()
        metric.process(None, coco_samples(path, noise))
        size = len(metric.results)
        results = metric.evaluate(size)
    return results


def test_coco_ap_over_the_shared_joints(tmp_path):
    path = write_coco(tmp_path / "coco", 12)
    exact = coco_metrics(path, 0.0)
    assert exact["coco (12 joints)/AP"] == pytest.approx(1.0)
    assert {"AP", "AP .5", "AP .75", "AP (M)", "AP (L)", "AR"} <= {
        key.removeprefix("coco (12 joints)/") for key in exact
    }
    noisy = coco_metrics(path, 5.0)["coco (12 joints)/AP"]
    assert 0 < noisy < 0.9
    # evaluating again, as validation does, gives the same
    again = coco_metrics(path, 5.0, times=3)["coco (12 joints)/AP"]
    assert again == pytest.approx(noisy)


def test_coco_people_without_shared_joints_are_ignored(tmp_path):
    path = write_coco(tmp_path / "coco", 6)
    content = json.loads(path.read_text())
    keypoints = np.array(content["annotations"][0]["keypoints"]).reshape(17, 3)
    keypoints[5:] = 0  # a face alone
    content["annotations"][0].update(keypoints=keypoints.ravel().tolist())
    path.write_text(json.dumps(content))

    everyone = coco_samples(path, 0.0)
    metric = SharedJointsCocoMetric(
        joints=LIMBS, pred_joints="MpiiDataset", ann_file=str(path)
    )
    metric.dataset_meta = joint_definition("CocoDataset")
    metric.process(None, everyone[1:])  # the face is not found
    assert metric.evaluate(5)["coco (12 joints)/AR"] == pytest.approx(1.0)


def test_coco_sigmas_are_those_of_the_shared_joints(tmp_path):
    path = write_coco(tmp_path / "coco", 2)
    metric = SharedJointsCocoMetric(
        joints=LIMBS, pred_joints="MpiiDataset", ann_file=str(path)
    )
    given = joint_definition("CocoDataset")
    metric.dataset_meta = given
    ids = [given["keypoint_name2id"][joint] for joint in LIMBS]
    np.testing.assert_allclose(metric.dataset_meta["sigmas"], given["sigmas"][ids])
    assert metric.dataset_meta["num_keypoints"] == 12
    assert len(given["sigmas"]) == 17  # the caller's is not changed
    stock = CocoMetric(ann_file=str(path))
    assert stock.coco.anns[10]["num_keypoints"] == 17
    assert metric.coco.anns[10]["num_keypoints"] == 12


def test_annotations_come_from_the_validation_dataset(tmp_path):
    from mmpose.registry import DATASETS

    write_coco(tmp_path / "coco", 3)
    dataset = DATASETS.build(coco_config(tmp_path / "coco", test_mode=True))
    metric = SharedJointsCocoMetric(joints=LIMBS, pred_joints="MpiiDataset")
    metric.dataset_meta = dataset.metainfo
    assert len(metric.coco.anns) == 3


def test_unknown_joints_are_named(people):
    samples = [sample(pred, gt, visible) for pred, gt, visible in people]
    with pytest.raises(ValueError, match=r"\['left_tail'\].*'mpii'"):
        evaluate(SharedJointsMpiiPCK(joints=["left_tail"]), "MpiiDataset", samples)
    with pytest.raises(ValueError, match=r"\['nose'\].*'mpii'"):
        SharedJointsCocoMetric(joints=["nose"], pred_joints="MpiiDataset")


@pytest.mark.parametrize(
    "metric, offset", [(SharedJointsPCK, 0.0), (SharedJointsMpiiPCK, -1.0)]
)
def test_predictions_with_other_joints_are_matched_by_name(people, metric, offset):
    """A model with COCO's joints, evaluated on MPII's."""
    plain = [sample(pred + offset, gt, visible) for pred, gt, visible in people]
    expected = evaluate(metric(joints=LIMBS), "MpiiDataset", plain)
    other = []
    for pred, gt, visible in people:
        coco = np.full((17, 2), -99.0)
        coco[COCO_LIMBS] = pred[MPII_LIMBS] + offset
        other.append(sample(coco, gt, visible))
    by_name = metric(joints=LIMBS, pred_joints="CocoDataset")
    assert evaluate(by_name, "MpiiDataset", other) == expected
    with pytest.raises(ValueError, match="17 joints.*'mpii'.*16: set `val_evaluator.p"):
        evaluate(metric(joints=LIMBS), "MpiiDataset", other)
    with pytest.raises(ValueError, match="'pelvis'.*'coco'"):
        joints = [*LIMBS, "pelvis"]
        wrong = metric(joints=joints, pred_joints="CocoDataset")
        evaluate(wrong, "MpiiDataset", other)


def test_further_thresholds(people):
    """Each is what the metric gives with this threshold alone."""
    samples = [sample(pred, gt, visible) for pred, gt, visible in people]
    metric = SharedJointsMpiiPCK(joints=LIMBS, more_thr=(1.0, 0.2))
    found = evaluate(metric, "MpiiDataset", samples)
    for thr, name in ((1.0, "PCKh@1 (12 joints)"), (0.2, "PCKh@0.2 (12 joints)")):
        alone = SharedJointsMpiiPCK(joints=LIMBS, thr=thr)
        assert found[name] == evaluate(alone, "MpiiDataset", samples)[name]
    alone = evaluate(SharedJointsMpiiPCK(joints=LIMBS), "MpiiDataset", samples)
    assert {name: found[name] for name in alone} == alone
    assert metric.thr == 0.5


def test_samples_without_keypoints_do_not_count(people):
    samples = [sample(pred, gt, visible) for pred, gt, visible in people]
    parts = dict(pred_instances=samples[0]["pred_instances"], gt_instances=dict())
    for kind in (SharedJointsMpiiPCK, SharedJointsPCK):
        alone = evaluate(kind(joints=LIMBS), "MpiiDataset", samples)
        mixed = [samples[0], parts, *samples[1:], parts]
        assert evaluate(kind(joints=LIMBS), "MpiiDataset", mixed) == alone


@pytest.mark.parametrize("mpii", [True, False])
def test_exchanged_sides(people, mpii):
    kind, size, offset = (
        (SharedJointsMpiiPCK, 0.5 * 10, 1) if mpii else (SharedJointsPCK, 0.1 * 100, 0)
    )
    sides = [(2, 3), (1, 4), (0, 5), (12, 13), (11, 14), (10, 15)]
    other = dict(sides) | {b: a for a, b in sides}
    swapped = [10, 11, 12, 13]  # of every second person
    samples, wrong, count = [], 0, 0
    for number, (pred, gt, visible) in enumerate(people):
        pred = pred.copy()
        if number % 2:
            pred[swapped] = gt[[other[k] for k in swapped]] - offset
        samples.append(sample(pred, gt, visible))
        for k in MPII_LIMBS:
            count += visible[k] > 0
            own, opposite = (
                np.linalg.norm(pred[k] + offset - gt[j]) <= size and visible[j] > 0
                for j in (k, other[k])
            )
            wrong += visible[k] > 0 and opposite and not own
    metric = kind(joints=LIMBS, exchanged=True)
    metrics = evaluate(metric, "MpiiDataset", samples)
    assert wrong > 5
    assert metrics["exchanged (12 joints)"] == pytest.approx(100 * wrong / count)
    assert "exchanged (12 joints)" not in evaluate(
        kind(joints=LIMBS), "MpiiDataset", samples
    )

"""Coordinates are 0-based pixel centers, from a file to the metric and back.

For every format that the toolbox reads, labels as predictions score 100 at the
strictest threshold, and a network that finds pixels exactly is exact in each.
"""

import json
from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.evaluation.metrics import MpiiPCKAccuracy
from mmpose.registry import DATASETS, METRICS, MODELS
from scipy.io import savemat
from torch import nn

from mmpose_da.datasets import ZeroBasedMpiiDataset
from mmpose_da.models.layers import gaussian_heatmaps
from mmpose_da.rendering import (
    JOINT_IDS,
    STREET,
    render_sample,
    sample_rng,
    write_domain,
)

CONFIGS = Path(__file__).parents[1] / "configs"
LIMBS = Config.fromfile(CONFIGS / "_base_/sets/limb_joints.py").limb_joints
SIZE, PEOPLE = 160, 6


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """The same rendered people in COCO's and in MPII's format."""
    root = tmp_path_factory.mktemp("street")
    for format in ("coco", "mpii"):
        write_domain(root / format, STREET, dict(val=PEOPLE), format=format)
    return root


def read(root, format, **kwargs):
    annotations = root / format / "annotations"
    if format == "coco":
        kwargs.update(type="CocoDataset")
        kwargs.update(ann_file=str(annotations / "person_keypoints_val.json"))
    else:
        kwargs = dict(dict(type="ZeroBasedMpiiDataset"), **kwargs)
        kwargs.update(ann_file=str(annotations / "mpii_val.json"))
        kwargs.update(headbox_file=str(annotations / "mpii_gt_val.mat"))
    images = dict(img=str(root / format / "images"))
    return DATASETS.build(dict(kwargs, data_prefix=images, test_mode=True))


def metric_of(root, format):
    if format == "mpii":
        return METRICS.build(dict(type="SharedJointsMpiiPCK", joints=LIMBS))
    return METRICS.build(
        dict(
            type="SharedJointsCocoMetric",
            joints=LIMBS,
            pred_joints="CocoDataset",
            ann_file=str(root / format / "annotations/person_keypoints_val.json"),
        )
    )


def evaluate(metric, dataset, predictions):
    """The metrics of predictions (K, 2) for the people of a dataset, in their order."""
    metric.dataset_meta = dataset.metainfo
    for index, points in enumerate(predictions):
        info = dataset.get_data_info(index)
        gt = {k: info[k] for k in ("keypoints", "keypoints_visible") if k in info}
        gt.update(bboxes=info["bbox"], bbox_scores=info["bbox_score"])
        gt.update({k: info[k] for k in ("head_size",) if k in info})
        sample = dict(
            id=info["id"],
            img_id=info["img_id"],
            category_id=info.get("category_id", 1),
            gt_instances=gt,
            raw_ann_info=info.get("raw_ann_info"),
            pred_instances=dict(
                keypoints=points[None], keypoint_scores=np.ones((1, len(points)))
            ),
        )
        metric.process(None, [sample])
    return metric.evaluate(len(dataset))


STRICTEST = dict(mpii=("PCKh@0.1 (12 joints)", 100), coco=("coco (12 joints)/AP", 1))


@pytest.mark.parametrize("format", STRICTEST)
def test_labels_as_predictions_are_perfect(street, format):
    dataset = read(street, format)
    labels = [dataset.get_data_info(i)["keypoints"][0] for i in range(PEOPLE)]
    name, best = STRICTEST[format]
    metric = metric_of(street, format)
    assert evaluate(metric, dataset, labels)[name] == pytest.approx(best)


@pytest.mark.parametrize("format", STRICTEST)
def test_rendered_joints_as_predictions_are_perfect(street, format):
    """What the renderer drew, not what was written and read."""
    dataset = read(street, format)
    names = dataset.metainfo["keypoint_id2name"]
    ids = [JOINT_IDS[names[i]] for i in range(len(names))]
    samples = [
        render_sample(STREET, sample_rng(0, STREET.name, "val", i), SIZE)
        for i in range(PEOPLE)
    ]
    name, best = STRICTEST[format]
    metrics = evaluate(
        metric_of(street, format), dataset, [s.joints[ids] for s in samples]
    )
    assert metrics[name] == pytest.approx(best)


def test_both_formats_agree_to_a_hundredth_of_a_pixel(street):
    by_format = {}
    for format in STRICTEST:
        dataset = read(street, format)
        ids = dataset.metainfo["keypoint_name2id"]
        infos = [dataset.get_data_info(i) for i in range(PEOPLE)]
        chosen = [ids[joint] for joint in LIMBS]
        points = np.stack([info["keypoints"][0, chosen] for info in infos])
        seen = np.stack([info["keypoints_visible"][0, chosen] for info in infos]) > 0
        by_format[format] = points[seen]
    np.testing.assert_allclose(by_format["coco"], by_format["mpii"], atol=0.01)


def test_stock_mpii_dataset_is_evaluated_correctly_as_well(street):
    """It reads 1-based joints; its own metric and ours account for that."""
    stock, ours = read(street, "mpii", type="MpiiDataset"), read(street, "mpii")
    exact = [ours.get_data_info(i)["keypoints"][0] for i in range(PEOPLE)]
    name, best = STRICTEST["mpii"]
    metrics = evaluate(metric_of(street, "mpii"), stock, exact)
    assert metrics[name] == pytest.approx(best)
    assert evaluate(MpiiPCKAccuracy(), stock, exact)["PCK@0.1"] == pytest.approx(best)


def test_mpii_file_counts_from_1(street):
    [first, *_] = json.loads((street / "mpii/annotations/mpii_val.json").read_text())
    sample = render_sample(STREET, sample_rng(0, STREET.name, "val", 0), SIZE)
    ankle = sample.joints[JOINT_IDS["right_ankle"]]
    np.testing.assert_allclose(np.subtract(first["joints"][0], 1), ankle, atol=0.01)


# A network that finds pixels exactly


class Pixels(nn.Module):
    """A backbone whose features are the image."""

    def forward(self, images):
        return (images,)


class BlobFinder:
    """Finds the only blob of an image, exactly, and says that every joint is there.

    It stands in for the layers of backbone and head; codec, flip test, crop and
    metric are the real ones.
    """

    def __init__(self, num_joints, codec):
        self.num_joints = num_joints
        self.width, self.height = codec.heatmap_size
        self.scale = torch.as_tensor(codec.scale_factor)
        self.sigma = codec.sigma

    def points(self, images):
        light = images.double().mean(1)
        light = (light - light.amin((1, 2), True)).clamp(min=0)
        total = light.sum((1, 2))
        x = (light.sum(1) * torch.arange(light.shape[2])).sum(1) / total
        y = (light.sum(2) * torch.arange(light.shape[1])).sum(1) / total
        return torch.stack([x, y], -1)

    def __call__(self, images):
        points = (self.points(images) / self.scale)[:, None]
        points = points.expand(-1, self.num_joints, -1)
        return gaussian_heatmaps(points, (self.height, self.width), self.sigma).float()


def blob_set(folder, format, seed=0):
    """Images of one blob, at which all joints are, in one of the formats."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    points = rng.uniform(60, 100, (PEOPLE, 2))
    grid = np.mgrid[:SIZE, :SIZE][::-1]
    for index, point in enumerate(points):
        square = ((grid - point[:, None, None]) ** 2).sum(0)
        image = np.rint(250 * np.exp(-square / (2 * 6**2))).astype(np.uint8)
        cv2.imwrite(str(folder / f"images/{index:07d}.png"), np.dstack([image] * 3))
    boxes = np.tile([30.0, 30.0, 130.0, 130.0], (PEOPLE, 1)) + rng.uniform(
        -5, 5, (PEOPLE, 4)
    )
    (folder / "annotations").mkdir()
    writer = dict(coco=write_blob_coco, mpii=write_blob_mpii)[format]
    writer(folder / "annotations", points, boxes)
    return points


def write_blob_mpii(folder, points, boxes):
    annotations = []
    for index, (point, box) in enumerate(zip(points, boxes, strict=True)):
        low, high = box[:2], box[2:]
        scale = (high - low).max() / 200
        annotations.append(
            dict(
                image=f"{index:07d}.png",
                center=((low + high) / 2 + 1 - (0, 15 * scale)).tolist(),
                scale=scale,
                joints=np.tile(point + 1, (16, 1)).tolist(),
                joints_vis=[1] * 16,
            )
        )
    (folder / "mpii_val.json").write_text(json.dumps(annotations))
    heads = np.tile(np.array([[1.0, 1.0], [13.0, 13.0]])[..., None], len(points))
    savemat(folder / "mpii_gt_val.mat", dict(headboxes_src=heads))


def write_blob_coco(folder, points, boxes):
    images = [
        dict(id=i, file_name=f"{i:07d}.png", width=SIZE, height=SIZE)
        for i in range(len(points))
    ]
    annotations = [
        dict(
            id=i,
            image_id=i,
            category_id=1,
            iscrowd=0,
            bbox=[*box[:2].tolist(), *(box[2:] - box[:2]).tolist()],
            area=100.0,  # small, so that COCO's tolerance is small
            num_keypoints=17,
            keypoints=np.tile([*point, 2.0], 17).tolist(),
        )
        for i, (point, box) in enumerate(zip(points, boxes, strict=True))
    ]
    content = dict(
        images=images, annotations=annotations, categories=[dict(id=1, name="person")]
    )
    (folder / "person_keypoints_val.json").write_text(json.dumps(content))


def exact_network(cfg, joints):
    model = deepcopy(cfg.model.to_dict())
    model.update(joints=f"{joints}Dataset")
    num_joints = dict(Coco=17, Mpii=16)[joints]
    model["head"].update(out_channels=num_joints)
    model = MODELS.build(model)
    finder = BlobFinder(num_joints, model.head.decoder)
    model.backbone = Pixels()
    model.head.forward = lambda feats: finder(feats[-1])
    return model.eval()


def predict(model, dataset):
    """The estimator's own prediction (N, K, 2), flip test and crop included."""
    batch = pseudo_collate([dataset[index] for index in range(len(dataset))])
    with torch.no_grad():
        samples = model.predict(**model.data_preprocessor(batch))
    return np.stack([sample.pred_instances.keypoints[0] for sample in samples])


def crop_of(cfg):
    [crop] = [t for t in cfg["val_pipeline"] if t["type"] == "TopdownAffine"]
    return crop


@pytest.fixture(scope="module")
def small():
    return Config.fromfile(CONFIGS / "da/studio2street_res18_pretrain.py")


@pytest.mark.parametrize("flip_test", [True, False])
@pytest.mark.parametrize("format, joints", [("coco", "Coco"), ("mpii", "Mpii")])
def test_an_exact_network_is_exact_in_every_format(
    small, tmp_path, format, joints, flip_test
):
    expected = blob_set(tmp_path / format, format)
    cfg = deepcopy(small)
    cfg.model.test_cfg.flip_test = flip_test
    dataset = read(tmp_path, format, pipeline=cfg.val_pipeline)
    found = predict(exact_network(cfg, joints), dataset)
    assert np.abs(found - expected[:, None]).max() < 0.12  # one crop px is 1.7 px
    name, best = STRICTEST[format]
    assert evaluate(metric_of(tmp_path, format), dataset, found)[name] == (
        pytest.approx(best)
    )


MSRA = dict(type="MSRAHeatmap", input_size=(64, 64), heatmap_size=(32, 32), sigma=2)
CODECS = dict(
    udp=(dict(MSRA, type="UDPHeatmap"), False, 0.0),
    # A flipped heatmap is (stride - 1) / stride px off: by 0.5 px before the shift of
    # 1 px, by 0.5 px in the other direction after it. The mean with the heatmap that is
    # right halves it, and a heatmap pixel is 2 px of the crop.
    msra_shifted=(dict(MSRA, unbiased=True), True, 0.5),
    msra_not_shifted=(dict(MSRA, unbiased=True), False, -0.5),
    msra_stride_4=(dict(MSRA, unbiased=True, heatmap_size=(16, 16)), True, 0.5),
)


@pytest.mark.parametrize("name", CODECS)
def test_bias_of_the_flip_test_by_codec(small, tmp_path, name):
    """In pixels of the crop; the configs of this project use the one without."""
    codec, shift, expected = CODECS[name]
    points = blob_set(tmp_path / "mpii", "mpii")
    cfg = deepcopy(small)
    cfg.model.head.decoder = codec
    crop_of(cfg).use_udp = codec["type"] == "UDPHeatmap"
    cfg.model.test_cfg.update(flip_test=True, shift_heatmap=shift)
    dataset = read(tmp_path, "mpii", pipeline=cfg.val_pipeline)
    found = predict(exact_network(cfg, "Mpii"), dataset)
    scale = np.stack([dataset[i]["data_samples"].input_scale for i in range(PEOPLE)])
    bias = ((found - points[:, None]) * 64 / scale[:, None]).mean((0, 1))
    assert bias[0] == pytest.approx(expected, abs=0.1)
    assert bias[1] == pytest.approx(0, abs=0.1)


def test_udp_heatmaps_need_the_crop_of_udp(small, tmp_path):
    points = blob_set(tmp_path / "mpii", "mpii")
    cfg = deepcopy(small)
    crop_of(cfg).use_udp = False
    dataset = read(tmp_path, "mpii", pipeline=cfg.val_pipeline)
    found = predict(exact_network(cfg, "Mpii"), dataset)
    assert np.abs(found - points[:, None]).max() > 0.5


def test_configs_of_small_models_have_no_bias():
    """Every config with heatmaps of stride 2 or 1 has a codec that is exact there."""
    for path in sorted((CONFIGS / "da").glob("studio2street*.py")):
        cfg = Config.fromfile(path)
        codec = cfg.model.head.decoder
        assert codec.type == "UDPHeatmap"
        assert cfg.model.test_cfg.shift_heatmap is False
        for pipeline in (cfg.train_pipeline, cfg.val_pipeline):
            assert crop_of(dict(val_pipeline=pipeline)).use_udp


def test_mpii_pairs_read_mpii_from_0():
    for path in sorted((CONFIGS / "da").glob("*mpii*.py")):
        cfg = Config.fromfile(path)
        dataset = cfg.train_dataloader.dataset
        for part in (dataset.get("source"), dataset.get("target"), cfg.target_val):
            if part is not None and "mpii" in part.ann_file:
                assert part.type == ZeroBasedMpiiDataset.__name__

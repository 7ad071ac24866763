from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import Compose
from mmengine.dataset import BaseDataset
from mmengine.fileio import exists
from mmengine.logging import print_log
from mmpose.datasets import CombinedDataset
from mmpose.registry import DATASETS
from mmpose.structures import PoseDataSample

from ..structures import (
    SOURCE,
    TARGET_LABELED,
    TARGET_UNLABELED,
    joint_mapping,
    joint_metainfo,
)

#: What remains of an annotation without labels: the image and the person's box.
UNLABELED_KEYS = (
    "id",
    "img_id",
    "img_path",
    "bbox",
    "bbox_score",
    "bbox_center",
    "bbox_scale",
    "category_id",
)


@DATASETS.register_module()
class MixedDomainDataset(CombinedDataset):
    """People of a source and of a target domain, under one joint definition.

    The setting is read off the arguments:

    ============================  ======  ======  ====================
    setting                       source  target  labeled_target
    ============================  ======  ======  ====================
    source only                   given   None    None
    unsupervised (UDA)            given   given   None
    semi-supervised (SSDA)        given   given   a ratio or a count
    oracle (trained on target)    None    given   ``dict(ratio=1.0)``
    source-free                   None    given   None
    ============================  ======  ======  ====================

    The domains, in this order, are ``source``, ``target_labeled`` and
    ``target_unlabeled``; those that a setting does not have are left out. A sample's
    domain is in the metainfo of its ``PoseDataSample``, as ``domain``.

    The people of ``target_unlabeled`` have a box and no labels. The labels are removed
    while the annotations are read, before any transform can see them. They don't take
    part in the choice of people either: MMPose drops a person with no labelled joint,
    which an unlabelled domain can't know, so here such a person stays, and so does one
    whose annotation has nothing but a box.

    Args:
        joints (str | dict): The one joint definition; see
            :func:`~mmpose_da.structures.joint_metainfo`.
        source (dict, optional): Config of any MMPose dataset, without a pipeline. Its
            joints are mapped by name; a ``joint_map`` in it maps those whose names
            differ (see :func:`~mmpose_da.structures.joint_mapping`). A joint that
            it can't give has weight 0. Defaults to None.
        target (dict, optional): The same for the target domain. Defaults to None.
        labeled_target (dict, optional): The share of the target images whose labels
            are used, ``dict(ratio=0.05)`` or ``dict(count=500)``, and the ``seed`` of
            the choice (0 if not given). The choice is by image, so that no image is in
            both target domains. Defaults to None, which means no target labels.
        pipeline (Sequence[dict]): MMPose's transforms, the same for all domains.
            Defaults to ().

    Raises:
        FileNotFoundError: An annotation file is missing.
        ValueError: A domain is empty, an annotation has the wrong number of joints, or
            the arguments fit no setting.
    """

    def __init__(
        self,
        joints: str | dict,
        source: dict | None = None,
        target: dict | None = None,
        labeled_target: dict | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ) -> None:
        if source is None and target is None:
            raise ValueError("MixedDomainDataset needs a source, a target, or both")
        if labeled_target is not None and target is None:
            raise ValueError("labeled_target is given, but there is no target")

        super().__init__(
            metainfo=joint_metainfo(joints), datasets=[], pipeline=pipeline, **kwargs
        )
        labels_all = labeled_target is not None and labeled_target.get("ratio") == 1
        domains = {}
        if source is not None:
            domains[SOURCE] = self._load_domain(SOURCE, source)
        if labeled_target is not None:
            domains[TARGET_LABELED] = self._load_domain(TARGET_LABELED, target)
        if target is not None and not labels_all:
            domains[TARGET_UNLABELED] = self._load_domain(TARGET_UNLABELED, target)
        if labeled_target is not None and not labels_all:
            _split_by_image(
                domains[TARGET_LABELED], domains[TARGET_UNLABELED], **labeled_target
            )
        for name, dataset in domains.items():
            print_log(f"domain {name}: {len(dataset)} people", "current")
        self.domains = list(domains)
        self.datasets = list(domains.values())
        self._lens = [len(dataset) for dataset in self.datasets]
        self._len = sum(self._lens)

    def _load_domain(self, domain: str, cfg: dict) -> BaseDataset:
        """Build one domain's dataset, with its joints mapped and labels hidden."""
        cfg = dict(cfg)
        if cfg.pop("pipeline", None):
            raise ValueError(
                f"the dataset of the domain '{domain}' has a pipeline; give the "
                "transforms to MixedDomainDataset, which applies them to all domains"
            )
        joint_map = cfg.pop("joint_map", None)
        dataset = DATASETS.build(dict(cfg, lazy_init=True))
        if not exists(dataset.ann_file):
            raise FileNotFoundError(
                f"the annotation file '{dataset.ann_file}' of the domain '{domain}' "
                "does not exist; check data_root and ann_file in its config"
            )
        if domain == TARGET_UNLABELED:
            _load_without_labels(dataset)
        else:
            _load_with_labels(dataset)

        mapping = joint_mapping(dataset.metainfo, self.metainfo, joint_map)
        converter = dict(
            type="KeypointConverter",
            num_keypoints=self.metainfo["num_keypoints"],
            mapping=mapping,
        )
        dataset.pipeline = Compose([converter])
        return dataset

    def domain_of(self, index: int) -> str:
        """The name of the domain that a sample's global index belongs to."""
        return self.domains[self._get_subset_index(index)[0]]

    def prepare_data(self, idx: int) -> Any:
        """One sample after the pipeline, with its domain and without hidden labels.

        Raises:
            RuntimeError: The pipeline failed, or gave None; names domain, annotation
                and image.
        """
        domain = self.domain_of(idx)
        try:
            data = super().prepare_data(idx)
            if data is None:
                raise ValueError("the pipeline gave None")
        except Exception as error:
            domain_index, local_index = self._get_subset_index(idx)
            info = BaseDataset.get_data_info(self.datasets[domain_index], local_index)
            raise RuntimeError(
                f"annotation {info['id']} of the domain '{domain}', image "
                f"'{info['img_path']}', could not be prepared: {error}"
            ) from error
        if "data_samples" in data:
            sample = data["data_samples"]
            sample.set_metainfo(dict(domain=domain))
            if domain == TARGET_UNLABELED:
                _drop_label_fields(sample)
        return data


def _drop_label_fields(sample: PoseDataSample) -> None:
    """Remove what the pipeline made of labels that were not there."""
    for name in ("gt_fields", "gt_instance_labels"):
        if name in sample:
            delattr(sample, name)
    for name in ("keypoints", "keypoints_visible"):
        sample.gt_instances.pop(name, None)


def _load_with_labels(dataset: BaseDataset) -> None:
    """Load the annotations of a lazily built dataset and check their joints."""
    num_keypoints = dataset.metainfo["num_keypoints"]

    def check(count: float, annotation_id: Any) -> None:
        if count != num_keypoints:
            raise ValueError(
                f"annotation {annotation_id} in '{dataset.ann_file}' has {count:g} "
                f"joints, but {type(dataset).__name__} has {num_keypoints}"
            )

    def parse_data_info(raw: dict) -> dict | None:
        annotation = raw["raw_ann_info"]
        if "keypoints" in annotation:
            check(np.size(annotation["keypoints"]) / 3, annotation["id"])
        return type(dataset).parse_data_info(dataset, raw)

    def load_data_list() -> list[dict]:
        data_list = _load_people(dataset)
        for info in data_list:
            check(info["keypoints"].shape[1], info["id"])
        return data_list

    _full_init(dataset, parse_data_info=parse_data_info, load_data_list=load_data_list)


def _load_without_labels(dataset: BaseDataset) -> None:
    """Load the boxes of a lazily built dataset; see :class:`MixedDomainDataset`."""
    num_keypoints = dataset.metainfo["num_keypoints"]

    def parse_data_info(raw: dict) -> dict | None:
        annotation = raw["raw_ann_info"]
        if "bbox" not in annotation:
            return None
        box_only = {k: annotation[k] for k in ("id", "image_id", "category_id", "bbox")}
        box_only["iscrowd"] = annotation.get("iscrowd", 0)
        box_only["keypoints"] = [0.0] * (3 * num_keypoints)
        box_only["segmentation"] = []  # some classes ask for it
        return type(dataset).parse_data_info(dataset, dict(raw, raw_ann_info=box_only))

    def has_box(info: dict) -> bool:
        width, height = info["bbox"][0, 2:] - info["bbox"][0, :2]
        return not info.get("iscrowd") and width > 0 and height > 0

    def load_data_list() -> list[dict]:
        return [
            dict(
                {key: info[key] for key in UNLABELED_KEYS if key in info},
                keypoints=np.zeros((1, num_keypoints, 2), np.float32),
                keypoints_visible=np.zeros((1, num_keypoints), np.float32),
            )
            for info in _load_people(dataset)
        ]

    _full_init(
        dataset,
        parse_data_info=parse_data_info,
        load_data_list=load_data_list,
        _is_valid_instance=has_box,
    )


def _load_people(dataset: BaseDataset) -> list[dict]:
    """The dataset's own list of people, which must not be empty."""
    people = type(dataset).load_data_list(dataset)
    if not people:
        raise ValueError(f"'{dataset.ann_file}' has no person that can be used")
    return people


def _full_init(dataset: BaseDataset, **methods: Callable) -> None:
    """Load the annotations with some of the dataset's methods replaced meanwhile."""
    vars(dataset).update(methods)
    try:
        dataset.full_init()
    finally:
        for name in methods:
            delattr(dataset, name)


def _split_by_image(
    labeled: BaseDataset,
    unlabeled: BaseDataset,
    ratio: float | None = None,
    count: int | None = None,
    seed: int = 0,
) -> None:
    """Leave the chosen images to ``labeled`` and all others to ``unlabeled``."""
    if (ratio is None) == (count is None):
        raise ValueError("labeled_target needs a ratio or a count, and not both")
    images = [
        [BaseDataset.get_data_info(dataset, i)["img_id"] for i in range(len(dataset))]
        for dataset in (labeled, unlabeled)
    ]
    candidates = sorted(set(images[0]))
    if ratio is not None:
        if not 0 < ratio <= 1:
            raise ValueError(f"labeled_target ratio must be in (0, 1], but is {ratio}")
        count = max(1, round(ratio * len(candidates)))
    if not 0 < count <= len(candidates):
        raise ValueError(
            f"labeled_target count must be from 1 to {len(candidates)}, the number of "
            f"images with labels in '{labeled.ann_file}', but is {count}"
        )
    order = np.random.RandomState(seed).permutation(len(candidates))
    chosen = {candidates[i] for i in order[:count]}
    rest = [i for i, image in enumerate(images[1]) if image not in chosen]
    if not rest:
        raise ValueError(
            f"labeled_target takes all {len(candidates)} images of "
            f"'{labeled.ann_file}' and leaves none unlabelled; if this is meant, say "
            "dict(ratio=1.0)"
        )
    labeled.get_subset_([i for i, image in enumerate(images[0]) if image in chosen])
    unlabeled.get_subset_(rest)

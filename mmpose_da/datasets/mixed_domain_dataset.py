from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from numbers import Real
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.dataset import BaseDataset
from mmengine.fileio import exists
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from mmpose.datasets import CombinedDataset, MpiiDataset
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.datasets.transforms import KeypointConverter, LoadImage, PackPoseInputs
from mmpose.registry import DATASETS, TRANSFORMS
from mmpose.structures import PoseDataSample

from ..codecs import MarginalHeatmap
from ..seeding import SeededBatch, seed_all
from ..structures import (
    SOURCE,
    TARGET_LABELED,
    TARGET_PSEUDO,
    TARGET_UNLABELED,
    joint_mapping,
    joint_metainfo,
)
from .depth import DepthConverter
from .load_intact_image import LoadIntactImage
from .mpii_dataset import ZeroBasedMpiiDataset
from .part_crop import PartCrops
from .people import BoxJitter, Labels, LeftOut, describe, load_people
from .pseudo_labels import PseudoLabels, people_hash

#: Results that say which part labels are those of a crop; as ``meta_keys``.
_SHOWN = dict.fromkeys(
    ("flip", "flip_indices", "part_crop", "part_zoomed", "part_regions")
)


class _SaidByTheConfig:
    """A ``METAINFO`` that the class does not have.

    MMPose's ``init_model`` reads it from the class if a checkpoint has no metainfo, and
    fails with an assertion if it is empty. An AttributeError makes it fall back to the
    model, whose ``joints`` are those of the dataset.
    """

    def __get__(self, dataset: BaseDataset | None, cls: type) -> None:
        raise AttributeError(
            f"the joints are an argument of {cls.__name__}, not a class attribute"
        )


@DATASETS.register_module()
class MixedDomainDataset(CombinedDataset):
    """People of a source and a target domain, under one joint definition.

    The arguments determine the setting:

    ============================  ======  ======  ====================
    setting                       source  target  labeled_target
    ============================  ======  ======  ====================
    source only                   given   None    None
    unsupervised (UDA)            given   given   None
    semi-supervised (SSDA)        given   given   a ratio or a count
    oracle (trained on target)    None    given   ``dict(ratio=1.0)``
    source-free                   None    given   None
    ============================  ======  ======  ====================

    The domains are, in this order, ``source``, ``target_labeled``, ``target_pseudo``
    (with ``pseudo_target``), and ``target_unlabeled``; those that a setting does not
    have are left out. The metainfo of each ``PoseDataSample`` holds its domain, as
    ``domain``.

    What a domain knows about its people is one of four levels
    (:class:`~mmpose_da.datasets.people.Labels`): keypoints (``source`` and
    ``target_labeled``), pseudo-labels of a file (``target_pseudo``), part labels (the
    key ``labels='parts'`` of ``target``, for ``target_unlabeled``), or nothing
    (``target_unlabeled`` otherwise). Everything else is removed while the annotations
    are read, before any transform can see it. Without keypoints or part labels, they do
    not affect the selection of people either: MMPose drops people without labeled
    joints, but an unlabeled domain cannot know which ones these are. Here, such people
    are kept, as are those whose annotation has only a box.

    Part labels say which joints are labeled and inside the box. They are in the
    ``gt_instance_labels`` of a sample: ``part_labels`` (1, K), 0 or 1, and
    ``part_weights`` (1, K), 0 for joints that the dataset does not provide. Where boxes
    contain all of a person, these labels are the same for everyone. The key
    ``part_crops`` of a dataset draws crops of parts of each person, from the box alone
    (see :class:`~mmpose_da.datasets.part_crop.PartCrops`). There are two uses of them.
    :class:`~mmpose_da.datasets.part_crop.RandomPartCrop` shows one of them: its part
    labels are then those of the sample. With
    :class:`~mmpose_da.datasets.part_crop.MarkPartCrops`, the sample has the labels of
    all n parts, (n, K), and ``part_regions`` (n, 2, 3), where they are.

    This class cannot remove what a box reveals about the labels. If the boxes of a
    dataset were computed from its joints, the crops show their extent; the log warns
    about files that declare this. Two keys of ``target``, which do not apply to
    ``target_labeled``, help: ``bbox_file`` uses the boxes of a detector, in the COCO
    results format (``filter_cfg=dict(bbox_score_thr=...)`` drops weak ones), and
    ``box_jitter`` adds random errors to the boxes (see
    :class:`~mmpose_da.datasets.people.BoxJitter`).

    Unused annotations are stored in :attr:`left_out`, by domain, each with its id and
    the reason. The log gives their number and, at level DEBUG, lists them.

    Joints are 0-based. MMPose's own ``MpiiDataset``, whose joints are not, is read as a
    :class:`ZeroBasedMpiiDataset`.

    Args:
        joints (str | dict): The common joint definition; see
            :func:`~mmpose_da.structures.joint_metainfo`.
        source (dict, optional): Config of any MMPose dataset, without a pipeline.
            Joints are mapped by name; a ``joint_map`` in the config maps joints whose
            names differ (see :func:`~mmpose_da.structures.joint_mapping`). A joint that
            the dataset does not provide has weight 0. A list of configs makes one
            source of several datasets, in the shares of their sizes. Defaults to None.
        target (dict, optional): The same for the target domain. Defaults to None.
        labeled_target (dict, optional): The share of target images whose labels are
            used, ``dict(ratio=0.05)`` or ``dict(count=500)``, and the ``seed`` of the
            random selection (0 if not given). Whole images are selected, so that no
            image is in both target domains. Defaults to None: no target labels.
        pipeline (Sequence[dict]): MMPose transforms, the same for all domains.
            ``LoadImage`` is replaced with :class:`LoadIntactImage`. Defaults to ().
        pseudo_target (dict, optional): A file of pseudo-labels for target people,
            ``dict(ann_file='pseudo.json')``; see
            :class:`~mmpose_da.datasets.pseudo_labels.PseudoLabels`. ``threshold`` (0 if
            not given) is the lowest confidence of a joint that is used. People without
            pseudo-labels stay in ``target_unlabeled``. Defaults to None.

    Raises:
        FileNotFoundError: If an annotation file or the first image of a domain is
            missing.
        AnnotationError: If an annotation file is invalid or has no usable person, or
            the pseudo-labels are of another one.
        ValueError: If the arguments fit no setting, or the config of a domain is not
            that of a suitable dataset.
    """

    METAINFO = _SaidByTheConfig()

    def __init__(
        self,
        joints: str | dict,
        source: dict | Sequence[dict] | None = None,
        target: dict | None = None,
        labeled_target: dict | None = None,
        pipeline: Sequence[dict | Callable] = (),
        pseudo_target: dict | None = None,
        **kwargs: Any,
    ) -> None:
        if source is None and target is None:
            raise ValueError("MixedDomainDataset needs a source, a target, or both")
        if labeled_target is not None and target is None:
            raise ValueError("labeled_target is given, but there is no target")
        if labeled_target is not None:
            _check_share(labeled_target)
        labels_all = labeled_target is not None and labeled_target.get("ratio") == 1
        if pseudo_target is not None and (target is None or labels_all):
            raise ValueError("pseudo_target is given, but there is no unlabeled target")

        self.domains: list[str] = []
        self._domain_of_part: list[str] = []
        super().__init__(
            metainfo=joint_metainfo(joints),
            datasets=[],
            pipeline=_build_pipeline(pipeline),
            **kwargs,
        )
        self.left_out: dict[str, list[LeftOut]] = {}
        self.labels: dict[str, Labels] = {}
        sources = [] if source is None else _as_list(source)
        parts = [(SOURCE, self._load_domain(SOURCE, cfg)) for cfg in sources]
        domains = {}
        if target is not None and labeled_target is not None:
            domains[TARGET_LABELED] = self._load_domain(TARGET_LABELED, target)
        if target is not None and not labels_all:
            domains[TARGET_UNLABELED] = self._load_domain(TARGET_UNLABELED, target)
        if labeled_target is not None and not labels_all:
            labeled_images = _split_by_image(
                domains[TARGET_LABELED], domains[TARGET_UNLABELED], **labeled_target
            )
            for name, is_labeled in ((TARGET_LABELED, True), (TARGET_UNLABELED, False)):
                self.left_out[name] = [
                    annotation
                    for annotation in self.left_out[name]
                    if (annotation.img_id in labeled_images) == is_labeled
                ]
        if target is not None and pseudo_target is not None:
            domains = self._add_pseudo(domains, target, pseudo_target)
        parts += domains.items()
        self._domain_of_part = [name for name, _ in parts]
        self.domains = list(dict.fromkeys(self._domain_of_part))
        self.datasets = [dataset for _, dataset in parts]
        self._lens = [len(dataset) for dataset in self.datasets]
        self._len = sum(self._lens)
        for name, count in zip(self.domains, self.lens, strict=True):
            _log_people(name, count, self.left_out[name])
        if any(
            isinstance(getattr(transform, "encoder", None), MarginalHeatmap)
            for transform in self.pipeline.transforms
        ):
            self._warn_without_depth()

    @property
    def lens(self) -> list[int]:
        """The number of people of each domain."""
        return [
            sum(
                count
                for count, part in zip(self._lens, self._domain_of_part, strict=True)
                if part == domain
            )
            for domain in self.domains
        ]

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        return dict(metainfo or {})  # without METAINFO; CombinedDataset parses its own

    def _load_domain(self, domain: str, cfg: dict) -> BaseDataset:
        """Build the dataset of a domain, with its joints mapped and labels hidden."""
        dataset, joint_map, reading = _build_dataset(domain, cfg)
        self.labels[domain] = reading["labels"]
        left_out = load_people(dataset, **reading)
        self.left_out[domain] = self.left_out.get(domain, []) + left_out
        if self.pipeline.transforms:
            _check_first_image(domain, dataset)
        mapping = joint_mapping(dataset.metainfo, self.metainfo, joint_map)
        count = self.metainfo["num_keypoints"]
        dataset.pipeline = Compose(
            [
                _before_conversion,
                KeypointConverter(count, mapping),
                DepthConverter(count, mapping),
            ]
        )
        return dataset

    def _add_pseudo(
        self, domains: dict[str, BaseDataset], target: dict, pseudo_target: dict
    ) -> dict[str, BaseDataset]:
        """Move the unlabeled people with pseudo-labels to a domain of their own."""
        unlabeled = domains.pop(TARGET_UNLABELED)
        pseudo, threshold = self._read_pseudo(unlabeled, **pseudo_target)
        dataset, _, reading = _build_dataset(TARGET_PSEUDO, target)
        self.labels[TARGET_PSEUDO] = reading["labels"]
        self.left_out[TARGET_PSEUDO] = load_people(
            dataset, **reading, pseudo=pseudo, threshold=threshold
        )
        kept = {info["id"]: i for i, info in enumerate(_people(unlabeled))}
        # People in images whose labels are used do not need pseudo-labels.
        chosen = [i for i, identity in enumerate(pseudo.ids) if identity in kept]
        if len(chosen) < len(pseudo):
            dataset.get_subset_(chosen)
        if not chosen:
            raise ValueError(
                f"all people of '{pseudo_target['ann_file']}' are in images whose "
                "labels are used, see labeled_target"
            )
        domains[TARGET_PSEUDO] = dataset
        labeled = set(pseudo.ids)
        rest = [i for identity, i in kept.items() if identity not in labeled]
        if rest:
            unlabeled.get_subset_(rest)
            domains[TARGET_UNLABELED] = unlabeled
        return domains

    def _read_pseudo(
        self, unlabeled: BaseDataset, ann_file: str, threshold: float = 0.0
    ) -> tuple[PseudoLabels, float]:
        names = [
            self.metainfo["keypoint_id2name"][i]
            for i in range(self.metainfo["num_keypoints"])
        ]
        if not exists(ann_file):
            raise FileNotFoundError(
                f"the file of pseudo-labels '{ann_file}' does not exist; "
                "tools/pseudo_label.py writes one"
            )
        labels = PseudoLabels.load(ann_file)
        labels.check_made_from(ann_file, people=people_hash(unlabeled))
        try:
            return labels.for_joints(names), threshold
        except ValueError as error:
            raise ValueError(f"'{ann_file}': {error}") from error

    def _warn_without_depth(self) -> None:
        """Warn of each domain with labels that has none of the depth."""
        for domain in self.domains:
            if self.labels[domain] not in (Labels.KEYPOINTS, Labels.PSEUDO):
                continue
            parts = [
                dataset
                for dataset, name in zip(
                    self.datasets, self._domain_of_part, strict=True
                )
                if name == domain
            ]
            if not any("depth" in info for part in parts for info in _people(part)):
                files = ", ".join(f"'{part.ann_file}'" for part in parts)
                print_log(
                    f"the head learns 3D joints, but no person of the domain "
                    f"'{domain}' has depth: it trains the image plane alone. Depth "
                    f"needs keypoints_3d and a camera in {files}, or pseudo-labels of "
                    "a 3D head",
                    "current",
                    logging.WARNING,
                )

    def domain_of(self, index: int) -> str:
        """Return the name of the domain to which a global sample index belongs."""
        return self._domain_of_part[self._get_subset_index(index)[0]]

    def __getitems__(self, batch: Sequence[int]) -> list[dict]:
        """Return the samples of a batch. Called by the data loader."""
        if not isinstance(batch, SeededBatch):
            return [self[index] for index in batch]
        samples = []
        for index, seed in zip(batch, batch.seeds, strict=True):
            seed_all(*seed)
            samples.append(self[index])
        return samples

    def prepare_data(self, idx: int) -> Any:
        """Return a sample after the pipeline, with its domain, without hidden labels.

        Raises:
            RuntimeError: If the pipeline fails or returns None. The message names the
                domain, annotation, and image.
        """
        domain = self.domain_of(idx)
        try:
            info = self.get_data_info(idx)
            crops, parts = info.get("part_crops"), None
            if self.labels[domain] is Labels.PARTS:
                parts = _take_parts(info)
            data = self.pipeline(info)
            if data is None:
                raise ValueError("the pipeline returned None")
        except Exception as error:
            part, local_index = self._get_subset_index(idx)
            info = BaseDataset.get_data_info(self.datasets[part], local_index)
            raise RuntimeError(
                f"annotation {info['id']} of the domain '{domain}', image "
                f"'{info['img_path']}', could not be prepared: "
                f"{type(error).__name__}: {error}"
            ) from error
        if "data_samples" in data:
            sample = data["data_samples"]
            sample.set_metainfo(dict(domain=domain))
            if domain == TARGET_UNLABELED:
                _drop_label_fields(sample)
            if parts is not None:
                _add_parts(sample, parts)
            if sample.metainfo.get("part_zoomed"):
                _check_part_crop(sample, crops)
        return data


def _people(dataset: BaseDataset) -> Iterator[dict]:
    """Yield the people of a dataset before its pipeline."""
    return (BaseDataset.get_data_info(dataset, i) for i in range(len(dataset)))


def _as_list(source: dict | Sequence[dict]) -> list[dict]:
    if isinstance(source, Sequence) and not isinstance(source, str):
        if not source:
            raise ValueError("source is an empty list; use None to train without one")
        return list(source)
    return [source]


def _build_pipeline(pipeline: Sequence[dict | Callable]) -> list[Callable]:
    """Build the transforms, with a replacement for MMPose's ``LoadImage``.

    ``PackPoseInputs`` also packs what part labels depend on.
    """
    if not isinstance(pipeline, Sequence):
        raise ValueError(f"pipeline must be a list of transforms, but is {pipeline!r}")
    transforms = []
    for index, transform in enumerate(pipeline):
        if callable(transform):
            transforms.append(transform)
            continue
        try:
            intact = transform["type"] in ("LoadImage", LoadImage)
            kind = LoadIntactImage if intact else transform["type"]
            built = TRANSFORMS.build(dict(transform, type=kind))
            if isinstance(built, PackPoseInputs):
                built.meta_keys = tuple({**dict.fromkeys(built.meta_keys), **_SHOWN})
            transforms.append(built)
        except Exception as error:
            raise ValueError(
                f"pipeline[{index}] cannot be built from {transform!r}: "
                f"{type(error).__name__}: {error}"
            ) from error
    return transforms


def target_hash(target: dict) -> str:
    """Return the :func:`people_hash` of the config of a target."""
    return people_hash(_build_dataset(TARGET_UNLABELED, target)[0])


def _build_dataset(
    domain: str, cfg: dict
) -> tuple[BaseDataset, dict | None, dict[str, Any]]:
    """Build the dataset of a domain without loading its annotations.

    Checks those parts of the config that MMPose does not check. Returns the dataset,
    its ``joint_map``, and arguments of ``load_people``.
    """
    if not isinstance(cfg, dict):
        raise ValueError(f"the domain '{domain}' must be a dataset config, not {cfg}")
    cfg = dict(cfg)
    if cfg.pop("pipeline", None):
        raise ValueError(
            f"the dataset of the domain '{domain}' has a pipeline; pass the "
            "transforms to MixedDomainDataset, which applies them to all domains"
        )
    joint_map = cfg.pop("joint_map", None)
    part_crops = cfg.pop("part_crops", None)
    reading = dict(
        labels=_labels(domain, cfg.pop("labels", None)),
        part_crops=_settings(PartCrops, "part_crops", part_crops),
    )
    boxes = {key: cfg.pop(key, None) for key in ("bbox_file", "box_jitter")}
    if domain == SOURCE and any(value is not None for value in boxes.values()):
        raise ValueError(
            "`bbox_file` and `box_jitter` are for the target; the labeled source uses "
            "the boxes in its annotations"
        )
    if domain == TARGET_LABELED:
        boxes = dict.fromkeys(boxes)
    if cfg.get("type") in ("MpiiDataset", MpiiDataset):
        cfg["type"] = ZeroBasedMpiiDataset
    try:
        dataset = DATASETS.build(dict(cfg, lazy_init=True))
    except Exception as error:
        raise ValueError(
            f"the dataset of the domain '{domain}' cannot be built from {cfg}: {error}"
        ) from error
    if not isinstance(dataset, BaseCocoStyleDataset) or dataset.data_mode != "topdown":
        raise ValueError(
            f"the dataset of the domain '{domain}' must be a 2D MMPose dataset "
            f"with data_mode='topdown', but its config is {cfg}"
        )
    if not (dataset.ann_file and exists(dataset.ann_file)):
        raise FileNotFoundError(
            f"the annotation file '{dataset.ann_file}' of the domain '{domain}' "
            "does not exist; check data_root and ann_file in its config"
        )
    if boxes["bbox_file"] is not None:
        # MMPose's constructors accept it in test mode only.
        dataset.bbox_file = boxes["bbox_file"]
        if not exists(dataset.bbox_file):
            raise FileNotFoundError(
                f"the bbox_file '{dataset.bbox_file}' of the domain '{domain}' does "
                "not exist"
            )
    reading["box_jitter"] = _settings(BoxJitter, "box_jitter", boxes["box_jitter"])
    return dataset, joint_map, reading


def _labels(domain: str, given: str | None) -> Labels:
    """What a domain knows about its people, from the key ``labels`` of its config."""
    allowed = ("keypoints",) if domain == SOURCE else ("none", "parts")
    if given not in (None, *allowed):
        raise ValueError(f"`labels` of '{domain}' must be one of {allowed}: '{given}'")
    if domain in (SOURCE, TARGET_LABELED):
        return Labels.KEYPOINTS
    return Labels.PSEUDO if domain == TARGET_PSEUDO else Labels(given or "none")


def _settings(kind: type, key: str, cfg: dict | None) -> Any:
    """Build the settings under a key of a domain's config, if any."""
    if cfg is None:
        return None
    try:
        return kind(**cfg)
    except TypeError as error:
        names = [field.name for field in fields(kind)]
        raise ValueError(
            f"{key} must be a dict with some of {names}, but is {cfg!r}"
        ) from error


def _check_first_image(domain: str, dataset: BaseDataset) -> None:
    """Fail early if the images of a domain are not where they should be."""
    info = BaseDataset.get_data_info(dataset, 0)
    if not exists(info["img_path"]):
        raise FileNotFoundError(
            f"the image '{info['img_path']}' of annotation {info['id']} of the domain "
            f"'{domain}' does not exist; check data_root and data_prefix in its config"
        )


def _log_people(domain: str, count: int, left_out: list[LeftOut]) -> None:
    """Log how many people a domain has, how many are left out, and why."""
    message = f"domain {domain}: {count} people"
    if left_out:
        message += f"; left out {len(left_out)}: {describe(left_out)}"
        everything = describe(left_out, ids=len(left_out))
        print_log(f"domain {domain}: left out {everything}", "current", logging.DEBUG)
    print_log(message, "current")


def _drop_label_fields(sample: PoseDataSample) -> None:
    """Remove the fields that the pipeline computed from placeholder labels."""
    for name in ("gt_fields", "gt_instance_labels"):
        if name in sample:
            delattr(sample, name)
    for name in ("keypoints", "keypoints_visible"):
        sample.gt_instances.pop(name, None)


def _before_conversion(info: dict) -> dict:
    """Prepare the keypoints of a sample for ``KeypointConverter``.

    The absent keypoints are repeated for each row of part labels (n, K). The flip
    indices are dropped: CombinedDataset replaces them, and the converter fails on them
    if midpoints map to more joints than the dataset has.
    """
    rows = len(info["keypoints_visible"])
    keypoints = np.repeat(info["keypoints"], rows, axis=0)[:rows]
    return dict(info, keypoints=keypoints, flip_indices=None)


def _take_parts(info: dict) -> np.ndarray:
    """Take the part labels and weights (n, K, 2) of a sample before its pipeline."""
    parts = info["keypoints_visible"]
    info["keypoints"] = info["keypoints"][:1]
    info["keypoints_visible"] = np.zeros_like(parts[:1])
    return parts


def _add_parts(sample: PoseDataSample, parts: np.ndarray) -> None:
    """Give a sample the labels of its parts, with left and right as in the image."""
    meta, places = sample.metainfo, {}
    if "part_regions" in meta:
        regions = torch.from_numpy(meta["part_regions"])
        shown, places = parts[-len(regions) :], dict(part_regions=regions)
    elif len(parts) == 1 or "part_crop" in meta:
        shown = parts[meta.get("part_crop", 0)][None]
    else:
        raise ValueError(
            "the target has `part_crops`, but the pipeline does not use them: add "
            "dict(type='MarkPartCrops') right after TopdownAffine, or "
            "dict(type='RandomPartCrop') right before"
        )
    if meta.get("flip", False):
        shown = shown[:, meta["flip_indices"]]
    labels, weights = torch.from_numpy(shown.astype(np.float32)).unbind(-1)
    sample.gt_instance_labels = InstanceData(
        part_labels=labels, part_weights=weights, **places
    )


def _check_part_crop(sample: PoseDataSample, crops: np.ndarray) -> None:
    """Raise a ValueError unless a sample is filled by the part that it claims."""
    low, high = np.split(crops[sample.metainfo["part_crop"] - 1], 2)
    shown = sample.metainfo["input_scale"]
    if not np.allclose(shown, high - low, rtol=1e-3):
        raise ValueError(
            f"the crop shows {shown[0]:.1f} x {shown[1]:.1f} pixels of the image, but "
            f"the part labels are for {high[0] - low[0]:.1f} x {high[1] - low[1]:.1f}: "
            "RandomPartCrop must be right before TopdownAffine, and "
            "`part_crops.aspect_ratio` must be the width of `input_size` divided by "
            "its height"
        )


def _check_share(share: dict) -> None:
    """Raise an error unless ``share`` is a valid ``labeled_target``."""
    kinds = dict(ratio=Real, count=int, seed=int)
    if not isinstance(share, dict) or not share.keys() <= kinds.keys():
        raise ValueError(
            "labeled_target must be a dict with a ratio or a count, and optionally a "
            f"seed, but is {share}"
        )
    if ("ratio" in share) == ("count" in share):
        raise ValueError("labeled_target needs either a ratio or a count, not both")
    for key, value in share.items():
        if not isinstance(value, kinds[key]):
            raise ValueError(
                f"labeled_target {key} must be a number (for a count or a seed, an "
                f"integer), but is {value!r}"
            )
    if not 0 < share.get("ratio", 1) <= 1:
        raise ValueError(
            f"labeled_target ratio must be in (0, 1], but is {share['ratio']}"
        )
    if not 0 <= share.get("seed", 0) < 2**32:
        raise ValueError(
            f"labeled_target seed must be in [0, 2**32), but is {share['seed']}"
        )


def _split_by_image(
    labeled: BaseDataset,
    unlabeled: BaseDataset,
    ratio: float | None = None,
    count: int = 0,
    seed: int = 0,
) -> set:
    """Reduce ``labeled`` to the chosen images and ``unlabeled`` to all others.

    Returns:
        set: The ids of the chosen images.
    """
    images = [
        [info["img_id"] for info in _people(dataset)]
        for dataset in (labeled, unlabeled)
    ]
    candidates = sorted(set(images[0]))
    if ratio is not None:
        count = max(1, round(ratio * len(candidates)))
    if not 0 < count <= len(candidates):
        raise ValueError(
            f"labeled_target count must be from 1 to {len(candidates)}, the number of "
            f"labeled images in '{labeled.ann_file}', but is {count}"
        )
    order = np.random.RandomState(seed).permutation(len(candidates))
    chosen = {candidates[i] for i in order[:count]}
    rest = [i for i, image in enumerate(images[1]) if image not in chosen]
    if not rest:
        raise ValueError(
            f"labeled_target takes all {len(candidates)} images of "
            f"'{labeled.ann_file}' and leaves none unlabeled; if this is intended, use "
            "dict(ratio=1.0)"
        )
    labeled.get_subset_([i for i, image in enumerate(images[0]) if image in chosen])
    unlabeled.get_subset_(rest)
    return chosen

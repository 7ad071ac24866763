from __future__ import annotations

from collections.abc import Sequence

from mmengine.dataset import ConcatDataset
from mmpose.registry import DATASETS

from .mixed_domain_dataset import MixedDomainDataset


@DATASETS.register_module()
class WholeAndPartCrops(ConcatDataset):
    """An evaluation set: all people as a whole, then one part of each of them.

    Where whole people show all joints, a classification of the joints that a crop shows
    can only be evaluated on parts. The crops of parts come with part labels and without
    keypoints, so that metrics of keypoints ignore them, and
    :class:`~mmpose_da.evaluation.PartLabelAP` ignores the others. Use it with metrics
    that support this: ``SharedJointsMpiiPCK`` and ``SharedJointsPCK``.

    Args:
        dataset (dict): Config of a dataset in test mode, without a pipeline.
        joints (str | dict): The joint definition of the part labels; see
            :func:`~mmpose_da.structures.joint_metainfo`.
        pipeline (Sequence[dict]): Transforms for whole people.
        part_pipeline (Sequence[dict]): Transforms for parts, with
            ``dict(type='MarkPartCrops', whole=False)`` after or ``RandomPartCrop``
            before ``TopdownAffine``. Use what the model was trained with.
        part_crops (dict, optional): Arguments of
            :class:`~mmpose_da.datasets.PartCrops`; there is one crop of each person.
            Defaults to None: the default arguments.
    """

    def __init__(
        self,
        dataset: dict,
        joints: str | dict,
        pipeline: Sequence[dict],
        part_pipeline: Sequence[dict],
        part_crops: dict | None = None,
    ) -> None:
        crops = dict(part_crops or {}, count=1)
        whole = DATASETS.build(dict(dataset, pipeline=list(pipeline)))
        parts = MixedDomainDataset(
            joints,
            target=dict(dataset, labels="parts", part_crops=crops),
            pipeline=part_pipeline,
        )
        names = [*whole.metainfo, *parts.metainfo]  # those of whole people apply
        super().__init__([whole, parts], ignore_keys=names)

from __future__ import annotations

from mmpose.datasets import MpiiDataset
from mmpose.registry import DATASETS


@DATASETS.register_module()
class ZeroBasedMpiiDataset(MpiiDataset):
    """MPII Human Pose with joints in 0-based pixel coordinates.

    MPII's files count pixels from 1. MMPose's ``MpiiDataset`` subtracts 1 from a
    person's center but not from the joints, and ``MpiiPCKAccuracy`` adds 1 to the
    predictions to compensate. This is consistent in evaluation, but a network trained
    on such joints is off by one pixel in x and y. This class also subtracts 1 from the
    joints.

    The metainfo indicates this: ``dataset_meta['zero_based']`` is True, which
    :class:`~mmpose_da.evaluation.SharedJointsMpiiPCK` reads. Do not evaluate this class
    with ``MpiiPCKAccuracy`` itself, which would be off by one pixel.

    The arguments are those of :class:`mmpose.datasets.MpiiDataset`.
    """

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        return dict(super()._load_metainfo(metainfo), zero_based=True)

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        people, images = super()._load_annotations()
        for person in people:
            person["keypoints"] = person["keypoints"] - 1
        return people, images

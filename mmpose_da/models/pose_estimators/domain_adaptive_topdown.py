from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from operator import itemgetter
from typing import Any, cast

import torch
from mmengine.logging import print_log
from mmpose.models import TopdownPoseEstimator
from mmpose.models.heads import BaseHead
from mmpose.registry import MODELS
from mmpose.utils.typing import OptSampleList, SampleList
from torch import Tensor, nn

from ...structures import (
    SOURCE,
    TARGET_LABELED,
    TARGET_PSEUDO,
    TARGET_UNLABELED,
    DomainBatch,
    concat_trees,
    has_part_labels,
    joint_definition,
    joint_mapping,
    joint_metainfo,
    map_tensors,
    replace_last,
    tensors,
)
from ..adaptations.base import Adaptation, check_factor
from ..heads import head_outputs
from ..layers import constant_running_statistics
from ..layers.numerics import empty_sum, promote
from .pose_network import PoseNetwork

#: Runs the head as it is.
_PLAIN = Adaptation()


@MODELS.register_module()
class DomainAdaptiveTopdown(TopdownPoseEstimator):
    """A top-down pose estimator that trains on batches of several domains.

    It has any stock backbone, neck, and head, and named adaptations that act on images,
    features, and outputs in training. The deployed :class:`PoseNetwork`, a stock
    estimator without adaptations, makes the predictions. In the state dict, everything
    that is not under ``adaptations.`` has the keys of the stock estimator. A stock
    checkpoint therefore loads, and adaptations that it lacks keep their initial
    weights.

    The loss is the head's own on source images, plus ``target_loss_weight`` times the
    same on labeled target images, plus ``pseudo_loss_weight`` times the same on target
    images with pseudo-labels of a file, plus the terms of the adaptations. A head that
    learns from part labels (:class:`~mmpose_da.models.heads.LocationFreeHead`) adds
    ``part_loss_weight`` times its own loss on target images that have nothing else.

    Args:
        adaptations (dict[str, dict], optional): Configs of the adaptations by the name
            under which their terms are logged (``name.term``). Defaults to None.
        joints (str | dict, optional): The joint definition that the head predicts; see
            :func:`~mmpose_da.structures.joint_metainfo`. In prediction it replaces the
            dataset's, like the argument ``metainfo`` of MMPose's estimators. Defaults
            to None: the dataset's own.
        target_loss_weight (float): Factor of the pose loss on labeled target images.
            Defaults to 0.5, the best value in the study of Xu et al.,
            "Alleviating Human-level Shift", ACM MM 2020, Table 4.
        pseudo_loss_weight (float): Factor of the pose loss on target images with
            pseudo-labels of a file. Defaults to 1.0.
        part_loss_weight (float): Factor of the loss on target images with part labels
            only. Defaults to 1.0.
        checkpoint_joints (str | dict, optional): The joint definition of the checkpoint
            to start from, if it differs from ``joints``. The channels of the head's
            last layer are then sorted by joint name, and joints that the checkpoint
            lacks keep their initial weights. Defaults to None.
        statistics (str): Which images the network's batch normalization takes
            together. ``'shared'``: one pass for all images of a batch. ``'domain'``: a
            pass for each domain, with statistics of its own; all enter the running
            ones, which are used in deployment. ``'target'``: the same, but only those
            of target images enter the running ones, unless there are none. Defaults to
            ``'shared'``.
        frozen (Sequence[str]): Modules that are not trained, such as ``'backbone'`` or
            ``'head.deconv_layers'``. Their parameters get no gradient, and their
            normalization layers stay in evaluation mode. Defaults to ().
        kwargs: See :class:`mmpose.models.TopdownPoseEstimator`. In ``test_cfg``,
            ``network='teacher'`` deploys an adaptation's teacher instead of the
            ``'student'``. A teacher that was never set refuses to predict.
    """

    def __init__(
        self,
        *args: Any,
        adaptations: Mapping[str, dict] | None = None,
        joints: str | dict | None = None,
        target_loss_weight: float = 0.5,
        pseudo_loss_weight: float = 1.0,
        part_loss_weight: float = 1.0,
        checkpoint_joints: str | dict | None = None,
        statistics: str = "shared",
        frozen: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        if joints is not None:
            kwargs["metainfo"] = joint_metainfo(joints)
        super().__init__(*args, **kwargs)
        if joints is not None:
            _check_head(self.head, self.metainfo)
        given = dict(in_channels=_in_channels(self.head), metainfo=self.metainfo)
        self.head_outputs = head_outputs(self.head)
        self.adaptations = _build_adaptations(adaptations or {}, given)
        self.target_loss_weight = target_loss_weight
        self.pseudo_loss_weight = pseudo_loss_weight
        self.part_loss_weight = part_loss_weight
        for name in ("target_loss_weight", "pseudo_loss_weight", "part_loss_weight"):
            check_factor(name, getattr(self, name))
        if statistics not in ("shared", "domain", "target"):
            raise ValueError(
                f"model.statistics='{statistics}' is none of 'shared', 'domain', "
                "'target'"
            )
        self.statistics = statistics
        self.frozen = (frozen,) if isinstance(frozen, str) else tuple(frozen)
        for name in self.frozen:
            self._module("model.frozen names", name).requires_grad_(False)
        for name, adaptation in self.adaptations.items():
            self._check_reads(name, adaptation)
            adaptation.bind(self)
        self._head_runner()  # fails if two adaptations want to run the head
        _ = self.deployed  # fails if the config names a network that does not exist
        self._dataset_meta: dict | None = None
        self.register_load_state_dict_post_hook(_start_adaptations)
        self._tapped: dict[str, Tensor] = {}
        for adaptation in self.adaptations.values():
            for tap in adaptation.taps:
                self._tap(tap)
        if checkpoint_joints is not None:
            if joints is None:
                raise ValueError("checkpoint_joints is set, but joints is not")
            self._sort_head_on_load(joint_definition(checkpoint_joints))

    @property
    def dataset_meta(self) -> dict | None:
        """The joints that the network predicts, or the dataset's if none are set."""
        return self.metainfo or self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict | None) -> None:
        self._dataset_meta = dataset_meta

    @property
    def student(self) -> PoseNetwork:
        """The network that is trained."""
        return PoseNetwork(self)

    @property
    def deployed(self) -> PoseNetwork:
        """The network that predicts: the student or a teacher.

        Raises:
            ValueError: If ``test_cfg.network`` names a network that does not exist.
        """
        if not self._is_teacher_deployed():
            return self.student
        teacher = self._teacher().teacher
        assert teacher is not None
        return teacher

    def _is_teacher_deployed(self) -> bool:
        return self.test_cfg.get("network", "student") != "student"

    def _teacher(self) -> Adaptation:
        """Return the adaptation whose teacher is deployed."""
        name = self.test_cfg["network"]
        teachers = [a for a in self.adaptations.values() if a.teacher is not None]
        if name != "teacher" or len(teachers) != 1:
            raise ValueError(
                f"test_cfg.network='{name}' is not available: it must be 'student', or "
                "'teacher' with exactly one adaptation that has a teacher, such as "
                f"MeanTeacher, but the adaptations are {list(self.adaptations)}"
            )
        return teachers[0]

    def _predicting(self) -> PoseNetwork:
        """Return the deployed network, if it can predict.

        Raises:
            RuntimeError: If it is a teacher that was never set.
        """
        if self._is_teacher_deployed() and not self._teacher().teacher_is_set:
            raise RuntimeError(
                "model.test_cfg.network is 'teacher', but this teacher was never set: "
                "no checkpoint was loaded, or one without a teacher, such as a source "
                "model or a published model. Load a checkpoint of a run with this "
                "teacher; set model.test_cfg.network='student' to predict with the "
                "loaded weights; or load a published model with the config that was "
                "published with it"
            )
        return self.deployed

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Extract features with the deployed network; see TopdownPoseEstimator."""
        return self._predicting().extract_feat(inputs)

    def predict(self, inputs: Tensor, data_samples: SampleList) -> SampleList:
        """Predict with the deployed network; see TopdownPoseEstimator."""
        return self._predicting().predict(inputs, data_samples)

    def _forward(
        self, inputs: Tensor, data_samples: OptSampleList = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Return the raw output of the deployed network; see TopdownPoseEstimator."""
        return self._predicting()._forward(inputs, data_samples)

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses of a batch of several domains.

        Args:
            inputs (Tensor): Images (B, 3, H, W), ordered by domain.
            data_samples (list[PoseDataSample]): Their samples, each with a ``domain``.

        Returns:
            dict[str, Tensor]: The head's losses, such as ``source.loss_kpt``, and
            ``name.term`` for each term of each adaptation.
        """
        batch = DomainBatch(data_samples, inputs)
        for adaptation in self.adaptations.values():
            adaptation.check(batch)
        for adaptation in sorted(self.adaptations.values(), key=_priority):
            adaptation.prepare(batch)
        feats = self._run(
            lambda images, part: [self.student.extract_feat(images)],
            batch.images,
            batch,
        )
        *_, last = tensors(feats)
        pooled = last.dim() == 2
        batch.features["head"] = last[..., None, None] if pooled else last
        for adaptation in self.adaptations.values():
            adaptation.adapt(batch)
        last = batch.features["head"]
        feats = replace_last(feats, last.flatten(1) if pooled else last)
        run_head = partial(self._head_runner().run_head, self.head)
        outputs = self._run(run_head, feats, batch)
        batch.outputs = map_tensors(promote, outputs)
        if self.head_outputs is not None:
            batch.maps = self.head_outputs.maps(batch.outputs)

        losses = self._pose_losses(feats, batch)
        for name, adaptation in self.adaptations.items():
            for term, value in adaptation(batch).items():
                losses[f"{name}.{term}"] = value
        return losses

    def _run(
        self,
        run: Callable[[Any, DomainBatch], Iterable[Any]],
        inputs: Any,
        batch: DomainBatch,
    ) -> Any:
        """Run a part of the network on all images, with the statistics of the config.

        ``run`` gives the output of each of its passes. Outputs and tapped features of
        all passes are concatenated; the features are added to ``batch.features``.
        """
        outputs, tapped = [], []

        def collect(inputs: Any, part: DomainBatch) -> None:
            self._tapped.clear()  # of calls from elsewhere
            for output in run(inputs, part):
                outputs.append(output)
                tapped.append(dict(self._tapped))
                self._tapped.clear()

        domains = dict.fromkeys(batch.domains)
        if self.statistics == "shared" or len(domains) < 2:
            collect(inputs, batch)
        else:
            for domain in domains:
                kept = self.statistics == "target" and domain == SOURCE
                with (
                    constant_running_statistics(self.student) if kept else nullcontext()
                ):
                    place = itemgetter(batch.slice(domain))
                    collect(map_tensors(place, inputs), batch[domain])
        if len(outputs) == 1:
            batch.features.update(tapped[0])
            return outputs[0]
        for name in tapped[0]:
            batch.features[name] = torch.cat([part[name] for part in tapped])
        return concat_trees(*outputs)

    def _head_runner(self) -> Adaptation:
        """Return the adaptation that runs the head, or one that does nothing else."""
        runners = {
            name: adaptation
            for name, adaptation in self.adaptations.items()
            if type(adaptation).run_head is not Adaptation.run_head
        }
        if len(runners) > 1:
            raise ValueError(
                f"model.adaptations: {list(runners)} each run the head in their own "
                "way; keep one of them"
            )
        return next(iter(runners.values()), _PLAIN)

    def _pose_losses(
        self, feats: tuple | list, batch: DomainBatch
    ) -> dict[str, Tensor]:
        """Compute the head's own losses for each labeled domain."""
        losses = {}
        weights = {
            SOURCE: 1.0,
            TARGET_LABELED: self.target_loss_weight,
            TARGET_PSEUDO: self.pseudo_loss_weight,
        }
        if getattr(self.head, "learns_parts", False) and all(
            map(has_part_labels, batch[TARGET_UNLABELED].data_samples)
        ):
            weights[TARGET_UNLABELED] = self.part_loss_weight
        for domain, weight in weights.items():
            part = batch[domain]
            if len(part) == 0:
                continue
            place = batch.slice(domain)
            of_part = map_tensors(itemgetter(place), feats)
            with _computed_output(self.head, part.outputs):
                terms = self.head.loss(
                    of_part, part.data_samples, train_cfg=self.train_cfg
                )
            for name, value in terms.items():
                value = value * weight if "loss" in name else value
                losses[f"{domain}.{name}"] = value
        if not losses:  # every rank still needs a gradient of every parameter
            losses["labeled.loss"] = empty_sum(*tensors(batch.outputs))
        return losses

    def _check_reads(self, name: str, adaptation: Adaptation) -> None:
        """Raise a ValueError if an adaptation reads what the head does not provide."""
        given = frozenset() if self.head_outputs is None else self.head_outputs.gives
        missing = [what for what in adaptation.reads if what not in given]
        if missing:
            names = dict(points="keypoints", maps="heatmaps", heatmaps="2D heatmaps")
            what = " and ".join(names[part] for part in missing)
            raise ValueError(
                f"model.adaptations.{name}: {type(adaptation).__name__} reads {what} "
                f"from the head, but {type(self.head).__name__} does not provide "
                "them; use another head or remove the adaptation"
            )

    def _tap(self, name: str) -> None:
        """Keep the output of module ``name`` in every training forward pass."""

        def keep(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            if self.training:
                self._tapped[name] = output

        module = self._module("an adaptation uses the features of", name)
        module.register_forward_hook(keep)

    def _module(self, what: str, name: str) -> nn.Module:
        """Return a module that the config names, or raise a ValueError."""
        try:
            return self.get_submodule(name)
        except AttributeError as error:
            raise ValueError(
                f"{what} '{name}', which is not a module of the estimator: {error}"
            ) from error

    def train(self, mode: bool = True) -> DomainAdaptiveTopdown:
        """Set the training mode, except for frozen modules."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self

    def _sort_head_on_load(self, checkpoint_joints: dict) -> None:
        """Sort the last layer of a checkpoint by joint name when it is loaded."""
        if not hasattr(self.head, "final_layer"):
            raise ValueError(
                "checkpoint_joints sorts the channels of the head's `final_layer` by "
                f"joint, but {type(self.head).__name__} has none"
            )
        mapping = joint_mapping(checkpoint_joints, self.metainfo)

        def sort_joints(state_dict: dict, prefix: str, *args: Any) -> None:
            for name, parameter in self.head.final_layer.named_parameters():
                key = f"{prefix}head.final_layer.{name}"
                given = state_dict.get(key)
                if (
                    given is None
                    or len(given) == len(parameter)
                    or len(given) != checkpoint_joints["num_keypoints"]
                ):
                    continue
                fitted = parameter.detach().to(given, copy=True)
                for given_index, wanted_index in mapping:
                    fitted[wanted_index] = given[given_index]
                state_dict[key] = fitted
                print_log(
                    f"{key}: {len(mapping)} of {len(parameter)} joints initialized "
                    f"from the {len(given)} joints of the checkpoint, by name",
                    "current",
                )

        self._register_load_state_dict_pre_hook(sort_joints)


def _start_adaptations(model: DomainAdaptiveTopdown, incompatible_keys: Any) -> None:
    """Do not report adaptations as missing if a checkpoint has none of them."""
    missing = incompatible_keys.missing_keys
    modules = model.get_submodule("adaptations")
    own = {name for name, _ in modules.named_parameters(prefix="adaptations")}
    if own and own <= set(missing):
        missing[:] = [key for key in missing if not key.startswith("adaptations.")]
        print_log(
            f"the checkpoint has no adaptations: {list(model.adaptations)} keep "
            "their initial weights",
            "current",
        )


def _priority(adaptation: Adaptation) -> int:
    return adaptation.priority


def _in_channels(head: BaseHead) -> int | None:
    """Return the channels of the last feature map that a head receives, if known."""
    channels = getattr(head, "in_channels", getattr(head, "unit_channels", None))
    return channels[-1] if isinstance(channels, (list, tuple)) else channels


def _check_head(head: BaseHead, metainfo: dict) -> None:
    """Raise a ValueError unless a head has as many channels as there are joints."""
    key = "num_joints" if hasattr(head, "num_joints") else "out_channels"
    channels = getattr(head, key, metainfo["num_keypoints"])
    if channels != metainfo["num_keypoints"]:
        raise ValueError(
            f"model.head.{key} is {channels}, but model.joints is "
            f"'{metainfo['dataset_name']}' with {metainfo['num_keypoints']} joints"
        )


def _build_adaptations(
    configs: Mapping[str, dict], given: dict
) -> Mapping[str, Adaptation]:
    """Build the adaptations, as an ``nn.ModuleDict``."""
    if not isinstance(configs, Mapping):
        raise ValueError(f"adaptations must map names to configs, but is {configs!r}")
    adaptations = nn.ModuleDict()
    for name, cfg in configs.items():
        try:
            adaptations[name] = MODELS.build({**given, **cfg})
        except Exception as error:
            raise ValueError(f"model.adaptations.{name}: {error}") from error
    # PyTorch does not say what its dict holds.
    return cast(Mapping[str, Adaptation], adaptations)


@contextmanager
def _computed_output(head: BaseHead, output: Any) -> Iterator[None]:
    """Make the head's ``forward`` return a precomputed output in this context.

    A head's ``loss`` calls its own ``forward``, but all domains have already passed
    through the head together.
    """
    head.forward = lambda feats: output
    try:
        yield
    finally:
        del head.forward

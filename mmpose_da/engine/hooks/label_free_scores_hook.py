from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import DATASETS, HOOKS, MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor

from ...evaluation.domain_confusion import domain_confusion
from ...evaluation.plausible_poses import PlausiblePoses
from ...models.layers import Pixels, swap_joints, warp_points
from ...models.layers.marginal_heatmaps import spatial_softmax
from ...models.layers.numerics import promote
from ...models.pose_estimators import DomainAdaptiveTopdown, PoseNetwork
from ...structures import labeled_points, map_tensors
from ...visualization.feature_embedding import extract_features
from .unwrap import model_of


@HOOKS.register_module()
class LabelFreeScoresHook(Hook):
    """Scores a model on the evaluation set without its labels.

    At every validation, these are added to the metrics, in percent unless stated:

    - ``label_free/consistency``: joints that are found at the same place in the image
      and in a random view of it.
    - ``label_free/teacher_agreement``: joints that student and teacher find at the same
      place, if there is a teacher.
    - ``label_free/confidence``: the mean confidence of the joints.
    - ``label_free/information``: the mutual information, in nats, of image and
      position, as in :class:`~mmpose_da.models.losses.InfoMaxLoss`, for heads with
      heatmaps.
    - ``label_free/plausibility``: limbs whose relative length occurs in the source; see
      :class:`~mmpose_da.evaluation.PlausiblePoses`.
    - ``label_free/confusion``: how often a linear classifier mistakes the domain of the
      features that the head receives, as a share of chance; see
      :func:`~mmpose_da.evaluation.domain_confusion`.

    The last two need a source. All of them are higher for a better model, or ought to
    be: docs/choosing.md measures how well each of them ranks models. They can choose a
    checkpoint, such as ``save_best='label_free/consistency'`` with ``rule='greater'``.

    The hook runs the deployed network twice more on each image, without the flip test,
    and the other one of student and teacher once. Each rank extracts the features of
    all people that are compared.

    Args:
        view (dict, optional): Config of the random view. Defaults to None:
            ``dict(type='RandomView', rotation=30, scale=(0.8, 1.2))``, and mirrored in
            half of the images. It is the same at every validation.
        threshold (float): Largest distance of the same place, as a share of the longer
            side of the input. Defaults to 0.05.
        temperature (float): Divisor of the heatmaps before the softmax. Defaults to
            0.1.
        num_source (int): Number of people of the source whose poses are plausible; 0
            leaves the plausibility out. Defaults to 2000.
        num_features (int): Number of people of each domain whose features are compared;
            0 leaves the confusion out, which does not tell good models from bad ones.
            Defaults to 0.

    Raises:
        ValueError: If the model is not a :class:`DomainAdaptiveTopdown`, or its head
            has no joints to compare.
    """

    #: Before the hooks that log the metrics and choose a checkpoint by them.
    priority = "HIGHEST"

    def __init__(
        self,
        view: dict | None = None,
        threshold: float = 0.05,
        temperature: float = 0.1,
        num_source: int = 2000,
        num_features: int = 0,
    ) -> None:
        self.view = MODELS.build(
            view
            or dict(type="RandomView", rotation=30, scale=(0.8, 1.2), flip_prob=0.5)
        )
        self.threshold, self.temperature = threshold, temperature
        self.num_source, self.num_features = num_source, num_features
        self.plausible: PlausiblePoses | None = None
        self.source: BaseDataset | None = None

    def before_val(self, runner: Runner) -> None:
        """Check the model, and read the poses of the source once."""
        model = model_of(runner)
        if not isinstance(model, DomainAdaptiveTopdown) or model.head_outputs is None:
            raise ValueError(
                "LabelFreeScoresHook needs a DomainAdaptiveTopdown whose head gives "
                f"keypoints, but the model is a {type(model).__name__} with a "
                f"{type(model.head).__name__}"
            )
        if model.metainfo is None:
            raise ValueError("LabelFreeScoresHook needs `joints` of the estimator")
        self.pixels = Pixels(model.data_preprocessor)
        dataset = (runner.cfg.get("train_dataloader") or {}).get("dataset", {})
        if self.plausible is None and self.num_source and dataset.get("source"):
            poses = source_poses(dataset, self.num_source)
            self.plausible = PlausiblePoses(poses, model.metainfo["skeleton_links"])
        if self.source is None and self.num_features and dataset.get("source"):
            pipeline = runner.cfg.val_dataloader.dataset.pipeline
            self.source = source_people(dataset, pipeline)

    def before_val_epoch(self, runner: Runner) -> None:
        """Start with nothing."""
        self.hits: dict[str, Tensor] = {}
        self.mass: Tensor | None = None
        self.entropy: Tensor | None = None

    @torch.no_grad()
    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[PoseDataSample],
    ) -> None:
        """Score a batch.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Index of the batch.
            data_batch (dict): The batch; only its ``inputs`` are used.
            outputs (Sequence[PoseDataSample]): The predictions; not used.
        """
        model = model_of(runner)
        inputs = data_batch["inputs"]
        blank = [PoseDataSample() for _ in inputs]
        data = model.data_preprocessor(dict(inputs=inputs, data_samples=blank))
        images = data["inputs"]
        deployed = model.deployed
        found, points, confidence = self._read(model, deployed, images)
        self._count("confidence", confidence)

        with torch.random.fork_rng():
            torch.manual_seed(batch_idx)
            view = self.view(self.pixels.to_rgb(images))
        _, seen, _ = self._read(model, deployed, self.pixels.from_rgb(view.images))
        flip = view.flipped, model.metainfo["flip_indices"]
        expected = swap_joints(warp_points(points, view.matrices), *flip)
        size = expected.new_tensor(images.shape[:1:-1])
        shown = ((expected >= 0) & (expected <= size - 1)).all(-1)
        self._count("consistency", self._same(seen, expected, size)[shown])

        teachers = [
            adaptation.teacher
            for adaptation in model.adaptations.values()
            if adaptation.teacher is not None and adaptation.teacher_is_set
        ]
        for teacher in teachers:
            other = model.student if deployed is teacher else teacher
            _, elsewhere, _ = self._read(model, other, images)
            self._count("teacher_agreement", self._same(points, elsewhere, size))

        maps = model.head_outputs.maps(found)
        if "xy" in maps:
            self._add_information(spatial_softmax(maps["xy"] / self.temperature))
        if self.plausible is not None:
            poses = points.cpu().numpy()
            self._count("plausibility", torch.from_numpy(self.plausible(poses)))

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Add the scores to the metrics."""
        if metrics is None:
            return
        for name, hits in self.hits.items():
            all_reduce(hits)
            right, total = hits.tolist()
            metrics[f"label_free/{name}"] = 100 * right / max(total, 1)
        if self.mass is not None and self.entropy is not None:
            all_reduce(self.mass)
            all_reduce(self.entropy)
            count, entropy = self.entropy.tolist()
            mean = self.mass / count
            diversity = -torch.xlogy(mean, mean).sum(-1).mean()
            metrics["label_free/information"] = float(diversity) - entropy / count
        if self.source is not None:
            model = model_of(runner)
            features = [
                torch.from_numpy(extract_features(model, people, self.num_features))
                for people in (self.source, runner.val_dataloader.dataset)
            ]
            if min(map(len, features)) > 1:
                metrics["label_free/confusion"] = 100 * domain_confusion(*features)

    def _read(
        self, model: DomainAdaptiveTopdown, network: PoseNetwork, images: Tensor
    ) -> tuple[object, Tensor, Tensor]:
        """Return an output, its points (B, K, 2) in input pixels, and confidence."""
        assert model.head_outputs is not None
        found = map_tensors(promote, network(images))
        points, confidence = model.head_outputs.points(found)
        scale = points.new_tensor(model.head_outputs.scale)
        return found, points[..., :2] * scale, confidence

    def _same(self, first: Tensor, second: Tensor, size: Tensor) -> Tensor:
        distance = torch.linalg.vector_norm(first - second, dim=-1)
        return distance <= self.threshold * size.max()

    def _count(self, name: str, values: Tensor) -> None:
        new = torch.stack(
            [
                values.double().sum(),
                values.new_tensor(values.numel(), dtype=torch.float64),
            ]
        )
        self.hits[name] = self.hits.get(name, 0) + new

    def _add_information(self, maps: Tensor) -> None:
        maps = maps.flatten(2).double()
        entropy = -torch.xlogy(maps, maps).sum(-1).mean(-1).sum()
        new = torch.stack([maps.new_tensor(float(len(maps))), entropy])
        self.entropy = new if self.entropy is None else self.entropy + new
        mass = maps.sum(0)
        self.mass = mass if self.mass is None else self.mass + mass


def source_people(dataset: dict, pipeline: Sequence[dict]) -> BaseDataset:
    """Build the source of a dataset alone.

    Args:
        dataset (dict): Config of a :class:`~mmpose_da.datasets.MixedDomainDataset`.
        pipeline (Sequence[dict]): Its transforms.

    Returns:
        BaseDataset: The people of the source.
    """
    return DATASETS.build(
        dict(
            type=dataset["type"],
            joints=dataset["joints"],
            source=dataset["source"],
            pipeline=list(pipeline),
        )
    )


def source_poses(dataset: dict, count: int) -> np.ndarray:
    """Return up to ``count`` poses (N, K, 2) of a source in pixels, NaN where unknown.

    Args:
        dataset (dict): Config of a :class:`~mmpose_da.datasets.MixedDomainDataset`.
        count (int): Number of poses, evenly spread over the people.
    """
    people = source_people(dataset, [])
    chosen = np.linspace(0, len(people) - 1, min(count, len(people))).astype(int)
    infos = [people.get_data_info(int(index)) for index in chosen]
    return np.concatenate(
        [labeled_points(i["keypoints"], i["keypoints_visible"]) for i in infos]
    )

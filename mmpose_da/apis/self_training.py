"""Self-training: rounds of labeling, ranking, and training."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from mmengine.config import Config

from ..engine import AtomicLocalBackend
from .stages import Result, label_stage, train_stage


@dataclass(frozen=True)
class SelfTraining:
    """The rounds of a self-training; the key ``self_training`` of a config.

    In each round, the model of the round before labels the unlabeled target people, the
    most confident of them are kept, and the model trains on them for the iterations of
    the config. The share that is kept grows from round to round (Zhang et al.,
    "Monocular 3D Human Pose Estimation with Domain Feature Alignment and Self
    Training", Sec. 3.1, after Mu et al., "Learning from Synthetic Animals", CVPR 2020).

    Args:
        rounds (int): Number of rounds.
        initial (float): Share of people in the first round. Defaults to 0.6.
        step (float): What the share grows by in each round. Defaults to 0.05.
        maximum (float): Largest share. Defaults to 0.99.
        labeling (dict): Further arguments of
            :func:`~mmpose_da.apis.pseudo_labels.pseudo_label`: ``views``, ``score``,
            ... Without a ``seed``, each round has one of its own, which follows from
            ``randomness.seed`` of the config (0 if not given). Defaults to {}.
        threshold (float): Lowest confidence of a joint that is trained on. Defaults
            to 0.
    """

    rounds: int
    initial: float = 0.6
    step: float = 0.05
    maximum: float = 0.99
    labeling: dict = field(default_factory=dict)
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.rounds, int) or self.rounds < 1:
            raise ValueError(f"self_training.rounds must be >= 1, not {self.rounds}")
        if not (0 < self.initial <= 1 and 0 < self.maximum <= 1 and self.step >= 0):
            raise ValueError(
                "self_training needs initial and maximum in (0, 1] and step >= 0, but "
                f"has {self.initial}, {self.maximum}, and {self.step}"
            )

    @classmethod
    def of(cls, cfg: Config) -> SelfTraining:
        """Read the key ``self_training`` of a config.

        Raises:
            ValueError: If it is missing, or has an unknown key or a wrong value.
        """
        settings = cfg.to_dict().get("self_training")
        if not isinstance(settings, dict):
            raise ValueError(
                f"{cfg.filename} has no `self_training = dict(rounds=...)`"
            )
        try:
            return cls(**settings)
        except TypeError as error:
            raise ValueError(f"self_training of {cfg.filename}: {error}") from error

    def share(self, index: int) -> float:
        """Return the share of people that round ``index``, from 0, trains on."""
        return min(self.initial + self.step * index, self.maximum)


@dataclass(frozen=True)
class Round:
    """What a round did.

    Attributes:
        share (float): The share of people that were kept.
        people (int): Their number.
        lowest_score (float): The lowest score among them.
        dropped (int): The number of people that were labeled, but not kept.
        metrics (dict[str, float]): Metrics of the model at the end.
    """

    share: float
    people: int
    lowest_score: float
    dropped: int
    metrics: dict[str, float]


def self_train(
    cfg: Config,
    work_dir: str | Path,
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
    report: Callable[[int, Round], None] | None = None,
) -> Result:
    """Self-train a config, or resume where it was interrupted.

    Round r has the folder ``round_r`` with the stages ``label`` (``pseudo.json``) and
    ``train``. ``rounds.json`` is the history. A stage is complete or repeated, so a
    self-training that is killed at any moment and run again has the same end.

    Args:
        cfg (Config): The config, with ``self_training`` (:class:`SelfTraining`), and
            ``load_from``, the model of the first labels. Its batches have samples of
            ``target_pseudo``.
        work_dir (str | Path): Directory of all rounds.
        threads (int, optional): CPU threads of a process. Defaults to None: the setting
            of the environment.
        progress (Callable, optional): Called with the completed and the total number of
            iterations or epochs of all rounds. Defaults to None.
        stop (threading.Event, optional): Ends it once it is set. Defaults to None.
        report (Callable, optional): Called with the number of each round, from 1, and
            what it did. Defaults to None.

    Returns:
        Result: The metrics and the checkpoint of the last round, the median step time
        of all rounds, and the highest peak memory.

    Raises:
        ValueError: If the config does not fit.
        RuntimeError: If a stage failed.
    """
    settings = SelfTraining.of(cfg)
    content = cfg.to_dict()
    content.pop("self_training")
    checkpoint = content.get("load_from")
    if not checkpoint or not (Path(checkpoint).is_file() or "://" in str(checkpoint)):
        raise ValueError(
            f"load_from={checkpoint!r} is not a checkpoint: self-training starts from "
            "a trained model, which makes the first labels"
        )
    folder, rounds, results = Path(work_dir), [], []

    def part_progress(index: int) -> Callable[[int, int], None] | None:
        if progress is None:
            return None
        return lambda done, total: progress(
            index * total + done, settings.rounds * total
        )

    for index in range(settings.rounds):
        place = folder / f"round_{index + 1:02d}"
        share = settings.share(index)
        labeling = {"seed": _seed(content, index), **settings.labeling}
        labels = label_stage(
            Config(dict(content, pseudo_labeling=dict(labeling, share=share))),
            checkpoint,
            place / "label",
            threads=threads,
            stop=stop,
        )
        training = Config(dict(content, load_from=str(checkpoint)))
        training.train_dataloader.dataset.pseudo_target = dict(
            ann_file=str((place / "label" / "pseudo.json").resolve()),
            threshold=settings.threshold,
        )
        result = train_stage(
            training,
            place / "train",
            threads=threads,
            progress=part_progress(index),
            stop=stop,
        )
        results.append(result)
        checkpoint = str(result.checkpoint)
        rounds.append(
            Round(
                share,
                len(labels),
                float(labels.scores.min()),
                labels.num_dropped,
                result.metrics,
            )
        )
        history = json.dumps([asdict(one) for one in rounds], indent=1)
        AtomicLocalBackend().put_text(history, folder / "rounds.json")
        if report is not None:
            report(index + 1, rounds[-1])
    return Result(
        metrics=results[-1].metrics,
        checkpoint=results[-1].checkpoint,
        step_time=sorted(r.step_time for r in results)[len(results) // 2],
        peak_memory=max(r.peak_memory for r in results),
    )


def _seed(content: dict, index: int) -> int:
    """Return the seed of the views of round ``index``, from that of the run."""
    seed = (content.get("randomness") or {}).get("seed") or 0
    return int(np.random.SeedSequence((seed, index)).generate_state(1)[0])

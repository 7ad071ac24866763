"""What a report is about: a training run, and what is known and measured of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.runner import CheckpointLoader
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import DATASETS

from ...structures import joint_definition
from ...visualization import extract_features
from ..adapt.config import Source
from ..detect.run import Detected, read_detected
from ..quiet import quiet
from ..scores import quiet_score
from ..stages import read_result, scalars
from ..target_people import MIXED, people_of, prediction_pipeline, spread, taught_joints
from ..work_files import read_json
from .models import Predictions, load_deployed, predict

BEFORE, AFTER = "before", "after"
#: A joint whose confidence is always lower is one that the model has not learned.
UNLEARNED = 0.1
#: The largest number of people of each domain whose features are embedded.
EMBEDDED_PEOPLE = 300


@dataclass(frozen=True)
class Run:
    """A training run, and what its report is to contain.

    Attributes:
        cfg (Config): Its config.
        checkpoint (Path): Its checkpoint.
        before (str, optional): The checkpoint of the model before the run. Defaults to
            None: there is nothing to compare with.
        folder (Path, optional): The folder of its logs. Defaults to None: that of the
            checkpoint.
        job (Path, optional): The work directory of ``tools/adapt.py`` that it belongs
            to. Defaults to None.
        labels (Source, optional): A labeled validation set of the target. Defaults to
            None: that of the config, if it has one.
        embedding (str): How features are embedded; see
            :func:`~mmpose_da.visualization.embed_features`. Defaults to ``'pca'``.
        people (int): The largest number of people to predict. Defaults to 500.
    """

    cfg: Config
    checkpoint: Path
    before: str | None = None
    folder: Path | None = None
    job: Path | None = None
    labels: Source | None = None
    embedding: str = "pca"
    people: int = 500


def run_of_job(work_dir: str | Path, **options: Any) -> Run:
    """Return the run of a work directory of ``tools/adapt.py``.

    Args:
        work_dir (str | Path): The work directory.
        options (Any): ``labels``, ``embedding``, and ``people`` of :class:`Run`.

    Raises:
        FileNotFoundError: If it has no trained model. The message names the file.
    """
    job = Path(work_dir).resolve()
    folder = job / "adapt"
    for path in (job / "job.json", folder / "input/config.py", folder / "result.json"):
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no '{path}'; run tools/adapt.py with --work-dir {job} until "
                "its stage 'adapt' is done, or give a config and a checkpoint"
            )
    with quiet():
        cfg = Config.fromfile(folder / "input/config.py")
    checkpoint = read_result(folder).checkpoint
    _check_file("checkpoint", checkpoint)
    return Run(cfg, checkpoint, cfg.load_from, folder, job, **options)


def run_of_config(
    config: str | Path,
    checkpoint: str | Path,
    before: str | None = None,
    **options: Any,
) -> Run:
    """Return the run of a config and a checkpoint.

    Args:
        config (str | Path): The config.
        checkpoint (str | Path): The checkpoint.
        before (str, optional): The checkpoint of the model before the run. Defaults to
            None: the one that the config starts from, if it is there.
        options (Any): ``labels``, ``embedding``, and ``people`` of :class:`Run`.

    Raises:
        FileNotFoundError: If a file does not exist.
    """
    _check_file("config", config)
    _check_file("checkpoint", checkpoint)
    with quiet():
        cfg = Config.fromfile(config)
    if before is None:
        start = cfg.get("load_from")
        before = start if start and ("://" in start or Path(start).is_file()) else None
    elif "://" not in before:
        _check_file("checkpoint before the run", before)
    checkpoint = Path(checkpoint).resolve()
    return Run(cfg, checkpoint, before, checkpoint.parent, **options)


def _check_file(what: str, path: str | Path) -> None:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{what}: there is no file '{path}'; check the path")


@dataclass
class Evidence:
    """What is known of a run; what has to be computed is computed when it is asked for.

    Each part raises an error that says what is missing.

    Attributes:
        run (Run): The run.
        progress (Callable): Called with what is being done, the completed, and the
            total number.
    """

    run: Run
    progress: Callable[[str, int, int], None] = field(
        default=lambda text, done, total: None
    )

    @cached_property
    def meta(self) -> dict[str, Any]:
        """``meta`` of the checkpoint."""
        path = str(self.run.checkpoint)
        return CheckpointLoader.load_checkpoint(path, "cpu", "silent").get("meta", {})

    @cached_property
    def job(self) -> dict[str, Any]:
        """The settings of ``tools/adapt.py``; empty for another run."""
        return {} if self.run.job is None else read_json(self.run.job / "job.json")

    @cached_property
    def history(self) -> list[dict]:
        """What the calls of ``tools/adapt.py`` recorded; empty for another run."""
        path = self.run.job and self.run.job / "history.jsonl"
        if path is None or not path.is_file():
            return []
        # Text after the last newline is still being written.
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines]

    @cached_property
    def detected(self) -> Detected | None:
        """The result of the stage ``detect``; None for another run."""
        return None if self.run.job is None else read_detected(self.run.job / "detect")

    @cached_property
    def lines(self) -> list[dict]:
        """The log of the run."""
        return scalars(self.run.folder or self.run.checkpoint.parent)

    @cached_property
    def models(self) -> dict[str, BasePoseEstimator]:
        """The deployed networks, before (if known) and after."""
        found = {}
        with quiet():
            if self.run.before is not None:
                found[BEFORE] = load_deployed(self.run.cfg, self.run.before, "student")
            found[AFTER] = load_deployed(self.run.cfg, str(self.run.checkpoint))
        return found

    @property
    def joints(self) -> list[str]:
        """Names of the joints that the models predict."""
        joints = self.run.cfg.model.get("joints")
        if joints is None:
            dataset = self.run.cfg.val_dataloader.dataset
            joints = dataset.get("metainfo") or dataset.type
        names = joint_definition(joints)["keypoint_id2name"]
        return [names[index] for index in range(len(names))]

    @cached_property
    def taught(self) -> list[int]:
        """The joints to compare: those that somebody taught the models.

        The model of a job has learned its joints before, except those of which it is
        never sure. For another run, they are those that a labeled domain has.
        """
        every = list(range(len(self.joints)))
        if self.run.job:
            sure = self.predictions.confidence[BEFORE].max(axis=0) >= UNLEARNED
            return [index for index in every if sure[index]] or every
        try:
            names = taught_joints(self.run.cfg)
        except ValueError:
            return every
        return [index for index in every if self.joints[index] in names]

    @cached_property
    def target(self) -> BaseDataset:
        """People of the target, without labels; else the validation set."""
        cfg = self.run.cfg
        training = (cfg.get("train_dataloader") or {}).get("dataset") or {}
        with quiet():
            if not training.get("target") and cfg.get("val_dataloader"):
                return self.labeled
            return DATASETS.build(people_of(cfg, "target"))

    @cached_property
    def source(self) -> BaseDataset:
        """People of the source, with labels.

        Raises:
            ValueError: If the run has no source.
        """
        with quiet():
            return DATASETS.build(people_of(self.run.cfg, "source"))

    @cached_property
    def chosen(self) -> list[int]:
        """The people of the target that are predicted."""
        return spread(len(self.target), self.run.people)

    @cached_property
    def predictions(self) -> Predictions:
        """Predictions on the target."""
        return predict(
            self.models,
            self.target,
            self.chosen,
            lambda done, total: self.progress("predicting", done, total),
        )

    @cached_property
    def labeled(self) -> BaseDataset:
        """The labeled validation set, in the joints of the models."""
        return DATASETS.build(self._labeled_config())

    def _labeled_config(self) -> dict[str, Any]:
        cfg = self.run.cfg
        if self.run.labels is not None:
            dataset = self.run.labels.dataset(cfg.model.get("joints"))
        elif cfg.get("val_dataloader"):
            dataset = cfg.val_dataloader.dataset.to_dict()
        else:
            raise ValueError(
                "there are no labels of the target. With a labeled validation set "
                "(--labels and --label-images of tools/report.py), errors are measured"
            )
        for key in ("pipeline", "test_mode", "bbox_file", "headbox_file"):
            dataset.pop(key, None)
        joints = cfg.model.get("joints") or dataset.get("metainfo") or dataset["type"]
        pipeline = prediction_pipeline(cfg)
        return dict(type=MIXED, joints=joints, source=dataset, pipeline=pipeline)

    @cached_property
    def labeled_file(self) -> str:
        """The file of the labels."""
        source = self._labeled_config()["source"]
        return str(Path(source.get("data_root") or "", source["ann_file"]))

    @cached_property
    def labeled_predictions(self) -> Predictions:
        """Predictions on the labeled validation set, with labels of :attr:`taught`."""
        with quiet():
            dataset = self.labeled
        found = predict(
            self.models,
            dataset,
            spread(len(dataset), self.run.people),
            lambda done, total: self.progress("comparing with labels", done, total),
        )
        others = set(range(len(self.joints))).difference(self.taught)
        found.truth[:, sorted(others)] = np.nan
        return found

    @cached_property
    def scores(self) -> dict[str, dict[str, float]]:
        """The scores without labels, and metrics with them if the config has any."""
        if self.run.job is not None:
            path = self.run.job / "score/result.json"
            if not path.is_file():
                raise ValueError(f"there is no '{path}': the stage 'score' is not done")
            content = read_json(path)
            return {title: content[title] for title in (BEFORE, AFTER)}
        found = {}
        with tempfile.TemporaryDirectory() as folder:
            if self.run.before is not None:
                found[BEFORE] = quiet_score(
                    self.run.cfg, self.run.before, folder, "student"
                )
            found[AFTER] = quiet_score(self.run.cfg, self.run.checkpoint, folder)
        return found

    def features(self, domain: str) -> dict[str, np.ndarray]:
        """Return features (n, C) of ``'source'`` or ``'target'`` by title of the model.

        Raises:
            ValueError: If the run has no such domain.
        """
        dataset = self.target if domain == "target" else self.source
        return {
            title: extract_features(model, dataset, EMBEDDED_PEOPLE)
            for title, model in self.models.items()
        }

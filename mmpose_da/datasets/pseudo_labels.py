"""Pseudo-labels in a file: keypoints with confidences, written by an earlier run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.fileio import get, get_text, put_text
from mmpose.datasets.datasets.base import BaseCocoStyleDataset

from .annotation_file import AnnotationError

#: What pseudo-labels with another hash were made from.
_OTHER = dict(
    people="of another annotation file or bbox_file than the target's",
    checkpoint="by another model than the one that is at this path now",
)


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels of n people.

    The file is JSON with ``joints``, the names of the K joints, and ``annotations``, a
    list with the ``id`` of each person in the target's annotation file, its
    ``keypoints`` as ``[x1, y1, c1, ..., xK, yK, cK]``, and its ``score``. With depth,
    ``dimensions`` is 3 and the keypoints are ``[x1, y1, z1, c1, ...]``. ``made_from``
    has SHA-256 hashes of the ``people`` (:func:`people_hash`) and, if it was a local
    file, of the ``checkpoint``. A file without them is read, but not checked.
    ``dropped`` is a list like ``annotations``, of people that nothing trains on.

    Attributes:
        joints (tuple[str, ...]): Names of the K joints.
        ids (tuple): Annotation ids (n,), in the target's annotation file.
        keypoints (np.ndarray): Points (n, K, 2) in image pixels, x first, 0-based; or
            (n, K, 3) with a depth relative to the root, in image pixels.
        confidence (np.ndarray): Confidence of each (n, K).
        scores (np.ndarray): Confidence of each person (n,).
        made_from (dict[str, str]): The hashes. Defaults to {}.
        dropped (PseudoLabels, optional): Those of the other people, which nothing
            trains on, to look at. Defaults to None.
    """

    joints: tuple[str, ...]
    ids: tuple[Any, ...]
    keypoints: np.ndarray
    confidence: np.ndarray
    scores: np.ndarray
    made_from: dict[str, str] = field(default_factory=dict)
    dropped: PseudoLabels | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_dropped(self) -> int:
        """The number of people that nothing trains on."""
        return 0 if self.dropped is None else len(self.dropped)

    def most_confident(self, share: float) -> PseudoLabels:
        """Return the share of people with the highest scores, best first.

        The others are its ``dropped``, also best first.

        Args:
            share (float): The share, in (0, 1]; at least one person is kept.
        """
        if not 0 < share <= 1:
            raise ValueError(f"the share to keep must be in (0, 1], but is {share}")
        order = np.argsort(-self.scores, kind="stable")
        count = max(1, round(share * len(self)))
        dropped = self._take(order[count:]) if count < len(self) else None
        return replace(self._take(order[:count]), dropped=dropped)

    def _take(self, chosen: np.ndarray) -> PseudoLabels:
        return replace(
            self,
            ids=tuple(self.ids[i] for i in chosen),
            keypoints=self.keypoints[chosen],
            confidence=self.confidence[chosen],
            scores=self.scores[chosen],
            dropped=None,
        )

    def for_joints(self, names: Sequence[str]) -> PseudoLabels:
        """Sort the joints; those that have no pseudo-labels get confidence -inf.

        The result has no ``dropped``.

        Raises:
            ValueError: If a joint of the pseudo-labels is not among the names.
        """
        unknown = sorted(set(self.joints) - set(names))
        if unknown:
            raise ValueError(f"pseudo-labels of {unknown}, but the joints are {names}")
        keypoints = np.zeros((len(self), len(names), self.keypoints.shape[-1]))
        confidence = np.full((len(self), len(names)), -np.inf)
        for column, name in enumerate(self.joints):
            keypoints[:, names.index(name)] = self.keypoints[:, column]
            confidence[:, names.index(name)] = self.confidence[:, column]
        return replace(
            self,
            joints=tuple(names),
            keypoints=keypoints,
            confidence=confidence,
            dropped=None,
        )

    def check_made_from(self, path: str | Path, **hashes: str | None) -> None:
        """Raise an AnnotationError if they were made from something else.

        Args:
            path (str | Path): Their file, for the message.
            hashes (str | None): What there is now, as in ``made_from``. An absent hash
                on either side is not compared.
        """
        for what, expected in hashes.items():
            found = self.made_from.get(what)
            if found and expected and found != expected:
                raise AnnotationError(
                    f"'{path}' has pseudo-labels {_OTHER[what]} (SHA-256 "
                    f"{found[:12]}, now {expected[:12]}). Label the target again with "
                    "tools/pseudo_label.py, or, in self-training, delete the folder of "
                    "this round and of those after it"
                )

    def save(self, path: str | Path) -> None:
        """Write the file, completely or not at all."""
        content = dict(
            joints=list(self.joints),
            dimensions=self.keypoints.shape[-1],
            made_from=self.made_from,
            annotations=self._annotations(),
            dropped=[] if self.dropped is None else self.dropped._annotations(),
        )
        put_text(json.dumps(content), str(path), backend_args=dict(backend="atomic"))

    def _annotations(self) -> list[dict]:
        values = np.concatenate([self.keypoints, self.confidence[..., None]], axis=2)
        rows = values.reshape(len(self), -1).round(4).tolist()
        scores = self.scores.round(6).tolist()
        return [
            dict(id=identity, keypoints=row, score=score)
            for identity, row, score in zip(self.ids, rows, scores, strict=True)
        ]

    @classmethod
    def load(cls, path: str | Path) -> PseudoLabels:
        """Read and check a file.

        Raises:
            FileNotFoundError: If there is no such file.
            AnnotationError: If it is not a file of pseudo-labels. The message names the
                file and, where one is wrong, the annotation.
        """
        try:
            content = json.loads(get_text(str(path)))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise AnnotationError(f"'{path}' is not JSON: {error}") from error
        try:
            joints = tuple(content["joints"])
            kept, dropped = content["annotations"], content.get("dropped", [])
            annotations = [*kept, *dropped]
            dimensions = content.get("dimensions", 2)
            made_from = dict(content.get("made_from", {}))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise AnnotationError(
                f"'{path}' is not a file of pseudo-labels: it needs `joints` and "
                "`annotations`"
            ) from error
        if dimensions not in (2, 3):
            raise AnnotationError(f"'{path}' has dimensions={dimensions}, not 2 or 3")
        shape = len(annotations), len(joints), dimensions + 1
        values, scores, ids = np.zeros(shape), np.zeros(shape[0]), []
        for i, annotation in enumerate(annotations):
            try:
                ids.append(annotation["id"])
                values[i] = np.reshape(annotation["keypoints"], shape[1:])
                scores[i] = annotation["score"]
            except (KeyError, TypeError, ValueError) as error:
                name = annotation.get("id", i) if isinstance(annotation, dict) else i
                raise AnnotationError(
                    f"annotation {name} in '{path}' needs an id, a score, and "
                    f"keypoints with {'x, y, z' if dimensions == 3 else 'x, y'}, and "
                    f"confidence of {len(joints)} joints: "
                    f"{error}"
                ) from error
            if not (np.isfinite(values[i]).all() and np.isfinite(scores[i])):
                raise AnnotationError(
                    f"annotation {ids[-1]} in '{path}' has a number that is not finite"
                )
        if len(set(ids)) < len(ids):
            raise AnnotationError(f"'{path}' has several annotations of the same id")
        every = cls(
            joints, tuple(ids), values[..., :-1], values[..., -1], scores, made_from
        )
        if not dropped:
            return every
        kept_rows, other_rows = np.split(np.arange(len(every)), [len(kept)])
        return replace(every._take(kept_rows), dropped=every._take(other_rows))


def people_hash(dataset: BaseCocoStyleDataset) -> str:
    """Return the SHA-256 hash of the files that give people their ids.

    They are the annotation file and, if there is one, the ``bbox_file``.
    """
    return _sha256(dataset.ann_file, *filter(None, [dataset.bbox_file]))


def checkpoint_hash(checkpoint: str | Path) -> str | None:
    """Return the SHA-256 hash of a checkpoint, or None if it is not a local file."""
    return _sha256(checkpoint) if Path(checkpoint).is_file() else None


def _sha256(*paths: str | Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(get(path))
    return digest.hexdigest()

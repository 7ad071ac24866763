"""Pseudo-labels in a file: keypoints with confidences, written by an earlier run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.fileio import get_text, put_text

from .annotation_file import AnnotationError


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels of n people.

    The file is JSON with ``joints``, the names of the K joints, and ``annotations``, a
    list with the ``id`` of each person in the target's annotation file, its
    ``keypoints`` as ``[x1, y1, c1, ..., xK, yK, cK]``, and its ``score``. With depth,
    ``dimensions`` is 3 and the keypoints are ``[x1, y1, z1, c1, ...]``.

    Attributes:
        joints (tuple[str, ...]): Names of the K joints.
        ids (tuple): Annotation ids (n,), in the target's annotation file.
        keypoints (np.ndarray): Points (n, K, 2) in image pixels, x first, 0-based; or
            (n, K, 3) with a depth relative to the root, in image pixels.
        confidence (np.ndarray): Confidence of each (n, K).
        scores (np.ndarray): Confidence of each person (n,).
    """

    joints: tuple[str, ...]
    ids: tuple[Any, ...]
    keypoints: np.ndarray
    confidence: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def most_confident(self, share: float) -> PseudoLabels:
        """Return the share of people with the highest scores, best first.

        Args:
            share (float): The share, in (0, 1]; at least one person is kept.
        """
        if not 0 < share <= 1:
            raise ValueError(f"the share to keep must be in (0, 1], but is {share}")
        order = np.argsort(-self.scores, kind="stable")
        return self._take(order[: max(1, round(share * len(self)))])

    def _take(self, chosen: np.ndarray) -> PseudoLabels:
        return PseudoLabels(
            self.joints,
            tuple(self.ids[i] for i in chosen),
            self.keypoints[chosen],
            self.confidence[chosen],
            self.scores[chosen],
        )

    def for_joints(self, names: Sequence[str]) -> PseudoLabels:
        """Sort the joints; those that have no pseudo-labels get confidence -inf.

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
        return PseudoLabels(tuple(names), self.ids, keypoints, confidence, self.scores)

    def save(self, path: str | Path) -> None:
        """Write the file, completely or not at all."""
        values = np.concatenate([self.keypoints, self.confidence[..., None]], axis=2)
        rows = values.reshape(len(self), -1).round(4).tolist()
        scores = self.scores.round(6).tolist()
        annotations = [
            dict(id=identity, keypoints=row, score=score)
            for identity, row, score in zip(self.ids, rows, scores, strict=True)
        ]
        content = dict(
            joints=list(self.joints),
            dimensions=self.keypoints.shape[-1],
            annotations=annotations,
        )
        put_text(json.dumps(content), str(path), backend_args=dict(backend="atomic"))

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
            annotations = content["annotations"]
            dimensions = content.get("dimensions", 2)
        except (KeyError, TypeError) as error:
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
        return cls(joints, tuple(ids), values[..., :-1], values[..., -1], scores)

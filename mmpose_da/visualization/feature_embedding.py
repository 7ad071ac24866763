"""Feature extraction, and plots of the features of each domain in one plane."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.dataset import BaseDataset, pseudo_collate
from mmpose.models.pose_estimators.base import BasePoseEstimator

BATCH_SIZE = 32
#: Number of neighbors considered per point in t-SNE; scikit-learn's default.
PERPLEXITY = 30.0
PANEL_INCHES = 4.5


def extract_features(
    model: BasePoseEstimator, dataset: BaseDataset, num_images: int
) -> np.ndarray:
    """Extract the features that the head receives, averaged over all positions.

    Args:
        model (BasePoseEstimator): It is set to evaluation mode.
        dataset (BaseDataset): A dataset with the validation pipeline.
        num_images (int): Number of people, evenly spread over the dataset; all of them
            if it has fewer.

    Returns:
        np.ndarray: Features (N, C), float32, in the order of the dataset.
    """
    count = min(num_images, len(dataset))
    indices = np.arange(count) * len(dataset) // max(count, 1)
    model.eval()
    features = []
    for start in range(0, count, BATCH_SIZE):
        samples = [dataset[int(i)] for i in indices[start : start + BATCH_SIZE]]
        data = model.data_preprocessor(pseudo_collate(samples), training=False)
        with torch.no_grad():
            maps = model.extract_feat(data["inputs"])
        last = maps[-1].float()
        pooled = last if last.dim() == 2 else last.mean(dim=(2, 3))
        features.append(pooled.cpu().numpy())
    if not features:
        raise ValueError(f"there are no people to extract features from: {num_images=}")
    return np.concatenate(features)


def embed_features(
    features: Mapping[str, np.ndarray], method: str = "tsne"
) -> dict[str, np.ndarray]:
    """Embed the features of several domains in one plane.

    All domains are fitted together, and the fit does not know which feature belongs to
    which domain: domains that are apart in the plane are also apart in feature space.
    The same features give the same points.

    Args:
        features (Mapping[str, np.ndarray]): Features (N_d, C) of each domain d.
        method (str): ``'tsne'``, van der Maaten and Hinton, "Visualizing Data using
            t-SNE", JMLR 2008: neighbors stay neighbors, but distances between groups
            and the axes have no meaning. ``'pca'``: the two directions of largest
            variance, which is fast and linear: domains that overlap in the plane may be
            apart in others. Defaults to ``'tsne'``.

    Returns:
        dict[str, np.ndarray]: Points (N_d, 2) of each domain.

    Raises:
        ImportError: If scikit-learn, which t-SNE needs, is not installed.
        ValueError: If there are fewer than three features, they differ in C, or there
            is no such method.
    """
    if method not in EMBEDDINGS:
        raise ValueError(f"method='{method}' is none of {list(EMBEDDINGS)}")
    shapes = {name: np.shape(values) for name, values in features.items()}
    if len({shape[1:] for shape in shapes.values()}) != 1:
        raise ValueError(f"features of all domains must be (N, C), but are {shapes}")
    together = np.concatenate(list(features.values()))
    if len(together) < 3:
        raise ValueError(f"embedding needs at least three features, but got {shapes}")
    points = EMBEDDINGS[method](together)
    ends = np.cumsum([len(values) for values in features.values()])
    return dict(zip(features, np.split(points, ends[:-1]), strict=True))


def _tsne(features: np.ndarray) -> np.ndarray:
    try:
        from sklearn.manifold import TSNE  # optional: only used here
    except ImportError as error:
        raise ImportError(
            "t-SNE needs scikit-learn: pip install scikit-learn"
        ) from error
    # More than a third of the points would not be a neighborhood.
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    return TSNE(perplexity=perplexity, random_state=0).fit_transform(features)


def _pca(features: np.ndarray) -> np.ndarray:
    centered = features.astype(float) - features.mean(axis=0, dtype=float)
    _, _, directions = np.linalg.svd(centered, full_matrices=False)
    directions = directions[:2]
    # A direction and its opposite are equally good; the largest entry is positive.
    largest = np.abs(directions).argmax(axis=1)[:, None]
    directions = directions * np.sign(np.take_along_axis(directions, largest, 1))
    return centered @ directions.T


#: What :func:`embed_features` can do, by name.
EMBEDDINGS = dict(tsne=_tsne, pca=_pca)


def nearest_of_same_domain(features: Mapping[str, np.ndarray]) -> float:
    """Return the share of features whose nearest neighbor is of their own domain.

    It is computed in feature space. Among equally many features of each domain, it is 1
    for domains that are apart, and about one over their number for domains that are
    mixed.

    Args:
        features (Mapping[str, np.ndarray]): Features (N_d, C) of each domain d. As many
            are used of each as the smallest domain has, evenly spread.
    """
    count = min(len(values) for values in features.values())
    chosen = [
        values[np.arange(count) * len(values) // count].astype(float)
        for values in features.values()
    ]
    together = np.concatenate(chosen)
    domain = np.repeat(np.arange(len(chosen)), count)
    distance = np.linalg.norm(together[:, None] - together, axis=-1)
    np.fill_diagonal(distance, np.inf)
    return float(np.mean(domain == domain[distance.argmin(axis=1)]))


def plot_feature_embedding(
    features: Mapping[str, Mapping[str, np.ndarray]],
    path: str | Path,
    method: str = "tsne",
) -> None:
    """Plot the features of several models, one panel each, colored by domain.

    Args:
        features (Mapping[str, Mapping[str, np.ndarray]]): Features (N, C) by model
            title and domain name. Each model is embedded separately
            (:func:`embed_features`), with all its domains together.
        path (str | Path): Output image; the suffix determines the format.
        method (str): As for :func:`embed_features`. Defaults to ``'tsne'``.
    """
    figure = Figure(
        figsize=(PANEL_INCHES * len(features), PANEL_INCHES), layout="constrained"
    )
    axes = figure.subplots(1, len(features), squeeze=False)[0]
    names = list(
        dict.fromkeys(name for domains in features.values() for name in domains)
    )
    dots = {}
    for axis, (title, domains) in zip(axes, features.items(), strict=True):
        points = embed_features(domains, method)
        for name, values in points.items():
            color = f"C{names.index(name)}"
            dots[name] = axis.scatter(*values.T, s=12, alpha=0.7, lw=0, color=color)
        axis.set(title=title, xticks=[], yticks=[])
    figure.legend(
        dots.values(), dots, loc="outside lower center", ncols=len(dots), markerscale=3
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)

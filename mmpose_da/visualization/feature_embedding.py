"""Feature extraction, and t-SNE plots of the features of each domain."""

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
        features.append(maps[-1].float().mean(dim=(2, 3)).cpu().numpy())
    if not features:
        raise ValueError(f"there are no people to extract features from: {num_images=}")
    return np.concatenate(features)


def embed_features(features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Embed the features of several domains in one plane, with t-SNE.

    van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 2008. All domains
    are fitted together, and the fit does not know which feature belongs to which
    domain: domains that are apart in the plane are also apart in feature space.
    Distances between groups and the axes have no meaning. The same features give the
    same points.

    Args:
        features (Mapping[str, np.ndarray]): Features (N_d, C) of each domain d.

    Returns:
        dict[str, np.ndarray]: Points (N_d, 2) of each domain.

    Raises:
        ImportError: If scikit-learn is not installed.
        ValueError: If there are fewer than three features, or they differ in C.
    """
    try:
        from sklearn.manifold import TSNE  # optional: only used here
    except ImportError as error:
        raise ImportError(
            "t-SNE needs scikit-learn: pip install scikit-learn"
        ) from error
    shapes = {name: np.shape(values) for name, values in features.items()}
    if len({shape[1:] for shape in shapes.values()}) != 1:
        raise ValueError(f"features of all domains must be (N, C), but are {shapes}")
    together = np.concatenate(list(features.values()))
    if len(together) < 3:
        raise ValueError(f"t-SNE needs at least three features, but got {shapes}")
    # More than a third of the points would not be a neighborhood.
    perplexity = min(PERPLEXITY, (len(together) - 1) / 3)
    points = TSNE(perplexity=perplexity, random_state=0).fit_transform(together)
    ends = np.cumsum([len(values) for values in features.values()])
    return dict(zip(features, np.split(points, ends[:-1]), strict=True))


def plot_feature_embedding(
    features: Mapping[str, Mapping[str, np.ndarray]], path: str | Path
) -> None:
    """Plot the features of several models, one panel each, colored by domain.

    Args:
        features (Mapping[str, Mapping[str, np.ndarray]]): Features (N, C) by model
            title and domain name. Each model is embedded separately
            (:func:`embed_features`), with all its domains together.
        path (str | Path): Output image; the suffix determines the format.
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
        points = embed_features(domains)
        for name, values in points.items():
            color = f"C{names.index(name)}"
            dots[name] = axis.scatter(*values.T, s=12, alpha=0.7, lw=0, color=color)
        axis.set(title=title, xticks=[], yticks=[])
    figure.legend(
        dots.values(), dots, loc="outside lower center", ncols=len(dots), markerscale=3
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)

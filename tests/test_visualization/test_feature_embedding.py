import numpy as np
import pytest
import tiny_model
import torch
from mmpose.registry import DATASETS
from tiny_domains import VAL_PIPELINE

from mmpose_da.visualization import (
    embed_features,
    extract_features,
    feature_embedding,
    nearest_of_same_domain,
    plot_feature_embedding,
)


@pytest.fixture
def people(mpii):
    return DATASETS.build(dict(mpii, test_mode=True, pipeline=VAL_PIPELINE))


def clusters(distance: float, count: int = 40) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    here = rng.normal(size=(count, 8))
    return dict(here=here, there=rng.normal(size=(count, 8)) + distance)


def same_domain_share(points: dict[str, np.ndarray]) -> float:
    """Of all points, how many have a nearest neighbor of their own domain."""
    together = np.concatenate(list(points.values()))
    domain = np.repeat(np.arange(len(points)), [len(p) for p in points.values()])
    distance = np.linalg.norm(together[:, None] - together, axis=-1)
    np.fill_diagonal(distance, np.inf)
    return np.mean(domain == domain[distance.argmin(axis=1)])


def test_features_are_those_of_the_normalized_crops(people, monkeypatch):
    """With a number of images that is not a multiple of the batch size."""
    monkeypatch.setattr(feature_embedding, "BATCH_SIZE", 4)
    model = tiny_model.build()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    features = extract_features(model, people, 6)
    assert features.shape == (6, tiny_model.CHANNELS)
    mean, std = model.data_preprocessor.mean, model.data_preprocessor.std
    for row, index in zip(features, [0, 1, 3, 5, 6, 8], strict=True):  # of 10
        crop = people[index]["inputs"].flip(0).float()  # BGR to RGB
        with torch.no_grad():
            maps = model.backbone(((crop - mean) / std)[None])[-1]
        np.testing.assert_allclose(row, maps[0].mean((1, 2)), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_a_small_dataset_is_taken_as_a_whole(people):
    assert len(extract_features(tiny_model.build(), people, 99)) == len(people)
    with pytest.raises(ValueError, match="num_images=0"):
        extract_features(tiny_model.build(), people, 0)


def test_domains_that_are_apart_stay_apart_and_others_are_mixed():
    assert same_domain_share(embed_features(clusters(distance=20))) == 1
    assert same_domain_share(embed_features(clusters(distance=0))) < 0.75


def test_the_same_features_give_the_same_points():
    features = dict(clusters(distance=1, count=10), third=np.ones((3, 8)))
    first, again = embed_features(features), embed_features(features)
    assert [(name, p.shape) for name, p in first.items()] == [
        ("here", (10, 2)),
        ("there", (10, 2)),
        ("third", (3, 2)),
    ]
    assert all(np.array_equal(first[name], again[name]) for name in features)


def test_pca_is_that_of_the_covariance():
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(30, 5)) @ rng.normal(size=(5, 5))
    features = dict(here=mixed[:10], there=mixed[10:])
    points = np.concatenate(list(embed_features(features, "pca").values()))
    centered = mixed - mixed.mean(0)
    values, vectors = np.linalg.eigh(centered.T @ centered)
    for axis, index in enumerate(np.argsort(-values)[:2]):
        expected = centered @ vectors[:, index]
        sign = np.sign(vectors[np.abs(vectors[:, index]).argmax(), index])
        np.testing.assert_allclose(points[:, axis], sign * expected, atol=1e-8)
    with pytest.raises(ValueError, match="method='umap' is none of"):
        embed_features(features, "umap")


def test_nearest_of_same_domain_equals_loops():
    features = clusters(distance=0.6, count=12)
    features["there"] = features["there"][:8]
    points = [("here", features["here"][i * 12 // 8]) for i in range(8)]
    points += [("there", point) for point in features["there"]]
    same = 0
    for i, (domain, point) in enumerate(points):
        others = [other for j, other in enumerate(points) if j != i]
        nearest = min(others, key=lambda other: ((other[1] - point) ** 2).sum())
        same += nearest[0] == domain
    assert nearest_of_same_domain(features) == same / 16
    assert nearest_of_same_domain(clusters(distance=20)) == 1


def test_pooled_features_are_taken_as_they_are(people, monkeypatch):
    model = tiny_model.build()
    maps = extract_features(model, people, 3)
    extract = model.extract_feat
    monkeypatch.setattr(
        model, "extract_feat", lambda images: (extract(images)[-1].mean((2, 3)),)
    )
    np.testing.assert_allclose(extract_features(model, people, 3), maps)


def test_bad_features_get_a_clear_error():
    with pytest.raises(ValueError, match=r"\(N, C\).*'b': \(3, 5\)"):
        embed_features(dict(a=np.zeros((3, 4)), b=np.zeros((3, 5))))
    with pytest.raises(ValueError, match="three features"):
        embed_features(dict(a=np.zeros((2, 4))))


def test_plot_has_a_panel_for_each_model_and_one_color_for_each_domain(
    tmp_path, monkeypatch
):
    drawn = []
    save = feature_embedding.Figure.savefig
    monkeypatch.setattr(
        feature_embedding.Figure,
        "savefig",
        lambda figure, *args, **kwargs: (
            drawn.append(figure),
            save(figure, *args, **kwargs),
        ),
    )
    features = clusters(distance=5, count=10)
    backwards = dict(reversed(features.items()))
    path = tmp_path / "new" / "features.png"
    plot_feature_embedding(dict(before=features, after=backwards), path)
    assert path.stat().st_size > 0
    (figure,) = drawn
    assert [axis.get_title() for axis in figure.axes] == ["before", "after"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["here", "there"]
    before, after = (
        [dots.get_facecolor().tolist() for dots in axis.collections]
        for axis in figure.axes
    )
    assert before == after[::-1] and before[0] != before[1]

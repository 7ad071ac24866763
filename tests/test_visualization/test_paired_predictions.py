import cv2
import numpy as np
import pytest
import tiny_model
import torch
from mmpose.registry import DATASETS
from tiny_domains import VAL_PIPELINE

from mmpose_da.visualization import (
    draw_paired_predictions,
    draw_person,
    paired_predictions,
)


@pytest.fixture
def people(mpii):
    return DATASETS.build(dict(mpii, test_mode=True, pipeline=VAL_PIPELINE))


@pytest.fixture
def tiles(monkeypatch):
    """The pictures in the figure, by row, in order."""
    shown = []
    draw = paired_predictions._draw

    def record(tile, to_tile, person, definition, joints):
        drawn = draw(tile, to_tile, person, definition, joints)
        shown.append((tile, drawn, to_tile, person))
        return drawn

    monkeypatch.setattr(paired_predictions, "_draw", record)
    return shown


def changed_at(tile, drawn, points) -> list[bool]:
    """Whether there is something drawn at each of the points (N, 2)."""
    height, width = tile.shape[:2]
    difference = (tile.astype(int) != drawn).any(axis=-1)
    x, y = points.round().astype(int).T
    return difference[y.clip(0, height - 1), x.clip(0, width - 1)].tolist()


def test_a_row_of_annotations_then_one_of_each_model(tmp_path, people, tiles):
    models = dict(before=tiny_model.build(), after=tiny_model.build())
    path = tmp_path / "new" / "predictions.jpg"
    draw_paired_predictions(models, people, 3, path)
    assert cv2.imread(str(path)).std() > 0
    assert len(tiles) == 3 * 3
    for row in (tiles[:3], tiles[3:6], tiles[6:]):  # the same first people in each
        for i, (tile, *_) in enumerate(row):
            assert np.array_equal(tile, tiles[i][0])
    predicted = [person.keypoints for *_, person in tiles[3:]]
    assert not np.allclose(predicted[0], predicted[3])  # other weights


def test_joints_are_drawn_where_they_are(tmp_path, people, tiles):
    draw_paired_predictions({}, people, 4, tmp_path / "x.png")
    for i, (tile, drawn, _, _) in enumerate(tiles):
        sample = people[i]["data_samples"]
        # The same points via the crop that the network receives.
        crop = np.array(sample.input_size)
        inside = sample.gt_instances.keypoints[0] - sample.input_center
        inside = inside / sample.input_scale + 0.5
        assert tile.shape[0] / tile.shape[1] == crop[1] / crop[0]
        kept = ((inside > 0.05) & (inside < 0.95)).all(axis=1)
        points = inside[kept] * np.array(tile.shape[1::-1])
        assert len(points) > 8 and all(changed_at(tile, drawn, points))


def test_only_wanted_joints_and_labeled_ones_are_drawn(tmp_path, people, tiles):
    draw_paired_predictions({}, people, 1, tmp_path / "x.png", joints=["left_knee"])
    ((tile, drawn, to_tile, person),) = tiles
    ids = people.metainfo["keypoint_name2id"]
    x, y = person.keypoints[0, ids["left_knee"]] @ to_tile[:, :2].T + to_tile[:, 2]
    rows, columns = np.nonzero((tile.astype(int) != drawn).any(axis=-1))
    assert len(rows) and np.hypot(rows - y, columns - x).max() < 10

    person.keypoints_visible[:] = 0
    drawn = paired_predictions._draw(tile, to_tile, person, people.metainfo, None)
    assert np.array_equal(tile, drawn)


def test_predictions_are_the_models_own_and_leave_it_as_it_was(tmp_path, people, tiles):
    model = tiny_model.build()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    draw_paired_predictions(dict(model=model), people, 2, tmp_path / "x.png")
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    for i in range(2):
        data = dict(
            inputs=[people[i]["inputs"]], data_samples=[people[i]["data_samples"]]
        )
        (expected,) = model.test_step(data)
        np.testing.assert_allclose(
            tiles[2 + i][3].keypoints, expected.pred_instances.keypoints, atol=1e-3
        )


def test_the_joints_of_a_model_may_not_be_those_of_the_dataset(tmp_path, people, tiles):
    models = dict(coco=tiny_model.build(17, joints="CocoDataset"))
    draw_paired_predictions(models, people, 1, tmp_path / "x.png")
    tile, drawn, to_tile, person = tiles[1]
    points = person.keypoints[0] @ to_tile[:, :2].T + to_tile[:, 2]
    assert len(points) == 17
    inside = ((points > 0) & (points < tile.shape[0] - 1)).all(axis=1)
    assert all(changed_at(tile, drawn, points[inside]))


def test_no_person_is_an_error(tmp_path, people):
    with pytest.raises(ValueError, match="no people to draw: num_images=0"):
        draw_paired_predictions({}, people, 0, tmp_path / "x.png")


def test_one_person_is_drawn_as_in_the_figure(tmp_path, people, tiles):
    sample = people[0]["data_samples"]
    points = sample.gt_instances.keypoints
    drawn = draw_person(sample, points, people.metainfo)
    draw_paired_predictions({}, people, 1, tmp_path / "x.png")
    assert all(sample.gt_instances.keypoints_visible.ravel() > 0)
    assert np.array_equal(drawn, tiles[-1][1]) and drawn.shape[0] == 256

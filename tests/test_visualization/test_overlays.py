"""Maps of cells over a crop: what is at which pixel."""

import cv2
import numpy as np
import pytest
import tiny_model
import torch
from mmpose.codecs import MegviiHeatmap, MSRAHeatmap, UDPHeatmap
from mmpose.datasets.transforms import TopdownAffine
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from tiny_domains import CODEC
from tiny_site import HEADS

from mmpose_da.models.heads import head_outputs
from mmpose_da.visualization import (
    cell_of,
    draw_cell,
    draw_map,
    heatmap_step,
    overlays,
    predict_heatmaps,
    share_of_crop,
)

#: Input of the network, width and height; 16 x 12 cells at 4 pixels.
SIZE, CELLS = (48, 64), (12, 16)
NOWHERE = np.full(2, np.nan)


def head(codec: type, **kwargs) -> torch.nn.Module:
    options = dict(kernel_size=7) if codec is MegviiHeatmap else dict(sigma=1)
    decoder = dict(input_size=SIZE, heatmap_size=CELLS, **options, **kwargs)
    return MODELS.build(
        dict(
            type="HeatmapHead",
            in_channels=8,
            out_channels=1,
            deconv_out_channels=None,
            decoder=dict(type=codec.__name__, **decoder),
        )
    )


@pytest.fixture
def sample(tmp_path):
    """A person in a black image, whose crop is 30 x 40 pixels of it at (20, 10)."""
    path = str(tmp_path / "black.png")
    cv2.imwrite(path, np.zeros((100, 100, 3), np.uint8))
    center, scale = np.array([35.0, 30.0]), np.array([30.0, 40.0])
    crop = dict(input_center=center, input_scale=scale, input_size=SIZE)
    return PoseDataSample(metainfo=dict(img_path=path, **crop))


def hottest(drawn: np.ndarray) -> np.ndarray:
    """The middle (x, y) of the brightest pixels."""
    bright = drawn.astype(int).sum(axis=-1)
    rows, columns = np.nonzero(bright == bright.max())
    return np.array([columns.mean(), rows.mean()])


@pytest.mark.parametrize("codec", [MSRAHeatmap, UDPHeatmap, MegviiHeatmap])
@pytest.mark.parametrize("cell", [(3, 4), (8, 5), (6, 12)])
def test_the_peak_is_at_the_pixel_that_it_encodes(codec, cell, sample):
    """The crop is MMPose's transform, the heatmap that of MMPose's codec."""
    # The middle of a cell in pixels of the input, by the documents of the codecs.
    if codec is UDPHeatmap:
        given = np.array(cell) * (np.array(SIZE) - 1) / (np.array(CELLS) - 1)
    else:
        given = 4.0 * np.array(cell) + 2 * (codec is MegviiHeatmap)
    one = head(codec)
    encoded = one.decoder.encode(given.reshape(1, 1, 2), np.ones((1, 1)))
    [heatmap] = encoded["heatmaps"]
    x, y = cell
    assert heatmap.argmax() == y * CELLS[0] + x
    drawn = draw_map(sample, heatmap, NOWHERE, heatmap_step(one))
    # The pixel of the image that TopdownAffine moves to the given pixel of the input.
    image = np.float32(np.stack(np.mgrid[:100, :100][::-1], -1))
    udp = codec is UDPHeatmap
    results = dict(img=image, bbox_center=sample.input_center[None])
    results["bbox_scale"] = sample.input_scale[None]
    crop = TopdownAffine(SIZE, use_udp=udp).transform(results)["img"]
    wanted = cv2.remap(crop, *np.float32(given)[:, None, None], cv2.INTER_LINEAR)[0, 0]
    place = (wanted - (20, 10)) * 256 / 40
    # Cells are 16 pixels of the picture wide, and even.
    assert np.abs(hottest(drawn) - place).max() < 1


@pytest.mark.parametrize("codec", [MSRAHeatmap, UDPHeatmap])
def test_first_and_last_cell(codec, sample):
    """UDP's last cell is on the last pixel of the crop, MSRA's one cell before."""
    step = heatmap_step(head(codec))
    cells = np.zeros(CELLS[::-1])
    cells[0, 0] = cells[-1, -1] = 1
    drawn = draw_map(sample, cells, NOWHERE, step)
    bright = drawn.sum(axis=-1) > 0
    assert drawn.shape == (256, 192, 3) and bright[0, 0] and bright[-1, -1]
    first, last = np.flatnonzero(~bright[0])[0], np.flatnonzero(bright[-1])[0]
    if codec is UDPHeatmap:
        # 11 steps from 0 to 192; half of one belongs to the first and the last cell.
        assert abs(first - 192 / 22) <= 1 and abs(last - (192 - 192 / 22)) <= 1
    else:
        assert abs(first - 8) <= 1 and abs(last - (192 - 24)) <= 1


def test_a_map_is_drawn_on_the_right_cells(sample):
    """An attention of 4 x 3 cells, which divide the picture of 256 x 192 evenly."""
    cells = np.zeros((4, 3))
    cells[1, 2], cells[3, 0], cells[0, 1] = 0.6, 0.3, -5
    drawn = draw_map(sample, cells, NOWHERE).astype(int).sum(axis=-1)
    for row in range(4):
        for column in range(3):
            block = drawn[64 * row : 64 * row + 64, 64 * column : 64 * column + 64]
            assert np.ptp(block) == 0
            assert (block > 0).all() == ((row, column) in ((1, 2), (3, 0)))
    assert drawn[64, 128] > drawn[192, 0]
    # Colors are relative to the highest; a map without any is not drawn.
    again = draw_map(sample, 100 * cells, NOWHERE).astype(int).sum(axis=-1)
    np.testing.assert_array_equal(drawn, again)
    assert not draw_map(sample, -np.ones((4, 3)), NOWHERE).any()


def test_the_crop_is_gray_where_there_is_no_heat(sample):
    rng = np.random.default_rng(0)
    cv2.imwrite(sample.img_path, rng.integers(0, 255, (100, 100, 3), np.uint8))
    cells = np.zeros((2, 1))
    cells[1] = 1
    drawn = draw_map(sample, cells, NOWHERE).astype(int)
    assert np.ptp(drawn[:128], axis=-1).max() == 0 and drawn[:128].std() > 10
    assert (np.ptp(drawn[128:], axis=-1) > 10).all()


@pytest.mark.parametrize("point", [(20, 10), (42.5, 18), (49.9, 49.9)])
def test_cross_and_cell_of_a_point(point, sample):
    point, size = np.array(point), (4, 3)
    x, y = (point - (20, 10)) * 256 / 40
    share = share_of_crop(sample, point)
    np.testing.assert_allclose(share, (x / 192, y / 256))
    found = [
        (row, column)
        for row in range(4)
        for column in range(3)
        if 64 * row <= y < 64 * row + 64 and 64 * column <= x < 64 * column + 64
    ]
    assert [cell_of(sample, point, size)] == found
    for drawn in (
        draw_map(sample, np.zeros((2, 2)), point),
        draw_cell(sample, point, size),
    ):
        assert (drawn[round(y), round(x)] == overlays.CYAN).all()
    [(row, column)] = found
    drawn = draw_cell(sample, point, size).any(axis=-1)
    far = np.abs(np.stack(np.mgrid[:256, :192], -1) - (y, x)).max(-1) > 10
    rows, columns = np.nonzero(drawn & far)
    assert (rows.min(), columns.min()) >= (64 * row - 1, 64 * column - 1)
    assert rows.max() <= 64 * row + 64 and columns.max() <= 64 * column + 64
    assert len(set(rows // 4)) > 10 and len(set(columns // 4)) > 10


def build(kind: str):
    cfg = tiny_model.model_config(type="DomainAdaptiveTopdown", joints="MpiiDataset")
    if kind == "udp":
        cfg["head"]["decoder"] = dict(CODEC, type="UDPHeatmap")
        cfg["test_cfg"]["shift_heatmap"] = False
    elif kind == "logits":
        cfg["head"].update(tiny_model.REGDA_HEAD)
    elif kind == "location":
        cfg["backbone"]["out_indices"] = (0, 1, 2)
        cfg["head"] = tiny_model.LOCATION_FREE_HEAD
    torch.manual_seed(0)
    return MODELS.build(cfg)


@pytest.mark.parametrize("kind", ["msra", "udp", "logits", "location"])
def test_predicted_joints_are_at_the_peaks_of_the_heatmaps(kind, people, monkeypatch):
    # UDP's refinement has no limit on the rough heatmaps of random weights.
    refine = "mmpose.codecs.udp_heatmap.refine_keypoints_dark_udp"
    monkeypatch.setattr(refine, lambda keypoints, *args, **kwargs: keypoints)
    model = build(kind)
    pipeline = people.pipeline.transforms
    pipeline[2].use_udp = kind == "udp"
    chosen, step = [people[0], people[1]], heatmap_step(model.head)
    before = dict(model.test_cfg)
    maps = predict_heatmaps(model, chosen)
    assert dict(model.test_cfg) == before and not model.training
    assert maps.shape[:2] == (2, 16)
    for person, heatmaps in zip(chosen, maps, strict=True):
        data = dict(inputs=[person["inputs"]], data_samples=[person["data_samples"]])
        [predicted] = model.test_step(data)
        share = share_of_crop(
            person["data_samples"], predicted.pred_instances.keypoints[0]
        )
        size = np.array(heatmaps.shape[:0:-1])
        y, x = np.divmod(heatmaps.reshape(16, -1).argmax(1), size[0])
        cells = np.stack([x, y], -1)
        places = (cells + 0.5) / size if step is None else cells * step
        # Codecs do not decode a heatmap without a positive cell. They refine others by
        # less than a cell.
        known = heatmaps.max((1, 2)) > 0
        assert known.sum() >= 5
        assert np.abs(share - places)[known].max() < 0.8 / size.min()


def test_heatmaps_of_logits_have_the_height_of_the_score(people):
    model = build("logits")
    maps = predict_heatmaps(model, [people[0]])
    assert maps.min() >= 0 and maps.max() <= 1
    [found] = model.test_step(
        dict(inputs=[people[0]["inputs"]], data_samples=[people[0]["data_samples"]])
    )
    np.testing.assert_allclose(
        maps[0].max((1, 2)), found.pred_instances.keypoint_scores[0], rtol=1e-4
    )


def test_heads_without_heatmaps_are_errors():
    with pytest.raises(ValueError, match="SimCCHead with SimCCLabel does not predict"):
        heatmap_step(MODELS.build(HEADS["simcc"]))
    combined = head(UDPHeatmap, heatmap_type="combined")
    with pytest.raises(ValueError, match="HeatmapHead with UDPHeatmap does not"):
        heatmap_step(combined)
    assert head_outputs(combined) is not None  # its points are known all the same
    with pytest.raises(ValueError, match="HeatmapHead with NoneType"):
        heatmap_step(HeatmapHead(8, 1))

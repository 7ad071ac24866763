"""Pictures of the maps of a location-free head."""

import cv2
import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from tiny_model import LOCATION_FREE_HEAD, model_config
from tiny_model import build as build_heatmaps

from mmpose_da.visualization import draw_part_maps, part_maps

HEAD = dict(LOCATION_FREE_HEAD, prototypes=dict())


def build():
    cfg = model_config(type="DomainAdaptiveTopdown")
    cfg["backbone"]["out_indices"] = (0, 1, 2)
    cfg.update(head=HEAD, joints="MpiiDataset", test_cfg=dict())
    return MODELS.build(cfg)


def test_each_tile_is_what_its_title_says(people, tmp_path, monkeypatch):
    drawn = []
    draw = part_maps._draw

    def note(axis, image, cells, truth):
        drawn.append((image, cells, truth))
        draw(axis, image, cells, truth)

    monkeypatch.setattr(part_maps, "_draw", note)
    model, names = build(), ["left_wrist", "head_top"]
    path = tmp_path / "new" / "maps.png"
    draw_part_maps(model, people, names, 2, path)
    assert np.std(cv2.imread(str(path))) > 0
    assert len(drawn) == 2 * 2 * 3  # people, joints, parts
    joints = [people.metainfo["keypoint_name2id"][name] for name in names]
    tiles = iter(drawn)
    for index in range(2):
        person = people[index]
        sample = person["data_samples"]
        inputs = model.data_preprocessor(
            dict(inputs=[person["inputs"]], data_samples=[sample])
        )["inputs"]
        with torch.no_grad():
            found = model.head.part_maps(model.extract_feat(inputs)).maps
        for joint in joints:
            for maps in found.values():
                image, cells, truth = next(tiles)
                expected = maps[0, joint].flatten().softmax(0)
                torch.testing.assert_close(
                    cells.flatten(), expected, rtol=1e-3, atol=1e-6
                )
                shown = truth * sample.input_scale / 64 + sample.input_center
                shown -= sample.input_scale / 2
                keypoint = sample.gt_instances.keypoints[0, joint]
                np.testing.assert_allclose(shown, keypoint, atol=1e-3)
                rgb = person["inputs"].flip(0).permute(1, 2, 0)
                np.testing.assert_array_equal(image, rgb)


def test_errors(people, tmp_path):
    path = tmp_path / "x.png"
    with pytest.raises(ValueError, match="no people to draw"):
        draw_part_maps(build(), people, ["left_wrist"], 0, path)
    with pytest.raises(ValueError, match=r"unknown joints \['tail'\]"):
        draw_part_maps(build(), people, ["tail"], 1, path)
    with pytest.raises(ValueError, match="HeatmapHead, but part maps are those of a"):
        draw_part_maps(build_heatmaps(), people, ["left_wrist"], 1, path)

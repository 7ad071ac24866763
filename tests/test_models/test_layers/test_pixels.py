import pytest
import torch
from mmpose.registry import MODELS

from mmpose_da.models.layers import Pixels

STATISTICS = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])


@pytest.mark.parametrize("statistics", [{}, STATISTICS], ids=["bytes", "normalized"])
@pytest.mark.parametrize("bgr_to_rgb", [False, True])
def test_colors_are_those_of_the_image(statistics, bgr_to_rgb):
    preprocessor = MODELS.build(
        dict(type="PoseDataPreprocessor", bgr_to_rgb=bgr_to_rgb, **statistics)
    )
    bgr = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    images = preprocessor(dict(inputs=list(bgr), data_samples=[]))["inputs"].float()
    pixels = Pixels(preprocessor)
    colors = pixels.to_rgb(images)
    torch.testing.assert_close(colors, bgr.flip(1) / 255)
    torch.testing.assert_close(pixels.from_rgb(colors), images, atol=1e-4, rtol=1e-4)
    assert not pixels.state_dict()

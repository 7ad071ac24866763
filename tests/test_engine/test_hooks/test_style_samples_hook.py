from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmpose.registry import HOOKS
from torch import nn


class Trainer(nn.Module):
    """Content as it is, style half as bright, result black."""

    def data_preprocessor(self, batch):
        return dict(inputs=torch.stack(batch["inputs"]) / 255, data_samples=[])

    def forward(self, inputs, data_samples, mode):
        assert mode == "tensor"
        return inputs, inputs / 2, torch.zeros_like(inputs)


def make_runner(tmp_path) -> SimpleNamespace:
    return SimpleNamespace(model=Trainer(), work_dir=str(tmp_path), iter=0)


def folder_of(runner) -> Path:
    return Path(runner.work_dir, "style_samples")


def run(hook, runner, iterations: int, brightness) -> list[str]:
    inputs = [torch.full((3, 16, 16), float(b)) for b in brightness]
    for runner.iter in range(iterations):
        hook.after_train_iter(runner, runner.iter, dict(inputs=inputs), {})
    folder = folder_of(runner)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_picture_every_so_many_iterations(tmp_path):
    hook = HOOKS.build(dict(type="StyleSamplesHook", interval=2))
    assert run(hook, make_runner(tmp_path), 1, [10]) == []
    names = run(hook, make_runner(tmp_path), 5, [10])
    assert names == ["iter_2.jpg", "iter_4.jpg"]


def test_rows_are_spread_over_the_batch(tmp_path):
    hook = HOOKS.build(dict(type="StyleSamplesHook", interval=1, num_images=3))
    runner = make_runner(tmp_path)
    run(hook, runner, 1, [0, 50, 100, 150, 200])
    picture = cv2.imread(str(folder_of(runner) / "iter_1.jpg"))
    margin = 2
    size = 16 + margin
    assert picture.shape == (3 * size + margin, 3 * size + margin, 3)
    middle = slice(margin + 8, None, size)
    shown = picture[middle, middle].mean(-1)
    expected = np.array([[b, b / 2, 0] for b in (0, 100, 200)])
    np.testing.assert_allclose(shown, expected, atol=6)


@pytest.mark.parametrize("kwargs", [dict(interval=0), dict(num_images=0)])
def test_wrong_arguments(kwargs):
    with pytest.raises(ValueError, match="must be positive"):
        HOOKS.build(dict(type="StyleSamplesHook", **kwargs))

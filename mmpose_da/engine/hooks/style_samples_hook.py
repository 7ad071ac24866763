from __future__ import annotations

from pathlib import Path

import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torchvision.utils import save_image

from .unwrap import model_of


@HOOKS.register_module()
class StyleSamplesHook(Hook):
    """Writes sample images of a style network during training.

    Each row of ``WORK_DIR/style_samples/iter_N.jpg`` shows one image of the current
    batch as content, style, and result, which
    :class:`~mmpose_da.models.styles.AdaINTrainer` returns in ``'tensor'`` mode.

    Args:
        interval (int): Write samples every ``interval`` iterations. Defaults to 500.
        num_images (int): Maximum number of rows, spread over the batch and thus over
            both domains. Defaults to 8.
    """

    priority = "LOW"

    def __init__(self, interval: int = 500, num_images: int = 8) -> None:
        if interval < 1 or num_images < 1:
            raise ValueError(
                "interval and num_images must be positive, but are "
                f"{interval} and {num_images}"
            )
        self.interval = interval
        self.num_images = num_images

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        if self.every_n_train_iters(runner, self.interval):
            self.write(runner, data_batch)

    @master_only
    @torch.no_grad()
    def write(self, runner: Runner, data_batch: dict) -> None:
        """Write the samples for a batch from the data loader."""
        model = model_of(runner)
        data = model.data_preprocessor(data_batch)
        count = len(data["inputs"])
        rows = torch.linspace(0, count - 1, min(count, self.num_images)).round().long()
        columns = [x[rows] for x in model(**data, mode="tensor")]
        path = Path(runner.work_dir, "style_samples", f"iter_{runner.iter + 1}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(torch.stack(columns, dim=1).flatten(0, 1), path, nrow=len(columns))

"""The process of a training stage: ``python -m`` this, with a config and a work_dir."""

import sys

from mmengine.config import Config

from mmpose_da.apis.training import resume, start_from_scratch, train


def main() -> None:
    """Train the config in the work directory, or resume it there."""
    config, work_dir = sys.argv[1:]
    cfg = Config.fromfile(config)
    cfg.update(work_dir=work_dir, launcher="none")
    resume(cfg)
    if cfg.get("from_scratch", False):
        start_from_scratch(cfg)
    train(cfg)


if __name__ == "__main__":
    main()

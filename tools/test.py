"""Evaluate a pose estimator."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import mmengine
from _cli import apply_cfg_options, checkpoint, enable_hook, load_config, make_parser
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmpose_da.compat.distributed import init_dist_on_cpu

PICKLE_SUFFIXES = (".pkl", ".pickle")
METRIC_SUFFIXES = (".json", ".yaml", ".yml", *PICKLE_SUFFIXES)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("Evaluate a pose estimator")
    parser.add_argument(
        "checkpoint", type=checkpoint, help="the weights: a file or a URL"
    )
    parser.add_argument("--out", help="file for the metrics: .json, .yaml or .pkl")
    parser.add_argument(
        "--dump", help="pickle file for the predictions, to evaluate them later"
    )
    parser.add_argument(
        "--badcase", action="store_true", help="collect the worst predictions"
    )
    args = parser.parse_args(argv)
    for option, suffixes in (("out", METRIC_SUFFIXES), ("dump", PICKLE_SUFFIXES)):
        path = getattr(args, option)
        if path is not None and Path(path).suffix not in suffixes:
            parser.error(f"--{option} must end with one of {suffixes}, got '{path}'")
    return args


def make_config(args: argparse.Namespace) -> Config:
    """Load the config and merge the options into it.

    Args:
        args (argparse.Namespace): Options of :func:`parse_args`.

    Returns:
        Config: The config for the runner.

    Raises:
        ValueError: If an option does not fit the config.
    """
    cfg = load_config(args)
    if args.pair is not None and not cfg.get("test_dataloader"):
        raise ValueError(
            f"the pair {args.pair} has no `target_val`: there is nothing to evaluate on"
        )
    cfg.load_from = args.checkpoint
    match = dict(type="CheckpointMatchHook", complete=True)
    cfg.setdefault("default_hooks", {})["checkpoint_match"] = match

    # With --badcase, --show displays only the bad cases.
    show = args.show and not args.badcase
    if show or args.show_dir is not None:
        enable_hook(cfg, "visualization", args, show=show, out_dir=args.show_dir)
        if cfg.default_hooks.visualization.type == "PoseVisualizationHook":
            cfg.default_hooks.visualization.type = "IntervalVisualizationHook"
    if args.badcase:
        enable_hook(cfg, "badcase", args, show=args.show)
        choose_badcase_metric(cfg)

    if args.dump is not None:
        evaluators = cfg.test_evaluator
        if not isinstance(evaluators, (list, tuple)):
            evaluators = [evaluators]
        dump = dict(type="DumpResults", out_file_path=args.dump)
        cfg.test_evaluator = [*evaluators, dump]

    apply_cfg_options(cfg, args)
    return cfg


def choose_badcase_metric(cfg: Config) -> None:
    """Select bad cases by the loss of the head or by the evaluator.

    Args:
        cfg (Config): The config, modified in place.

    Raises:
        ValueError: If ``default_hooks.badcase.metric_type`` is neither ``'loss'`` nor
            ``'accuracy'``.
    """
    hook = cfg.default_hooks.badcase
    metrics = {"loss": cfg.model.head.get("loss"), "accuracy": cfg.test_evaluator}
    kind = hook.get("metric_type", "loss")
    if kind not in metrics:
        raise ValueError(
            "`default_hooks.badcase.metric_type` must be 'loss' or 'accuracy', got "
            f"{kind!r}"
        )
    if not hook.get("metric"):
        hook.metric = metrics[kind]


class SaveMetricsHook(Hook):
    """Saves the metrics of a test.

    Args:
        path (str): The file, in a format that :func:`mmengine.dump` supports.
    """

    priority = "LOWEST"

    def __init__(self, path: str) -> None:
        self.path = path

    @master_only
    def after_test_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Save the metrics, on the first process."""
        if metrics is not None:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            mmengine.dump(metrics, self.path)


def main() -> None:
    """Test."""
    args = parse_args()
    try:
        cfg = make_config(args)
    except ValueError as error:
        raise SystemExit(f"test.py: {error}") from error
    init_dist_on_cpu(cfg)
    runner = Runner.from_cfg(cfg)
    if args.out is not None:
        runner.register_hook(SaveMetricsHook(args.out))
    runner.test()


if __name__ == "__main__":
    main()

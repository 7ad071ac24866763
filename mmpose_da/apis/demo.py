"""The demo: a pose estimator is adapted from a studio to a street in minutes."""

from __future__ import annotations

import os
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.device import get_device
from mmpose.apis import init_model
from mmpose.registry import DATASETS
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ..structures import joint_definition, joint_mapping
from ..visualization import (
    draw_paired_predictions,
    extract_features,
    plot_feature_embedding,
    plot_training_curves,
)
from .machine import training_threads
from .render import progress_bars, render_pair
from .stages import Result, scalars, train_stage

SOURCE_CONFIG = "studio2street_res18_pretrain.py"
ADAPTED_CONFIG = "studio2street_res18_best.py"
BEFORE, AFTER = "source model", "adapted"

VALIDATIONS = 4  # per run
LOG_LINES = 50  # per run: points of a curve, steps of a progress bar
DRAWN_PEOPLE = 8
EMBEDDED_PEOPLE = 300  # per domain
#: Points of the metric within which two runs are considered equal. Another seed changes
#: the result on a few hundred images with twelve joints by this much.
NOISE = 1.0


def make_config(
    path: Path, seed: int, iters: int | None = None, load_from: Path | None = None
) -> Config:
    """Load a config, with the settings that the demo needs.

    Args:
        path (Path): The config file.
        seed (int): The seed.
        iters (int, optional): Number of iterations, instead of the config's. Defaults
            to None.
        load_from (Path, optional): Checkpoint to start from. Defaults to None: random
            weights.

    Returns:
        Config: The config, which validates, saves, and logs often enough to follow it.
    """
    cfg = Config.fromfile(path)
    iters = iters or cfg.train_cfg.max_iters
    interval = -(-iters // VALIDATIONS)
    cfg.train_cfg.update(max_iters=iters, val_interval=interval)
    cfg.default_hooks.checkpoint.interval = interval
    cfg.default_hooks.logger.interval = max(1, iters // LOG_LINES)
    cfg.randomness = dict(seed=seed)
    cfg.load_from = None if load_from is None else str(load_from)
    return cfg


def run_demo(
    configs: Path,
    work_dir: Path,
    data_root: Path,
    console: Console,
    seed: int = 0,
    iters: int | None = None,
) -> None:
    """Render, train, adapt, evaluate, plot, and report.

    Args:
        configs (Path): The folder with the configs of the embedded pair.
        work_dir (Path): Receives the runs and the pictures.
        data_root (Path): Receives the images, in ``synthetic/``.
        console (Console): Where to report.
        seed (int): Random seed of both runs. Defaults to 0.
        iters (int, optional): Iterations of either run. Defaults to None: those of the
            configs.
    """
    begin = time.monotonic()
    console.print(f"computing on {device_name()}")
    # The configs and the training processes read this variable.
    os.environ["MMPOSE_DA_DATA"] = str(data_root.resolve())
    folders = {BEFORE: work_dir / "source", AFTER: work_dir / "adapted"}
    with progress_bars(console) as bars:
        render_pair(data_root / "synthetic", bars, keep=True)
        source_cfg = make_config(configs / SOURCE_CONFIG, seed, iters)
        source = train_with_bar(
            "training the source model in the studio",
            source_cfg,
            folders[BEFORE],
            bars,
        )
        cfg = make_config(configs / ADAPTED_CONFIG, seed, iters, source.checkpoint)
        adapted = train_with_bar("adapting it to the street", cfg, folders[AFTER], bars)
    results = {BEFORE: source, AFTER: adapted}
    before, after = (result.metrics[cfg.target_metric] for result in results.values())

    with console.status("drawing"):
        runs = {name: scalars(folder) for name, folder in folders.items()}
        # The adapted model starts where the source model ends.
        runs[AFTER].insert(0, {"step": 0, cfg.target_metric: before})
        plot_training_curves(runs, cfg.target_metric, work_dir / "curves.png")
        with redirect_stdout(StringIO()):  # MMEngine and COCO print what they load
            draw_models({BEFORE: source_cfg, AFTER: cfg}, results, work_dir)

    console.print(results_table(source.metrics, adapted.metrics, cfg.target_metric))
    console.print(conclusion(before, after, cfg.train_cfg.max_iters))
    minutes, seconds = divmod(round(time.monotonic() - begin), 60)
    console.print(closing(work_dir, adapted), highlight=False, soft_wrap=True)
    console.print(f"\n{minutes} min {seconds} s")


def device_name() -> str:
    """Describe the device that MMEngine chooses."""
    device = get_device()
    if device == "cuda":
        return f"the GPU {torch.cuda.get_device_name()}"
    if device == "cpu":
        return "the CPU"
    return device


def train_with_bar(text: str, cfg: Config, work_dir: Path, bars: Progress) -> Result:
    """Train or resume in a directory of its own, with a progress bar."""
    bar = bars.add_task(text, total=cfg.train_cfg.max_iters)
    result = train_stage(
        cfg,
        work_dir,
        threads=training_threads(),
        progress=lambda done, total: bars.update(bar, completed=done),
    )
    bars.update(bar, completed=cfg.train_cfg.max_iters)
    return result


def draw_models(
    configs: dict[str, Config], results: dict[str, Result], work_dir: Path
) -> None:
    """Plot the predictions and the features of each model.

    Args:
        configs (dict[str, Config]): The config that each model was trained with.
        results (dict[str, Result]): The result of each training run.
        work_dir (Path): Receives ``predictions.jpg`` and ``features.png``.
    """
    models = {
        name: init_model(
            Config(configs[name].to_dict()),
            str(result.checkpoint),
            device=get_device(),
        )
        for name, result in results.items()
    }
    cfg = configs[AFTER]
    val_set = DATASETS.build(cfg.val_dataloader.dataset)
    draw_paired_predictions(
        models, val_set, DRAWN_PEOPLE, work_dir / "predictions.jpg", taught_joints(cfg)
    )
    domains = {"studio": people_of(cfg, "source"), "street": people_of(cfg, "target")}
    features = {
        name: {
            domain: extract_features(model, people, EMBEDDED_PEOPLE)
            for domain, people in domains.items()
        }
        for name, model in models.items()
    }
    plot_feature_embedding(features, work_dir / "features.png")


def people_of(cfg: Config, domain: str) -> BaseDataset:
    """Return the training images of a domain, without augmentation.

    Args:
        cfg (Config): A config with a pair of domains.
        domain (str): ``source`` or ``target``.
    """
    dataset = dict(cfg[domain], pipeline=cfg.val_dataloader.dataset.pipeline)
    dataset.pop("joint_map", None)
    return DATASETS.build(dict(dataset, test_mode=True))


def taught_joints(cfg: Config) -> set[str]:
    """Return the joints that the source has; no model has learned the others."""
    wanted = joint_definition(cfg.joints)
    given = joint_definition(cfg.source.type)
    mapping = joint_mapping(given, wanted, cfg.source.get("joint_map"))
    return {wanted["keypoint_id2name"][index] for _, index in mapping}


def results_table(
    before: dict[str, float], after: dict[str, float], metric: str
) -> Table:
    """Tabulate the metrics of both models, by body part and on average.

    Args:
        before (dict[str, float]): Metrics of the source model.
        after (dict[str, float]): Metrics of the adapted model.
        metric (str): Name of the average.
    """
    table = Table(title=f"{metric} in the street, in %")
    for name in ("", BEFORE, AFTER, "difference"):
        table.add_column(name, justify="right" if name else "left")
    # MMPose names a part 'Knee PCK'; summaries have the number of joints in the name.
    parts = [name for name in before if " PCK" in name and "joints)" not in name]
    for name in (*parts, metric):
        if name == metric:
            table.add_section()
        table.add_row(
            "mean" if name == metric else name.split(" PCK")[0],
            f"{before[name]:.1f}",
            f"{after[name]:.1f}",
            f"{after[name] - before[name]:+.1f}",
        )
    return table


def conclusion(before: float, after: float, iters: int) -> str:
    """Explain the results in plain words.

    Args:
        before (float): Percentage of joints that the source model finds.
        after (float): Percentage of joints that the adapted model finds.
        iters (int): Number of iterations of the adaptation.
    """
    gain = after - before
    if gain > NOISE:
        verdict = f"{gain:.1f} points more"
    elif gain < -NOISE:
        verdict = f"{-gain:.1f} points less: adaptation did harm here"
    else:
        verdict = "no difference that a single run can show: adaptation did not help"
    return (
        "The source model has learned from labeled people in the studio alone. It "
        f"finds {before:.1f} % of the joints of people in the street, to within half "
        "the size of a head. Adapted with images of the street, and not one label of "
        f"them, it finds {after:.1f} %, {verdict}.\nThis is one seed, and the "
        f"adapted model has been trained for {iters} iterations more, on studio images "
        "of which patches hide parts. That alone may help: the benchmark below has "
        "rows of the source alone, with patches and without."
    )


def closing(work_dir: Path, adapted: Result) -> str:
    """Say where everything is, and what to run next."""
    return f"""
{work_dir}/predictions.jpg  the first people of the street's validation set
{work_dir}/curves.png       losses and {VALIDATIONS} validations of both runs
{work_dir}/features.png     t-SNE of the features of both domains, before and after
{work_dir}/adapted/{adapted.checkpoint.name}

Next:
  Compare methods over several seeds, with a lower and an upper bound:
    python tools/benchmark.py configs/da/studio2street_res18_source-only.py \\
      configs/da/studio2street_res18_source-only-patches.py \\
      configs/da/{ADAPTED_CONFIG} configs/da/studio2street_res18_oracle.py \\
      --init configs/da/{SOURCE_CONFIG}
  Use your own images: README.md, "Adapt your own pair of datasets\""""

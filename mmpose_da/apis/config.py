"""Loading a config, and the changes that command lines make to it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from pprint import pformat
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from ..structures import joint_definition

#: Required keys of a pair of domains, and those needed for evaluation.
PAIR_KEYS = ("joints", "source", "target")
EVALUATION_KEYS = ("target_val", "target_evaluator", "target_metric")
#: Top-level config keys that a run reads. Others are variables of the file, whose
#: values are copied to where they are used when the file is loaded.
RUN_KEYS = {*inspect.signature(Runner).parameters} - {"cfg"} | {
    "compile",
    "custom_imports",
    "from_scratch",
    "preprocess_cfg",
    "runner_type",
    "self_training",
}


def load_config(
    config: str | Path, pair: str | Path | None = None, work_dir: str | None = None
) -> Config:
    """Load a config file, possibly with another pair of domains.

    Args:
        config (str | Path): The config file.
        pair (str | Path, optional): A file like those of ``configs/_base_/domains``;
            see :func:`with_pair`. Defaults to None: the pair of the config.
        work_dir (str, optional): The work directory. Defaults to None: the ``work_dir``
            of the config, else ``work_dirs/NAME_OF_CONFIG``, with a pair
            ``work_dirs/NAME_OF_PAIR/NAME_OF_CONFIG``.

    Returns:
        Config: The config.
    """
    with _quiet():
        cfg = Config.fromfile(config)
        other = None if pair is None else Config.fromfile(pair)
    names = [Path(path).stem for path in (pair, config) if path is not None]
    if other is not None:
        cfg = with_pair(cfg, other)
        own = str(cfg.get("load_from") or "")
        if own.startswith("work_dirs/"):  # from another run with this pair
            cfg.load_from = own.replace("work_dirs", f"work_dirs/{names[0]}", 1)
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = str(Path("work_dirs").joinpath(*names))
    return cfg


@contextmanager
def _quiet() -> Iterator[None]:
    """Omit MMEngine's message about each environment variable that a config reads."""
    logger = logging.getLogger("mmengine")
    logger.addFilter(_is_important)
    try:
        yield
    finally:
        logger.removeFilter(_is_important)


def _is_important(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO


def with_pair(cfg: Config, pair: Config) -> Config:
    """Replace the pair of domains on which a config trains and evaluates.

    Args:
        cfg (Config): The config; not modified. A training set without a source or
            target stays without it, and the pipelines stay the same.
        pair (Config): A file like those in ``configs/_base_/domains``. Without
            ``target_val``, nothing is evaluated.

    Returns:
        Config: The changed config.

    Raises:
        ValueError: If the pair lacks a key or the config has no domains.
    """
    keys = PAIR_KEYS if pair.get("target_val") is None else PAIR_KEYS + EVALUATION_KEYS
    missing = [key for key in keys if key not in pair]
    if missing:
        raise ValueError(
            f"the pair {pair.filename} has no `{'`, `'.join(missing)}`; see "
            "configs/_base_/domains/studio2street.py for the required keys"
        )
    dataset = cfg.train_dataloader.dataset
    if dataset.get("joints") is None or cfg.model.get("joints") is None:
        raise ValueError(
            f"{cfg.filename} has no domains that a pair could replace: it needs a "
            "DomainAdaptiveTopdown and a MixedDomainDataset with `joints`"
        )
    pair = Config({key: pair[key] for key in keys}).to_dict()
    cfg = deepcopy(cfg)
    for key in (*PAIR_KEYS, *EVALUATION_KEYS):
        cfg.pop(key, None)
    for key, value in pair.items():  # `update` would merge the dicts
        cfg[key] = value

    cfg.model.joints = pair["joints"]
    joints = joint_definition(pair["joints"])
    key = "num_joints" if "num_joints" in cfg.model.head else "out_channels"
    cfg.model.head[key] = joints["num_keypoints"]

    dataset = cfg.train_dataloader.dataset
    dataset.joints = pair["joints"]
    for domain in ("source", "target"):
        if dataset.get(domain) is not None:
            dataset[domain] = pair[domain]
    for part in ("val", "test"):
        loader = cfg.get(f"{part}_dataloader")
        if not loader:
            continue
        if "target_val" in pair:
            pipeline = loader.dataset.pipeline
            loader.dataset = dict(pair["target_val"], pipeline=pipeline)
            cfg[f"{part}_evaluator"] = pair["target_evaluator"]
        else:
            for key in ("cfg", "dataloader", "evaluator"):
                cfg[f"{part}_{key}"] = None
    return cfg


def merge_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Merge options with dotted keys into a config, in place.

    Args:
        cfg (Config): The config.
        options (Mapping[str, Any]): Values by key, as from ``--cfg-options``.

    Raises:
        ValueError: If no part of a run reads a key.
    """
    for key in options:
        variable = key.partition(".")[0]
        if variable in RUN_KEYS:
            continue
        problem = f"the option '{key}' would have no effect: no part of a run reads it"
        content = cfg.to_dict()
        used = list(_uses(content, content.get(variable)))
        if used:
            raise ValueError(
                f"{problem}. `{variable}` is a variable of the config file, which was "
                f"copied when the file was loaded; set {' and '.join(used)} instead"
            )
        similar = get_close_matches(variable, RUN_KEYS, n=1)
        advice = f"; did you mean '{similar[0]}'?" if similar else ""
        raise ValueError(f"{problem}{advice}")
    cfg.merge_from_dict(dict(options))
    if "preprocess_cfg" in cfg:  # its name in some MMPose configs
        cfg.model.setdefault("data_preprocessor", cfg.preprocess_cfg)


def _uses(node: Any, value: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted keys that a run reads and whose value is that of a variable."""
    if value is None:
        return
    if isinstance(value, Mapping):  # only the variable records a scope
        value = {k: v for k, v in value.items() if k != "_scope_"}
    if path and node == value:
        yield path
        return
    children: Iterable[tuple[Any, Any]]
    if isinstance(node, Mapping):
        children = node.items()
    else:
        children = enumerate(node) if isinstance(node, (list, tuple)) else ()
    for key, child in children:
        if path or key in RUN_KEYS:
            yield from _uses(child, value, f"{path}.{key}" if path else str(key))


def enable_hook(cfg: Config, name: str, **settings: Any) -> None:
    """Enable a drawing hook of ``default_hooks``.

    Args:
        cfg (Config): The config, modified in place.
        name (str): Key of the hook in ``default_hooks``.
        settings (Any): Settings of the hook; those that are None are left unchanged.

    Raises:
        ValueError: If the config lacks this hook.
    """
    if not cfg.get("default_hooks", {}).get(name):
        raise ValueError(
            f"the config has no hook `default_hooks.{name}`, which the option needs; "
            "inherit from a default_runtime.py that has one"
        )
    given = {key: value for key, value in settings.items() if value is not None}
    cfg.default_hooks[name].update(enable=True, **given)


def config_text(content: Mapping[str, Any]) -> str:
    """Return a config as Python code; JSON lacks tuples and integer keys."""
    return "".join(
        f"{key} = {pformat(value, sort_dicts=False)}\n"
        for key, value in content.items()
    )

"""Changes that the command line makes to a config."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from copy import deepcopy
from difflib import get_close_matches
from pprint import pformat
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from ..structures import joint_definition

#: What a pair of domains must have, and what it needs to be evaluated.
PAIR_KEYS = ("joints", "source", "target")
EVALUATION_KEYS = ("target_val", "target_evaluator", "target_metric")
#: The top-level keys of a config that a run reads: the others are variables of the
#: file, which have been copied to where they are used when it is loaded.
RUN_KEYS = {*inspect.signature(Runner).parameters} - {"cfg"} | {
    "compile",
    "custom_imports",
    "from_scratch",
    "preprocess_cfg",
}


def with_pair(cfg: Config, pair: Config) -> Config:
    """Replace the pair of domains that a config is trained and evaluated on.

    Args:
        cfg (Config): The config; it is left as it is. Its training set stays without a
            source or a target where it has none, and its pipelines stay.
        pair (Config): A file like those of ``configs/_base_/domains``. Without a
            ``target_val`` nothing is evaluated.

    Returns:
        Config: The changed config.

    Raises:
        ValueError: The pair lacks a key, or the config has no domains.
    """
    keys = PAIR_KEYS if pair.get("target_val") is None else PAIR_KEYS + EVALUATION_KEYS
    missing = [key for key in keys if key not in pair]
    if missing:
        raise ValueError(
            f"the pair {pair.filename} has no `{'`, `'.join(missing)}`; see "
            "configs/_base_/domains/studio2street.py for what it must have"
        )
    dataset = cfg.train_dataloader.dataset
    if dataset.get("joints") is None or cfg.model.get("joints") is None:
        raise ValueError(
            f"{cfg.filename} has no domains that a pair could replace: it must have a "
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
    """Merge options by dotted key into a config, in place.

    Args:
        cfg (Config): The config.
        options (Mapping[str, Any]): Values by key, as ``--cfg-options`` gives them.

    Raises:
        ValueError: Nothing reads a key.
    """
    for key in options:
        variable = key.partition(".")[0]
        if variable in RUN_KEYS:
            continue
        problem = f"the option '{key}' would change nothing: no part of a run reads it"
        content = cfg.to_dict()
        used = list(_uses(content, content.get(variable)))
        if used:
            raise ValueError(
                f"{problem}. `{variable}` is a variable of the config file, which was "
                f"copied when the file was loaded; change {' and '.join(used)}"
            )
        similar = get_close_matches(variable, RUN_KEYS, n=1)
        advice = f"; did you mean '{similar[0]}'?" if similar else ""
        raise ValueError(f"{problem}{advice}")
    cfg.merge_from_dict(dict(options))


def _uses(node: Any, value: Any, path: str = "") -> Iterator[str]:
    """The dotted keys that a run reads and that have the value of a variable."""
    if value is None:
        return
    if isinstance(value, Mapping):  # a scope is noted in the variable alone
        value = {k: v for k, v in value.items() if k != "_scope_"}
    if path and node == value:
        yield path
        return
    if isinstance(node, Mapping):
        children = node.items()
    else:
        children = enumerate(node) if isinstance(node, (list, tuple)) else ()
    for key, child in children:
        if path or key in RUN_KEYS:
            yield from _uses(child, value, f"{path}.{key}" if path else key)


def config_text(content: Mapping[str, Any]) -> str:
    """A config as Python, for JSON has neither tuples nor integer keys."""
    return "".join(
        f"{key} = {pformat(value, sort_dicts=False)}\n"
        for key, value in content.items()
    )

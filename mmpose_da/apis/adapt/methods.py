"""The methods that a job can choose, from the files of ``configs/_base_/methods``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config
from mmpose.models.heads import BaseHead

from ...models.heads import head_outputs


def base_config() -> Config:
    """Load ``configs/_base_/adapt.py``, of the wheel or of the checkout."""
    package = Path(__file__).parents[2]
    for folder in (package / ".mim", package.parent):
        path = folder / "configs/_base_/adapt.py"
        if path.is_file():
            return Config.fromfile(path)
    raise FileNotFoundError(
        f"this installation has no configs, neither in {package}/.mim nor beside "
        "the package; install the wheel, or the checkout with `pip install -e`"
    )


@dataclass(frozen=True)
class Method:
    """A method of adaptation.

    Attributes:
        text (str): What it is.
        parts (dict[str, str]): The variable of a method file by the name of each
            adaptation.
        source_parts (dict[str, str]): The same, only where there is a source.
        needs_source (bool): Whether it needs labeled source images.
        trains (bool): Whether it trains weights; AdaBN does not.
        model (dict): Further settings of the model.
    """

    text: str
    parts: dict[str, str]
    source_parts: dict[str, str] = field(default_factory=dict)
    needs_source: bool = False
    trains: bool = True
    model: dict = field(default_factory=dict)


METHODS: dict[str, Method] = {
    "best": Method(
        "a teacher, the student's average, labels the target, with views for upright "
        "people, and patches of target images hide parts of source images",
        dict(mean_teacher="upright_teacher"),
        source_parts=dict(patches="patches"),
    ),
    "best-turned": Method(
        "a teacher labels the target, with views for people in any orientation, of the "
        "source, too",
        dict(views="turned_source", mean_teacher="turned_teacher"),
        needs_source=True,
    ),
    "mean-teacher": Method(
        "a teacher labels the target, with the views of the papers",
        dict(mean_teacher="mean_teacher"),
    ),
    "mla": Method(
        "multi-level alignment: colors, teacher, adversarial features, information "
        "maximization",
        dict(
            style="light_style",
            mean_teacher="mean_teacher",
            adversarial="adversarial",
            info_max="info_max",
        ),
        needs_source=True,
    ),
    "uniframe": Method(
        "UniFrame: colors, views of the source, and a teacher whose student sees only "
        "some of the joints",
        dict(
            style="light_style",
            source_view="uniframe_source",
            mean_teacher="uniframe_teacher",
        ),
        needs_source=True,
        model=dict(statistics="domain"),
    ),
    "dan": Method("MMD of features", dict(dan="dan"), needs_source=True),
    "dann": Method("adversarial features", dict(dann="dann"), needs_source=True),
    "cafa": Method("cross-attentive features", dict(cafa="cafa"), needs_source=True),
    "adabn": Method(
        "batch-norm statistics of the target; trains nothing", {}, trains=False
    ),
}


def method_of(name: str, has_source: bool) -> Method:
    """Return a method that can be used with or without a source.

    Raises:
        ValueError: If there is no such method, or it needs a source.
    """
    if name not in METHODS:
        raise ValueError(f"method='{name}' is none of {list(METHODS)}")
    if METHODS[name].needs_source and not has_source:
        free = [key for key, method in METHODS.items() if not method.needs_source]
        raise ValueError(
            f"the method '{name}' needs labeled source images (`source`); without "
            f"them, use one of {free}"
        )
    return METHODS[name]


def adaptations(
    name: str, base: Config, head: BaseHead, iterations: int, has_source: bool
) -> dict[str, dict]:
    """Return ``model.adaptations`` of a method.

    Args:
        name (str): The method.
        base (Config): The methods' files; see :func:`base_config`.
        head (BaseHead): The head of the model.
        iterations (int): Length of the training. The teacher's momentum is that with
            which its memory spans a tenth of it, at most 0.999.
        has_source (bool): Whether there are labeled source images.

    Returns:
        dict[str, dict]: The adaptations by name.
    """
    method = method_of(name, has_source)
    reader = head_outputs(head)
    gives = reader.gives if reader is not None else frozenset()
    parts = dict(method.parts)
    if has_source:
        parts.update(method.source_parts)
    elif method.trains and "maps" in gives:
        parts.update(info_max="info_max")
    variables = base.to_dict()
    chosen = {key: dict(variables[name]) for key, name in parts.items()}
    teacher = chosen.get("mean_teacher")
    if teacher is not None:
        # The rows of the embedded pair: 0.98 in 500 iterations; and without a source,
        # only a slow teacher keeps what the source model knew.
        momentum = (
            0.999 if not has_source else max(0.9, min(0.999, 1 - 10 / iterations))
        )
        teacher.update(momentum=momentum)
        if "heatmaps" in gives:
            # The peak of a joint that the model has not learned is nearly 0.
            teacher.update(threshold=0.1 if has_source else 0.4)
        sigma = getattr(head.decoder, "sigma", None)
        if "heatmaps" in gives and isinstance(sigma, (int, float)):
            teacher.update(sigma=float(sigma))
    return chosen

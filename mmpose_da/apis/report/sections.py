"""The sections of a report, and its warnings."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from mmpose.registry import DATASETS

from ...structures import joint_definition
from ...version import __version__
from ...visualization import (
    cell_of,
    draw_cell,
    draw_map,
    draw_person,
    heatmap_step,
    nearest_of_same_domain,
    plot_confidence,
    plot_feature_embedding,
    plot_training_curves,
    predict_heatmaps,
    share_of_crop,
)
from ...visualization.training_curves import loss_terms
from ..machine import device_name
from ..publish_record import adaptation_record
from ..quiet import quiet
from ..scores import PREFIX, WARNING_SCORE, harm_warning
from ..target_people import spread, training_data
from .models import Exchange, labels_of, load_exchange
from .page import Block, Gallery, Picture, Section, Table, Text, photo, plotted
from .run import AFTER, BEFORE, Evidence

#: What a part of a report raises if something is missing.
PROBLEMS = (ImportError, OSError, RuntimeError, ValueError)
#: Number of people in the pictures.
DRAWN_PEOPLE = 12
#: Number of people whose heatmaps are drawn.
HEATMAP_PEOPLE = 6
#: Number of pairs of people whose attention is drawn, and of joints of each.
ATTENTION_PAIRS, ATTENTION_JOINTS = 3, 3
#: A joint is found if it is within this share of the longer side of the box.
FOUND = 0.1
#: Fewer target people than this are warned of.
FEW_PEOPLE = 100
GAP = 6  # pixels between two pictures of a person
#: What each score measures, as in docs/choosing.md, and its unit.
SCORES = dict(
    consistency=("joints at the same place in the image and in a view of it", "%"),
    teacher_agreement=("joints that student and teacher find at the same place", "%"),
    confidence=("mean confidence of the joints", "%"),
    information=("mutual information of image and position", "nats"),
    plausibility=("limbs whose relative length occurs in the source", "%"),
)
#: Packages whose versions are reported, each with its alternatives.
PACKAGES = (("mmpose",), ("mmengine",), ("mmcv", "mmcv-lite"), ("torch",), ("numpy",))


def what_ran(evidence: Evidence) -> list[Block]:
    """Command, model, method, data, device, versions, and times."""
    run, job = evidence.run, evidence.job
    network = (run.cfg.model.get("test_cfg") or {}).get("network", "student")
    record = adaptation_record(run.cfg, network, evidence.meta)
    parts = [f"{k} ({v['type']})" for k, v in record["adaptations"].items()]
    rows = [
        ("Model" if job else "Config", job.get("model") or str(run.cfg.filename)),
        ("Weights before", run.before or "not known"),
        ("Weights after", str(run.checkpoint)),
        ("Network", network),
        ("Method", job.get("method") or "that of the config"),
        ("Adaptations", ", ".join(parts) or "none"),
        ("Source", ", ".join(record["source"]) or "none (source-free)"),
        ("Target", (job.get("target") or {}).get("source") or _list(record["target"])),
        ("Labels of the target", _list(record["labels"], "none used in training")),
        ("Iterations", str(record["iterations"])),
        ("Batch size", str(run.cfg.train_dataloader.batch_size)),
        ("Seed", str(record["seed"])),
        ("Checkpoint", _choice(evidence)),
    ]
    if job:
        rows.insert(8, ("Detector", job["target"]["detector"]))
    blocks: list[Block] = [Table("The run", (), rows)]
    starts = [line for line in evidence.history if "command" in line]
    if starts:
        calls = [(one["time"], one["command"], one["device"]) for one in starts]
        blocks.append(Table("Calls", ("When", "Command", "Device"), calls))
    seconds: dict[str, float] = {}
    for line in evidence.history:
        if "stage" in line:
            name = line["stage"]
            seconds[name] = seconds.get(name, 0.0) + line["seconds"]
    if seconds:
        times = [(name, f"{value:.0f} s") for name, value in seconds.items()]
        blocks.append(Table("Time of each stage", ("Stage", "Time"), times))
    blocks.append(Table("Versions where this report was made", (), _versions()))
    return blocks


def _list(values: object, otherwise: str = "none") -> str:
    if isinstance(values, dict):
        values = [f"{key}: {value}" for key, value in values.items()]
    return (
        ", ".join(map(str, values))
        if isinstance(values, list) and values
        else (otherwise)
    )


def _choice(evidence: Evidence) -> str:
    """Say how the checkpoint was chosen."""
    metric = _chosen_by(evidence)
    if metric is None or not evidence.run.checkpoint.stem.startswith("best_"):
        return "the last one, or one that was given"
    labels = "without labels" if metric.startswith(PREFIX) else "WITH LABELS"
    return f"the best by {metric}, chosen {labels}"


def _chosen_by(evidence: Evidence) -> str | None:
    hooks = evidence.run.cfg.get("default_hooks") or {}
    return (hooks.get("checkpoint") or {}).get("save_best")


def _versions() -> list[tuple[str, str]]:
    found = [("MMPose-DA", __version__), ("Python", platform.python_version())]
    for names in PACKAGES:
        for name in names:
            try:
                found.append((name, metadata.version(name)))
                break
            except metadata.PackageNotFoundError:
                continue
    return [*found, ("Device", device_name())]


def data(evidence: Evidence) -> list[Block]:
    """Counts of images and people, and what is left out."""
    blocks: list[Block] = []
    detected = evidence.detected
    if detected is not None:
        blocks.append(
            Text(
                f"{detected.num_people} people were found in {detected.num_images} "
                f"images. Their boxes are in {detected.ann_file}."
            )
        )
        rows = [
            (why, str(one["count"]), ", ".join(map(str, one["examples"][:3])))
            for why, one in detected.left_out.items()
        ]
        columns = ("Left out by the detection", "Number", "For example")
        if rows:
            blocks.append(Table("Left out when people were looked for", columns, rows))
        else:
            blocks.append(Text("The detection left nothing out."))
    training = dict(training_data(evidence.run.cfg), pipeline=[])
    with quiet():
        dataset = DATASETS.build(training)
    rows = []
    for domain, count in zip(dataset.domains, dataset.lens, strict=True):
        reasons = Counter(one.reason for one in dataset.left_out[domain])
        why = "; ".join(f"{number} {reason}" for reason, number in reasons.items())
        rows.append((domain.replace("_", " "), str(count), why or "nothing"))
    columns = ("Domain", "People", "Annotations left out")
    return [*blocks, Table("People in training", columns, rows)]


def curves(evidence: Evidence) -> list[Block]:
    """Losses, and the metric of the validations."""
    lines = evidence.lines
    terms = loss_terms(lines)
    if not terms:
        raise ValueError(
            f"there is no loss in the logs of {evidence.run.folder}: the folder has "
            "none, or the method trains nothing"
        )
    metric = evidence.run.cfg.get("target_metric")
    if not any(metric in line for line in lines):
        metric = None
    ends = []
    for term in terms:
        values = [line[term] for line in lines if term in line]
        ends.append((term, f"{values[0]:.3g}", f"{values[-1]:.3g}"))
    picture = plotted(
        lambda path: plot_training_curves({"training": lines}, metric, path),
        f"Curves of {len(terms)} loss terms over the iterations; the table below has "
        "the first and the last value of each.",
    )
    columns = ("Loss term", "First", "Last")
    blocks: list[Block] = [picture, Table("Losses in the log", columns, ends)]
    if metric is not None:
        text = f"{metric} of the validations is measured WITH LABELS of the target."
        blocks.insert(0, Text(text))
    return blocks


def scores(evidence: Evidence) -> list[Block]:
    """Scores without labels, before and after."""
    found = evidence.scores
    known = [name for name in SCORES if any(PREFIX + name in s for s in found.values())]
    rows, marked = [], set()
    for index, name in enumerate(known):
        values = [found.get(title, {}).get(PREFIX + name) for title in (BEFORE, AFTER)]
        text, unit = SCORES[name]
        digits = 1 if unit == "%" else 2
        cells = ["-" if v is None else f"{v:.{digits}f}" for v in values]
        change = "-"
        if values[0] is not None and values[1] is not None:
            change = f"{values[1] - values[0]:+.{digits}f}"
            if values[1] < values[0]:
                marked.add(index)
        label = name.replace("_", " ")
        rows.append((label, *cells, change, f"{text} ({unit})"))
    columns = ("Score", "Before", "After", "Change", "What it measures")
    blocks: list[Block] = [
        Text(
            "These scores need no labels. Higher is better, or ought to be; they are "
            f"not accuracy. A fall of the {WARNING_SCORE} is taken as a warning."
        ),
        Table("Scores without labels", columns, rows, frozenset(marked)),
    ]
    if "plausibility" not in known:
        text = "There is no plausibility: the run has no source to compare poses with."
        blocks.append(Text(text))
    if BEFORE not in found:
        blocks.append(Text("The scores before are missing: no checkpoint before."))
    return blocks


def pictures(evidence: Evidence) -> list[Block]:
    """Predictions before and after, the most changed people first."""
    change = _change(evidence)
    first = np.argsort(-change, kind="stable")[:DRAWN_PEOPLE]
    names = {evidence.joints[index] for index in evidence.taught}
    definition = _definition(evidence)
    drawn = [
        _person(evidence, int(index), float(change[index]), definition, names)
        for index in first
    ]
    low, high = np.percentile(change, (50, 90))
    return [
        Text(
            f"Left: before. Right: after. Of {len(change)} people of the target, "
            f"half moved by less than {low:.1f} % of the longer side of their box, and "
            f"nine of ten by less than {high:.1f} %. The {len(first)} people "
            "below moved most, so they are not typical: look whether they moved to "
            "where they ought to be."
        ),
        Gallery(drawn),
    ]


def _change(evidence: Evidence) -> np.ndarray:
    """Return how far each person moved (n,)."""
    if len(evidence.models) < 2:
        raise ValueError(
            "there is no model before the run to compare with; give its checkpoint "
            "(--before of tools/report.py)"
        )
    return evidence.predictions.change(BEFORE, AFTER, evidence.taught)


def _definition(evidence: Evidence) -> dict:
    joints = evidence.run.cfg.model.get("joints")
    return evidence.target.metainfo if joints is None else joint_definition(joints)


def _person(
    evidence: Evidence,
    index: int,
    change: float,
    definition: dict,
    names: set[str],
) -> Picture:
    """Draw a person twice, before and after."""
    dataset: BaseDataset = evidence.target
    sample = dataset[evidence.chosen[index]]["data_samples"]
    found = evidence.predictions.keypoints
    tiles = [
        draw_person(sample, found[title][index][None], definition, names)
        for title in (BEFORE, AFTER)
    ]
    name = Path(sample.img_path).name
    text = (
        f"A person in {name} with the joints predicted before (left) and after "
        f"adaptation (right); they moved by {change:.1f} % of the box on average."
    )
    caption = f"{name}: moved by {change:.1f} %"
    return _pair(tiles, text, caption)


def _pair(tiles: Sequence[np.ndarray], text: str, caption: str) -> Picture:
    """Return two tiles side by side."""
    left, right = tiles
    gap = np.full((len(left), GAP, 3), 255, np.uint8)
    return photo(np.hstack([left, gap, right]), text, caption)


def heatmaps(evidence: Evidence) -> list[Block]:
    """Heatmaps before and after of the joint that moved most of each person."""
    change = _change(evidence)
    steps = {k: heatmap_step(model.head) for k, model in evidence.models.items()}
    first = np.argsort(-change, kind="stable")[:HEATMAP_PEOPLE]
    people = [evidence.target[evidence.chosen[index]] for index in first]
    maps = {k: predict_heatmaps(model, people) for k, model in evidence.models.items()}
    found, taught = evidence.predictions, np.array(evidence.taught)
    drawn = []
    for row, (index, person) in enumerate(zip(first, people, strict=True)):
        sample = person["data_samples"]
        points = {title: found.keypoints[title][index] for title in steps}
        moved = np.linalg.norm(points[AFTER] - points[BEFORE], axis=-1)
        joint = taught[moved[taught].argmax()]
        tiles = [
            draw_map(sample, maps[title][row, joint], points[title][joint], step)
            for title, step in steps.items()
        ]
        name = _spoken(evidence.joints[joint])
        said = [f"{found.confidence[title][index, joint]:.2f}" for title in steps]
        share = 100 * moved[joint] / found.sizes[index]
        caption = (
            f"{Path(sample.img_path).name}, {name}: moved by {share:.1f} %, "
            f"confidence {' to '.join(said)}"
        )
        text = f"Heatmaps before (left) and after adaptation (right). {caption}."
        drawn.append(_pair(tiles, text, caption))
    return [
        Text(
            "Left: before. Right: after. These are the people that moved most, each "
            "with the heatmap of the joint that moved most; the cross is where the "
            "joint is predicted. Colors are relative to the highest cell of a heatmap: "
            "compare the shapes here, and the heights by the confidence. Several peaks "
            "or a wide one mean that the model is not sure."
        ),
        Gallery(drawn),
    ]


def attention(evidence: Evidence) -> list[Block]:
    """What CAFA lets joints of source people attend to; nothing without CAFA."""
    with quiet():
        exchange = load_exchange(evidence.run.cfg, str(evidence.run.checkpoint))
    if exchange is None:
        return []
    pairs = zip(
        spread(len(evidence.source), ATTENTION_PAIRS),
        spread(len(evidence.chosen), ATTENTION_PAIRS),
        strict=False,  # a domain may have fewer people
    )
    drawn = [one for pair in pairs for one in _attending(evidence, exchange, *pair)]
    if not drawn:
        raise ValueError("no source person has a labeled joint inside the crop")
    return [
        Text(
            "In training, CAFA adds to the features of a source image those of the "
            "positions of a target image that it attends to, and vice versa. Left: a "
            "source person with a labeled joint and the cell of the feature map around "
            "it. Right: the attention of this cell over the cells of a target image, "
            "relative to the highest, and a cross where the adapted model finds the "
            "same joint. Images and features are those of a prediction. The learned "
            "factor of what is added is "
            f"{exchange.neck.source_strength.item():+.3f} for the source and "
            f"{exchange.neck.target_strength.item():+.3f} for the target; at 0, the "
            "attention has no effect."
        ),
        Gallery(drawn),
    ]


def _attending(
    evidence: Evidence, exchange: Exchange, source_index: int, row: int
) -> list[Picture]:
    """Draw what some joints of a source person attend to in the image of a person."""
    person = evidence.source[source_index]
    partner = evidence.target[evidence.chosen[row]]
    weights = exchange.attention(person, partner)
    size = weights.shape[:2]
    sample = person["data_samples"]
    points = labels_of(sample.gt_instances)
    if points is None:
        return []
    share = share_of_crop(sample, points)
    inside = np.flatnonzero(((share >= 0) & (share < 1)).all(axis=1))
    drawn = []
    for joint in inside[spread(len(inside), ATTENTION_JOINTS)]:
        cells = weights[cell_of(sample, points[joint], size)]
        found = evidence.predictions.keypoints[AFTER][row, joint]
        tiles = [
            draw_cell(sample, points[joint], size),
            draw_map(partner["data_samples"], cells, found),
        ]
        caption = (
            f"{_spoken(evidence.joints[joint])}: up to {100 * cells.max():.1f} % in a "
            f"cell ({100 / cells.size:.1f} % if it were even)"
        )
        text = (
            "A source person with a joint and its cell (left), and the attention of "
            f"this cell over a target image (right). {caption}."
        )
        drawn.append(_pair(tiles, text, caption))
    return drawn


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def features(evidence: Evidence) -> list[Block]:
    """Features of both domains, before and after."""
    domains, notes = {}, []
    for domain in ("source", "target"):
        try:
            domains[domain] = evidence.features(domain)
        except PROBLEMS as error:
            notes.append(Text(f"Without the {domain}: {error}."))
    if not domains:
        raise ValueError("; ".join(note.text for note in notes))
    by_model = {
        title: {domain: found[title] for domain, found in domains.items()}
        for title in evidence.models
    }
    method = evidence.run.embedding
    said = ""
    if len(domains) == 2:
        shares = [
            f"{title} {100 * nearest_of_same_domain(by_model[title]):.0f} %"
            for title in by_model
        ]
        said = (
            "The nearest neighbor of a person in feature space is of the same domain: "
            f"{', '.join(shares)} (100 %: the domains are apart; 50 %: they are mixed)."
        )
    name = dict(pca="PCA", tsne="t-SNE")[method]
    counts = ", ".join(
        f"{len(next(iter(found.values())))} of the {domain}"
        for domain, found in domains.items()
    )
    picture = plotted(
        lambda path: plot_feature_embedding(by_model, path, method),
        f"Scatter plots of the features of people, one for each model. {said}",
        f"Features that the head receives, {counts}, in a plane by {name} of each "
        "model.",
    )
    return [*([Text(said)] if said else []), picture, *notes]


def confidence(evidence: Evidence) -> list[Block]:
    """Confidence of the predictions on the target, which chooses pseudo-labels."""
    found = evidence.predictions.confidence
    threshold = _threshold(evidence)
    medians = {title: np.median(values, axis=0) for title, values in found.items()}
    rows = [
        (name, *(f"{values[index]:.2f}" for values in medians.values()))
        for index, name in enumerate(evidence.joints)
    ]
    overall = ", ".join(f"{k} {np.median(v):.2f}" for k, v in found.items())
    text = "The confidence decides which joints become pseudo-labels of a teacher."
    if threshold is not None:
        shares = [
            f"{k} {100 * np.mean(v >= threshold):.0f} %" for k, v in found.items()
        ]
        text += (
            f" At the threshold of the run, {threshold:g}, these are of all joints: "
            f"{', '.join(shares)}."
        )
    picture = plotted(
        lambda path: plot_confidence(found, evidence.joints, path, threshold),
        f"Distribution of the confidence of all joints (median: {overall}), and median "
        "and range of each joint; the table below has the medians.",
    )
    columns = ("Joint", *(f"Median {title}" for title in found))
    table = Table("Confidence of each joint", columns, rows, folded=True)
    return [Text(text), picture, table]


def _threshold(evidence: Evidence) -> float | None:
    adaptations = evidence.run.cfg.model.get("adaptations") or {}
    given = [one.get("threshold") for one in adaptations.values() if "momentum" in one]
    return next((float(one) for one in given if one), None)


def with_labels(evidence: Evidence) -> list[Block]:
    """Errors of each joint on a labeled validation set."""
    file = evidence.labeled_file
    found = evidence.labeled_predictions
    errors = {title: found.errors(title) for title in evidence.models}
    known = ~np.isnan(found.truth[..., 0])
    names = [*evidence.joints, "all joints"]
    masks = [np.arange(len(names) - 1) == i for i in range(len(names) - 1)]
    masks.append(np.ones(len(names) - 1, bool))
    rows: list[tuple[str, ...]] = []
    marked: set[int] = set()
    for name, mask in zip(names, masks, strict=True):
        labeled = known & mask
        count = int(labeled.sum())
        if count == 0:
            continue
        cells, means, shares = [], [], []
        for values in errors.values():
            means.append(float(values[labeled].mean()))
            shares.append(100 * float(np.mean(values[labeled] <= 100 * FOUND)))
            cells += [f"{shares[-1]:.1f}", f"{means[-1]:.1f}"]
        if len(means) == 2:
            cells += [f"{shares[1] - shares[0]:+.1f}", f"{means[1] - means[0]:+.1f}"]
            if means[1] > means[0]:
                marked.add(len(rows))
        rows.append((name, str(count), *cells))
    if not rows:
        raise ValueError(f"'{file}' has no labeled joint of the model")
    columns = ["Joint", "Labels"]
    for title in errors:
        columns += [f"Found {title} (%)", f"Error {title} (%)"]
    if len(errors) == 2:
        columns += ["Found, change", "Error, change"]
    blocks: list[Block] = [
        Text(
            f"This section USES LABELS, those of {file}, on {len(found.sizes)} people. "
            f"A joint is found if it is within {100 * FOUND:.0f} % of the longer side "
            "of the person's box; the error is the mean distance in percent of that "
            "side. Rows are marked where the error grew."
        ),
        Table("Each joint, measured with labels", columns, rows, frozenset(marked)),
    ]
    if len(errors) == 2:
        worse, total = worse_people(evidence)
        text = f"Adaptation made the mean error of {worse} of {total} people larger."
        blocks.append(Text(text))
    metrics = _metrics(evidence)
    if metrics:
        titles = [title.capitalize() for title in evidence.models]
        blocks.append(
            Table("Metrics of the config, with labels", ("Metric", *titles), metrics)
        )
    return blocks


def worse_people(evidence: Evidence) -> tuple[int, int]:
    """Return how many people have a larger mean error after, and of how many."""
    found = evidence.labeled_predictions
    some = ~np.isnan(found.truth[..., 0]).all(axis=1)
    before, after = (
        np.nanmean(found.errors(title)[some], axis=1) for title in (BEFORE, AFTER)
    )
    return int((after > before).sum()), int(some.sum())


def _metrics(evidence: Evidence) -> list[tuple[str, ...]]:
    """Return the metrics of the config's evaluator by model, if it has any."""
    if evidence.run.job is not None or not evidence.run.cfg.get("val_evaluator"):
        return []
    try:
        found = evidence.scores
    except PROBLEMS:
        return []
    names = [name for name in found[AFTER] if not name.startswith(PREFIX)]
    return [(name, *(f"{found[title][name]:.2f}" for title in found)) for name in names]


#: Title and content of each section, in order. A section without content is left out.
SECTIONS: dict[str, Callable[[Evidence], Sequence[Block]]] = {
    "What ran": what_ran,
    "Data": data,
    "Scores without labels": scores,
    "Most changed people": pictures,
    "Heatmaps": heatmaps,
    "Training": curves,
    "Features": features,
    "Attention": attention,
    "Confidence": confidence,
    "Figures with labels": with_labels,
}


def build_section(title: str, evidence: Evidence) -> Section:
    """Return a section, or why it is missing."""
    try:
        return Section(title, SECTIONS[title](evidence))
    except PROBLEMS as error:
        return Section(title, missing=str(error))


def find_warnings(evidence: Evidence) -> list[str]:
    """Return what a reader must know first."""
    found = []
    for check in (_harm, _harm_by_labels, _detection, _few_people, _labels_chose):
        try:
            found += check(evidence)
        except PROBLEMS:
            continue  # its section says what is missing
    return found


def _harm(evidence: Evidence) -> list[str]:
    scores = evidence.scores
    warning = harm_warning(scores.get(BEFORE, {}), scores[AFTER])
    return [] if warning is None else [warning]


def _harm_by_labels(evidence: Evidence) -> list[str]:
    found = evidence.labeled_predictions
    before, after = (np.nanmean(found.errors(title)) for title in (BEFORE, AFTER))
    if not after > before:
        return []
    return [
        "Measured with labels, adaptation did harm: the mean error grew from "
        f"{before:.1f} to {after:.1f} % of the box."
    ]


def _detection(evidence: Evidence) -> list[str]:
    detected, warnings = evidence.detected, []
    if detected is None:
        return []
    if evidence.job["target"]["detector"] == "hog":
        warnings.append(
            "The detector 'hog' is weak: it misses many people. Use another one if you "
            "can."
        )
    counts = {why: one["count"] for why, one in detected.left_out.items()}
    unreadable = counts.get("images that cannot be read", 0)
    if unreadable:
        warnings.append(f"{unreadable} images cannot be read; see Data.")
    empty = counts.get("images without a person", 0)
    if 2 * empty > detected.num_images:
        warnings.append(
            f"No person was found in {empty} of {detected.num_images} images. Look at "
            "some of them, and lower --detect-score or use another detector if they "
            "show people."
        )
    return warnings


def _few_people(evidence: Evidence) -> list[str]:
    count = len(evidence.target)
    if count >= FEW_PEOPLE:
        return []
    return [
        f"There are only {count} people of the target, so all figures are uncertain."
    ]


def _labels_chose(evidence: Evidence) -> list[str]:
    metric = _chosen_by(evidence)
    if metric is None or metric.startswith(PREFIX):
        return []
    return [
        f"The config chooses a checkpoint by {metric}, which uses labels of the target."
    ]

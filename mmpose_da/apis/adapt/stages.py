"""The stages of a job, each of which is complete or is repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from mmengine.config import Config

from ..detect.run import describe_detected, detect
from ..publish import publish
from ..quiet import quiet
from ..report.run import AFTER, BEFORE, run_of_job
from ..report.write import write_report
from ..scores import PREFIX, WARNING_SCORE, harm_warning, quiet_score
from ..stages import read_result, train_stage
from ..work_files import read_json, write_json
from .config import Plan
from .job import Work
from .plan import describe_plan, describe_time, make_plan


def run_detect(work: Work) -> str:
    """Find the people of the target."""
    with work.bars("detect") as report:
        result = detect(
            work.job.target,
            work.folder("detect"),
            batch_size=work.batch_size,
            device=work.device,
            progress=report,
        )
    return describe_detected(result)


def run_adapt(work: Work) -> str:
    """Train on the people that were found, and on the source."""
    detected, folder = work.detected(), work.folder("adapt")
    if (folder / "plan.json").is_file():
        plan = Plan(**read_json(folder / "plan.json"))
    else:
        plan, seconds = make_plan(work, detected)
        write_json(asdict(plan), folder / "plan.json")
        work.say(f"      {describe_plan(plan)}, about {describe_time(seconds)}")
    with work.bars("adapt") as report:
        result = train_stage(
            work.config(detected, plan),
            folder,
            threads=work.threads,
            progress=lambda done, total: report("training", done, total),
        )
        report("training", plan.iterations, plan.iterations)
    return f"{plan.iterations} iterations: {result.checkpoint}"


def run_score(work: Work) -> str:
    """Score the models before and after on people of the target, without labels."""
    folder, adapted = work.folder("score"), work.folder("adapt")
    if not work.is_done("score"):
        cfg = Config.fromfile(adapted / "input/config.py")
        networks = {
            BEFORE: (cfg.load_from, "student"),
            AFTER: (read_result(adapted).checkpoint, None),
        }
        found = {}
        for title, (checkpoint, network) in networks.items():
            path = folder / f"{title}.json"
            if not path.is_file():
                scores = quiet_score(cfg, checkpoint, folder / "log", network)
                write_json(scores, path)
            found[title] = read_json(path)
        warning = harm_warning(found[BEFORE], found[AFTER])
        write_json(dict(found, warning=warning), folder / "result.json")
    content = read_json(folder / "result.json")
    name = PREFIX + WARNING_SCORE
    before, after = content[BEFORE][name], content[AFTER][name]
    text = f"{WARNING_SCORE} {before:.1f} before, {after:.1f} after"
    return _with_warnings(text, [content["warning"]] if content["warning"] else [])


def run_publish(work: Work) -> str:
    """Write the adapted model as a plain model of MMPose."""
    folder = work.folder("publish")
    target = folder / "adapted.pth"
    if not work.is_done("publish"):
        for suffix in (".pth", ".py", ".onnx"):  # of a process that was killed
            target.with_suffix(suffix).unlink(missing_ok=True)
        adapted = work.folder("adapt")
        cfg = Config.fromfile(adapted / "input/config.py")
        with quiet():
            publish(cfg, read_result(adapted).checkpoint, target, onnx=work.job.onnx)
        files = [path.name for path in sorted(folder.glob("adapted.*"))]
        write_json(dict(files=files), folder / "result.json")
    return ", ".join(
        str(folder / name) for name in read_json(folder / "result.json")["files"]
    )


def run_report(work: Work) -> str:
    """Write the report."""
    folder = work.folder("report")
    if not work.is_done("report"):
        with work.bars("report") as progress:
            run = run_of_job(work.work_dir)
            found = write_report(run, folder / "report.html", progress)
        write_json(dict(found, file="report.html"), folder / "result.json")
    content = read_json(folder / "result.json")
    return _with_warnings(str(folder / content["file"]), content["warnings"])


def _with_warnings(text: str, warnings: Sequence[str]) -> str:
    return "\n".join([text, *(f"      warning: {warning}" for warning in warnings)])


@dataclass(frozen=True)
class Stage:
    """A part of a job, which is complete (it has a ``result.json``) or is repeated.

    Attributes:
        name (str): Its name, and that of its folder.
        text (str): What it does.
        run (Callable[[Work], str]): Does the work, resumes it, or finds it done, and
            says in a line what there is now.
        needs (tuple[str, ...]): Stages that must be done before.
    """

    name: str
    text: str
    run: Callable[[Work], str]
    needs: tuple[str, ...] = ()


#: The stages, in order.
STAGES = (
    Stage("detect", "find the people of the target", run_detect),
    Stage("adapt", "train on the target and the source", run_adapt, ("detect",)),
    Stage("score", "compare before and after without labels", run_score, ("adapt",)),
    Stage("publish", "write and verify the deployed model", run_publish, ("adapt",)),
    Stage("report", "write the report", run_report, ("adapt", "score")),
)


def choose_stages(names: Sequence[str]) -> list[Stage]:
    """Return stages by name, in their order; all of them without names.

    Raises:
        ValueError: If there is no such stage.
    """
    known = [stage.name for stage in STAGES]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"stages: '{unknown[0]}' is none of {known}")
    return [stage for stage in STAGES if not names or stage.name in names]

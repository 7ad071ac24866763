"""Pages of docs/, followed to the letter."""

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat
from tiny_model import build

from mmpose_da.apis import load_config
from mmpose_da.apis.stages import scalars
from mmpose_da.rendering import STREET, STUDIO, write_domain

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
#: A command of the project, or a variable for the next ones.
TOOL = re.compile(r"([A-Z_]+=\S+ )*python tools/|(export )?[A-Z_]+=[^ ;]+(;|$)")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def site(tmp_path, repo):
    """A folder with the data that docs/own_data.md speaks of, and the project."""
    for name in ("configs", "tools"):
        (tmp_path / name).symlink_to(repo / name)
    coco, new_site = tmp_path / "data/coco", tmp_path / "data/new_site"
    write_domain(coco, STUDIO, dict(train=40), format="coco")
    (coco / "images").rename(coco / "train2017")
    annotations = coco / "annotations"
    (annotations / "person_keypoints_train.json").rename(
        annotations / "person_keypoints_train2017.json"
    )
    write_domain(new_site, STREET, dict(train=40, val=8), format="coco")
    annotations = new_site / "annotations"
    labels = annotations / "person_keypoints_val.json"
    shutil.move(labels, new_site / "keypoints_val.json")
    content = json.loads((annotations / "person_keypoints_train.json").read_text())
    kept = dict(
        images=("id", "file_name", "width", "height"),
        annotations=("id", "image_id", "category_id", "bbox"),
    )
    for part, keys in kept.items():
        content[part] = [{key: one[key] for key in keys} for one in content[part]]
    (new_site / "boxes_train.json").write_text(json.dumps(content))
    shutil.rmtree(annotations)
    shutil.copy(next((new_site / "images").iterdir()), new_site / "images/000001.jpg")
    return tmp_path


def run(command: str, folder) -> str:
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    environment.pop("MMPOSE_DA_DATA", None)
    command = re.sub(r"^python ", f"{sys.executable} ", command, flags=re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def shorter(command: str) -> str:
    """The same with a smaller budget: 4 iterations, under the names of the page."""
    if "tools/train.py" in command:
        row = re.search(r"_([a-z-]+)\.py", command)[1]
        command += " --cfg-options train_cfg.max_iters=4"
        last = 1000 if row == "pretrain" else 500
        of_pair = "my_site/" if "--pair" in command else ""
        folder = f"work_dirs/{of_pair}studio2street_res18_{row}"
        command += f"\ncp {folder}/iter_4.pth {folder}/iter_{last}.pth"
    if "render_domains.py" in command:
        command += " --studio train=8 --street train=8 val=4"
    if "benchmark.py" in command:
        command += " --iters 2 --init-iters 2"
        command = command.replace("0 1 2", "0")
    return command


@pytest.mark.slow
def test_own_data(site, repo):
    text = (repo / "docs/own_data.md").read_text()
    pair, use = blocks(text, "python")
    (site / "my_site.py").write_text(pair)
    [prefix, *commands] = "".join(blocks(text, "bash")).splitlines()
    assert prefix == "R=configs/da/studio2street_res18" and len(commands) == 7
    metric = "PCK@0.1 (12 joints)"
    for command in commands:
        out = run(f"{prefix}\n{shorter(command)}", site)
        if "publish" not in command:
            assert metric in out
        if "tools/train.py" in command and "pretrain" not in command:
            assert "my_site/studio2street_res18_pretrain/iter_1000.pth" in out
    assert "(1, 17, 2)" in use
    shown = use.replace("print(person.pred_instances.keypoints)", "{}")
    shown = shown.format("print(person.pred_instances.keypoints.shape)")
    (site / "use.py").write_text(shown)
    assert "(1, 17, 2)" in run("python use.py", site).splitlines()

    # Without labels nothing is evaluated, on this set or on another.
    [unlabeled, _] = pair.split("# A few labeled people")
    (site / "no_labels.py").write_text(unlabeled)
    row = f"{prefix}\npython tools/train.py ${{R}}_mean-teacher.py --pair no_labels.py"
    options = "--cfg-options train_cfg.max_iters=2 load_from=None"
    out = run(f"{row} {options}", site)
    assert "Iter(val)" not in out and "Saving checkpoint at 2 iterations" in out


@pytest.fixture
def pair(tmp_path, repo):
    """A folder with a small rendered pair, and the project."""
    for name in ("configs", "tools"):
        (tmp_path / name).symlink_to(repo / name)
    data = tmp_path / "data/synthetic"
    write_domain(data / "studio", STUDIO, dict(train=4), format="coco")
    write_domain(data / "street", STREET, dict(train=3, val=2), format="mpii")
    return tmp_path


@pytest.mark.slow
def test_peers_data(pair, repo):
    """What the loaders of the peers read, which is written out here once more."""
    convert, _ = blocks((repo / "docs/peers.md").read_text(), "python")
    (pair / "peers_data.py").write_text(convert.replace("= 128, 2000", "= 128, 5"))
    run("python peers_data.py", pair)
    out, smpl = pair / "peers_data", (7, 4, 1, 2, 5, 8, 0, 9, 12, 15, 20, 18)
    smpl += (13, 14, 19, 21)
    people = json.loads((out / "surreal/test/run0.json").read_text())
    assert len(people) == 4
    annotations = pair / "data/synthetic/studio/annotations"
    coco = json.loads((annotations / "person_keypoints_train.json").read_text())
    names = coco["categories"][0]["keypoints"]
    for person, given in zip(people, coco["annotations"], strict=True):
        image = cv2.imread(str(out / "surreal/train/run0" / person["name"]))
        assert image.shape == (128, 128, 3)
        joints = np.array(person["keypoint2d"])[list(smpl)]
        x, y, w, h = given["bbox"]
        corner = np.array([x + w / 2, y + h / 2]) - 1.1 * max(w, h) / 2
        points = np.reshape(given["keypoints"], (-1, 3))
        for mpii, name in (
            (0, "right_ankle"),
            (12, "right_shoulder"),
            (15, "left_wrist"),
        ):
            point = points[names.index(name)]
            if point[2]:
                shown = (point[:2] - corner) * 128 / (1.1 * max(w, h))
                np.testing.assert_allclose(joints[mpii], shown, atol=1)
        assert (joints[9] == -1e4).all()  # COCO has no head top
    joints = loadmat(out / "lsp/joints.mat")["joints"]
    assert joints.shape == (3, 14, 5) and len(list((out / "lsp/images").iterdir())) == 5
    assert (joints[..., 0] == joints[..., 3]).all()
    heads, ankles = joints[1, 13], joints[1, [0, 5]]
    upright = heads < ankles.mean(axis=0)
    assert upright.any() and set(np.unique(joints[2])) <= {0, 1}


def test_peers_model(repo, tmp_path):
    """There and back, a checkpoint has the keys that it had."""
    _, convert = blocks((repo / "docs/peers.md").read_text(), "python")
    names = dict(__name__="peers_model")
    exec(convert, names)
    head = dict(type="LogitHeatmapHead", conv_out_channels=(8,), conv_kernel_sizes=(3,))
    for state, kind in (
        (build(head=head).student.state_dict(), "to_regda"),
        (build().student.state_dict(), "to_uniframe"),
    ):
        [theirs] = names[kind](state).values()
        assert not any("head.deconv_layers" in key for key in theirs)
        assert ("module.upsampling.0.weight" in theirs) == (kind == "to_uniframe")
        back = names["to_mmpose"](theirs)["state_dict"]
        assert {k: v.shape for k, v in back.items()} == {
            k: v.shape for k, v in state.items()
        }


def write_method(folder, repo) -> str:
    """Write the files of docs/write_a_method.md; the page."""
    text = (repo / "docs/write_a_method.md").read_text()
    for block in blocks(text, "python"):
        (folder / re.match(r"# (\S+)\n", block)[1]).write_text(block)
    return text


def test_uniframe_of_coming_from(tmp_path, repo):
    """The config of the page has the adaptations of the row with another pair."""
    (tmp_path / "configs").symlink_to(repo / "configs")
    [config] = blocks((repo / "docs/coming_from.md").read_text(), "python")
    (tmp_path / "surreal2lsp_uniframe.py").write_text(config)
    theirs = load_config(tmp_path / "surreal2lsp_uniframe.py").model
    ours = load_config(repo / "configs/da/coco2mpii_res50_uniframe.py").model
    for model in (theirs, ours):
        model.adaptations.style.style.pop("decoder")
    assert theirs.adaptations == ours.adaptations
    assert theirs.statistics == ours.statistics == "domain"
    assert theirs.test_cfg.network == "teacher"


def test_write_a_method_unit_tests(tmp_path, repo, monkeypatch):
    write_method(tmp_path, repo)
    monkeypatch.syspath_prepend(tmp_path)
    names = runpy.run_path(str(tmp_path / "test_deep_coral.py"))
    tests = [names[name] for name in names if name.startswith("test_")]
    assert len(tests) == 4
    for test in tests:
        test()


@pytest.mark.slow
def test_write_a_method(tmp_path, repo):
    for name in ("configs", "mmpose_da", "tools"):
        (tmp_path / name).symlink_to(repo / name)
    text = write_method(tmp_path, repo)
    [prefix, *commands] = "".join(blocks(text, "bash")).splitlines()
    assert prefix == "export PYTHONPATH=." and len(commands) == 7
    said = [run(f"{prefix}\n{shorter(command)}", tmp_path) for command in commands]
    _, pretrained, trained, tested, table, unit_tests, leaks = said
    assert "coral.loss" not in pretrained and "coral.loss" in trained
    assert "PCKh@0.5 (12 joints)" in tested
    logged = scalars(tmp_path / "work_dirs/studio2street_res18_deep-coral")
    assert "coral.loss" in logged[0] and "PCKh@0.5 (12 joints)" in logged[-1]
    assert logged[-1]["step"] == 4
    assert "| deep-coral |" in table
    assert "4 passed" in unit_tests
    assert "no label leaks" in leaks

    # The check can fail: half of the target with its labels is not the same.
    check = (tmp_path / "check_labels.py").read_text()
    loader, counts = "train_dataloader", "batch_sampler.samples_per_domain"
    labeled = (
        f"{loader}.dataset.labeled_target.ratio=0.5",
        f"{loader}.{counts}.target_labeled=8",
        f"{loader}.{counts}.target_unlabeled=8",
    )
    given = "'--cfg-options',"
    assert given in check
    changed = check.replace(given, given + "".join(f"'{each}'," for each in labeled))
    (tmp_path / "check_labels.py").write_text(changed)
    said = run(f"{prefix}\npython check_labels.py || true", tmp_path)
    assert "labels leak into" in said


@pytest.mark.slow
@pytest.mark.parametrize("package", ["tensorboard", "wandb"])
def test_readme_dashboards(pair, repo, package):
    """Each has the losses and metrics of ``scalars.json``, by iteration."""
    pytest.importorskip(package, reason=f"{package} is not installed")
    [given] = [
        b for b in blocks((repo / "README.md").read_text(), "python") if "vis_" in b
    ]
    row = "_base_ = 'configs/da/studio2street_res18_mixed.py'\n" + given
    kind = f"{package.capitalize()}VisBackend"
    row += f"""visualizer['vis_backends'] = [
    backend for backend in visualizer['vis_backends']
    if backend['type'] in ('LocalVisBackend', '{kind}')]
"""
    (pair / "row.py").write_text(row)
    options = "load_from=None train_cfg.max_iters=4 train_cfg.val_interval=2"
    options += " default_hooks.logger.interval=1"
    train = f"python tools/train.py row.py --cfg-options {options}"
    run(f"export WANDB_MODE=offline\n{train}", pair)
    [folder] = (pair / "work_dirs/row").glob("*/vis_data")
    lines = scalars(pair / "work_dirs/row")
    metric = "PCKh@0.5 (12 joints)"
    for tag, steps in (("source.loss_kpt", [1, 2, 3, 4]), (metric, [2, 4])):
        values = {line["step"]: line[tag] for line in lines if tag in line}
        assert list(values) == steps
        if package == "tensorboard":
            from tensorboard.backend.event_processing import event_accumulator

            events = event_accumulator.EventAccumulator(str(folder)).Reload()
            shown = {event.step: event.value for event in events.Scalars(tag)}
            assert shown == pytest.approx(values)
        else:
            [run_file] = folder.glob("wandb/offline-run-*/run-*.wandb")
            assert tag.encode() in run_file.read_bytes()


class Parsed(Exception):
    """A command line was accepted."""


def tool_commands(text: str) -> list[list[str]]:
    """The words of a page's commands ``python tools/...``, as Bash expands them."""
    lines = "".join(blocks(text, "bash")).replace("\\\n", "").splitlines()
    lines = [line.replace("KEY=VALUE ...", "KEY=VALUE") for line in lines]
    script = "python() { printf '%q ' \"$@\"; echo; }\n"
    script += "\n".join(line for line in lines if TOOL.match(line))
    done = subprocess.run(["bash", "-euc", script], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stdout.decode().splitlines()]


@pytest.mark.parametrize("page", PAGES)
def test_tools_know_the_options_of_a_page(page, repo, load_tool, monkeypatch):
    """The configs that a command names exist, too; other files are the reader's."""
    parse = ArgumentParser.parse_args

    def parse_only(*args, **kwargs):
        parse(*args, **kwargs)
        raise Parsed

    def existing(value: str) -> str:
        assert not value.startswith("configs/") or (repo / value).is_file(), value
        return value

    monkeypatch.setattr(ArgumentParser, "parse_args", parse_only)
    monkeypatch.syspath_prepend(repo / "tools/dataset_converters")
    monkeypatch.syspath_prepend(repo / "tools")
    for name in ("existing_file", "existing_path"):
        monkeypatch.setattr(f"_options.{name}", existing)
    for script, *arguments in tool_commands((repo / page).read_text()):
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        tool = load_tool(script.removeprefix("tools/").removesuffix(".py"))
        with pytest.raises(Parsed):
            tool.main()


def test_most_pages_have_tool_commands(repo):
    counts = [len(tool_commands((repo / page).read_text())) for page in PAGES]
    assert sum(counts) > 70 and sum(count > 0 for count in counts) > 10

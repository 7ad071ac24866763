"""Pages of docs/, followed to the letter."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from mmpose_da.rendering import STREET, STUDIO, write_domain


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
        folder = f"work_dirs/my_site/studio2street_res18_{row}"
        command += f"\ncp {folder}/iter_4.pth {folder}/iter_{last}.pth"
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

"""The page on adapting to one's images, followed to the letter."""

import json
import re

import cv2
import numpy as np
import pytest
from test_docs import blocks, run
from tiny_site import write_site


@pytest.fixture
def site(tmp_path, repo):
    """A folder with the files that docs/adapt.md speaks of, and the project."""
    (tmp_path / "tools").symlink_to(repo / "tools")
    write_site(tmp_path)
    rng = np.random.default_rng(0)
    path = str(tmp_path / "site/video.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 10, (80, 80))
    for _ in range(20):
        writer.write(rng.integers(0, 255, (80, 80, 3), np.uint8))
    writer.release()
    return tmp_path


def shorter(command: str) -> str:
    """The same with a smaller budget: 3 iterations."""
    if "tools/adapt.py" in command:
        command += " --budget 3 --workers 0"
    return command.replace("iter_300.pth", "iter_3.pth")


@pytest.mark.slow
def test_commands(site, repo):
    pytest.importorskip("onnxruntime")
    text = (repo / "docs/adapt.md").read_text()
    commands = "".join(blocks(text, "bash")).splitlines()
    assert len(commands) == 9
    said = {}
    for command in commands:
        if "--detector hog" in command:  # it finds nobody among dots
            command = command.replace("hog --score 0.3", "whole")
        key = re.search(r"--work-dir \S+/(\w+)|$", command)[1]
        key = key or re.search(r"tools/(\w+)", command)[1]
        said[key + " --dry-run" * ("--dry-run" in command)] = run(
            shorter(command), site
        )
    assert "nothing was run" in said["site --dry-run"]
    assert "8 people in 8 images" in said["site"]
    assert "3 iterations with 8 target images" in said["site_free"]
    assert "Saving checkpoint at 3 iterations" in said["again"]
    assert "onnx:    student.onnx" in said["publish_model"]
    frames = json.loads((site / "work_dirs/frames/people.json").read_text())["images"]
    assert [one["file_name"] for one in frames][:2] == ["000000.jpg", "000005.jpg"]
    folders = {path.name for path in (site / "work_dirs/site").iterdir()}
    assert {"detect", "adapt", "score", "publish", "report"} <= folders
    assert "not in the report" not in said["report"]
    page = (site / "work_dirs/site/report/report.html").read_text()
    assert "USES LABELS, those of " in page and "val/annotations.json" in page
    scores = json.loads(re.search(r"^{.*^}", said["score"], re.DOTALL | re.M)[0])
    before = json.loads((site / "work_dirs/site/score/before.json").read_text())
    assert {f"label_free/{key}": value for key, value in scores.items()} == before

    for block, shape in zip(
        blocks(text, "python"), ("(1, 17, 2)", "(1, 17, 16, 16)"), strict=True
    ):
        code = block.replace("keypoints)", "keypoints.shape)")
        (site / "use.py").write_text(code)
        assert shape in run("python use.py", site).splitlines()


def test_report_has_the_sections_of_the_page(repo):
    from mmpose_da.apis.report.sections import SECTIONS

    text = (repo / "docs/adapt.md").read_text()
    [table] = re.findall(r"\| section .*?\n\n", text, re.DOTALL)
    rows = [row.split("|")[1].strip() for row in table.strip().splitlines()[2:]]
    assert rows == ["Warnings", *SECTIONS]


def test_tables_are_those_of_the_tools(repo, load_tool):
    text = (repo / "docs/adapt.md").read_text()
    [methods] = re.findall(r"\| `--method` .*?\n\n", text, re.DOTALL)
    assert set(re.findall(r"`([a-z-]+)`", methods)) >= set(load_tool("adapt").METHODS)
    [detectors] = re.findall(r"\| detector .*?\n\n", text, re.DOTALL)
    kinds = {"torchvision", "mmdet", "boxes", "whole", "hog"}
    assert kinds <= set(re.findall(r"`([a-z-]+)`", detectors))

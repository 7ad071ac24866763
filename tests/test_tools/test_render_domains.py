"""tools/render_domains.py."""

import json

import cv2
import pytest

from mmpose_da.apis.render import EMBEDDED_PAIR

SMALL = ["--size", "48", "--workers", "0", "--studio", "train=2", "--street", "val=1"]


@pytest.fixture
def tool(load_tool, monkeypatch, tmp_path):
    monkeypatch.setenv("MMPOSE_DA_DATA", str(tmp_path))
    return load_tool("render_domains")


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_both_domains_are_written_where_the_configs_look(tool, tmp_path, capsys):
    tool.main(SMALL)
    studio, street = (tmp_path / "synthetic" / name for name in ("studio", "street"))
    assert manifest(studio)["format"] == "coco"
    assert manifest(studio)["counts"] == dict(train=2)
    assert manifest(street)["format"] == "mpii"
    assert manifest(street)["counts"] == dict(val=1)
    out = capsys.readouterr().out
    assert f"{studio}: 2 images, " in out and " ms each" in out

    tool.main(SMALL)
    assert f"{street}: 1 images are already there" in capsys.readouterr().out


def test_another_seed_needs_overwrite(tool, tmp_path, capsys):
    tool.main([*SMALL, "--out", str(tmp_path / "out")])
    again = [*SMALL, "--out", str(tmp_path / "out"), "--seed", "1"]
    with pytest.raises(SystemExit, match="1"):
        tool.main(again)
    assert "seed is 0, not 1. To replace it, use --overwrite" in capsys.readouterr().err
    tool.main([*again, "--overwrite"])
    assert manifest(tmp_path / "out/studio")["seed"] == 1


def test_the_defaults_are_those_of_the_embedded_pair(tool):
    args = tool.make_parser().parse_args([])
    assert dict(args.studio) == dict(train=3000)
    assert dict(args.street) == dict(train=3000, val=800)
    assert {domain.name: counts for domain, _, counts in EMBEDDED_PAIR} == tool.DOMAINS


def test_a_sheet_is_a_picture_and_no_set(tool, tmp_path):
    path = tmp_path / "docs/domains.jpg"
    tool.main(["--sheet", str(path), "--rows", "2", "--cols", "1", "--size", "32"])
    assert cv2.imread(str(path)).shape[:2] == (64, 72)
    assert not (tmp_path / "synthetic").exists()


@pytest.mark.parametrize("value", ["train", "train=many", "=3", "a/b=3"])
def test_counts_that_cannot_be_read(tool, capsys, value):
    with pytest.raises(SystemExit, match="2"):
        tool.main(["--studio", value])
    assert f"'{value}' is not like train=3000" in capsys.readouterr().err

"""tools/render_domains.py."""

import json

import cv2
import pytest

from mmpose_da.apis.render import EMBEDDED_CROWD, EMBEDDED_PAIR
from mmpose_da.rendering import level_shares

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
    assert EMBEDDED_CROWD[1:] == ("crowdpose", tool.CROWD)


def test_the_crowd_is_rendered_when_asked_for_only(tool, tmp_path, capsys):
    tool.main(SMALL)
    assert not (tmp_path / "synthetic/crowd").exists()
    assert "crowd index" not in capsys.readouterr().out

    command = [*SMALL[:4], "--studio", "--street", "--crowd", "train=2", "val=3"]
    crowd = tmp_path / "synthetic/crowd"
    for done in ("5 images, ", "5 images are already there"):
        tool.main(command)
        out = capsys.readouterr().out
        assert f"{crowd}: {done}" in out
        for split in ("train", "val"):
            path = crowd / f"annotations/crowdpose_{split}.json"
            images = json.loads(path.read_text())["images"]
            shares = level_shares([image["crowdIndex"] for image in images])
            easy, medium, hard = (f"{100 * share:.0f} %" for share in shares.values())
            levels = f"{easy} easy, {medium} medium, {hard} hard"
            assert f"crowd index in {split}: {levels}" in out
    assert manifest(crowd)["format"] == "crowdpose"
    assert manifest(crowd)["counts"] == dict(train=2, val=3)


def test_without_a_number_the_crowd_has_the_default_one(tool, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "mmpose_da.apis.render.render_pair",
        lambda *args, counts, **kwargs: asked.append(counts),
    )
    tool.main(["--crowd"])
    tool.main([])
    assert asked == [dict(tool.DOMAINS, crowd=tool.CROWD), tool.DOMAINS]


def test_a_sheet_is_a_picture_and_no_set(tool, tmp_path):
    path = tmp_path / "docs/domains.jpg"
    args = ["--sheet", str(path), "--rows", "2", "--cols", "1", "--size", "32"]
    tool.main(args)
    assert cv2.imread(str(path)).shape[:2] == (64, 72)
    tool.main([*args, "--crowd"])
    assert cv2.imread(str(path)).shape[:2] == (64, 112)
    assert not (tmp_path / "synthetic").exists()


@pytest.mark.parametrize("value", ["train", "train=many", "=3", "a/b=3"])
def test_counts_that_cannot_be_read(tool, capsys, value):
    with pytest.raises(SystemExit, match="2"):
        tool.main(["--studio", value])
    assert f"'{value}' is not like train=3000" in capsys.readouterr().err

"""The checkpoint that a run is resumed from."""

import os

import pytest
import torch

from mmpose_da.engine import find_checkpoint


@pytest.fixture
def write(tmp_path):
    """Write checkpoints, each a minute after the one before."""
    times = iter(range(1_000_000, 2_000_000, 60))

    def write_checkpoint(name: str, optimizer: bool = True) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = dict(state_dict=dict(weight=torch.ones(1000)))
        torch.save(dict(content, optimizer=dict()) if optimizer else content, path)
        now = next(times)
        os.utime(path, (now, now))
        return str(path)

    return write_checkpoint


def point_to(folder, path) -> None:
    (folder / "last_checkpoint").write_text(str(path))


def test_there_may_be_none(tmp_path, write):
    assert find_checkpoint(tmp_path / "no_folder") is None
    assert find_checkpoint(tmp_path) is None
    write("best_PCK_epoch_1.pth", optimizer=False)
    assert find_checkpoint(tmp_path) is None


def test_the_one_that_is_named_counts(tmp_path, write):
    named, _ = write("epoch_1.pth"), write("epoch_2.pth")
    point_to(tmp_path, named)
    assert find_checkpoint(tmp_path) == named
    point_to(tmp_path, "/where/it/was/epoch_1.pth")
    assert find_checkpoint(tmp_path) == named
    # Killed between the checkpoint and its name, or before the first name.
    point_to(tmp_path, "")
    assert find_checkpoint(tmp_path) == str(tmp_path / "epoch_2.pth")
    (tmp_path / "last_checkpoint").unlink()
    assert find_checkpoint(tmp_path) == str(tmp_path / "epoch_2.pth")


def test_checkpoints_may_have_a_folder_of_their_own(tmp_path, write):
    path = write("elsewhere/run/epoch_1.pth")
    (tmp_path / "run").mkdir()
    point_to(tmp_path / "run", path)
    assert find_checkpoint(tmp_path / "run") == path


@pytest.mark.parametrize("size", [0, 100, 3000, -1], ids=str)
def test_a_damaged_one_is_told_and_the_one_before_taken(
    tmp_path, write, monkeypatch, size
):
    write("epoch_1.pth")
    before, latest = write("epoch_2.pth"), write("epoch_3.pth")
    point_to(tmp_path, latest)
    content = bytearray((tmp_path / "epoch_3.pth").read_bytes())
    if size < 0:
        content[2000] ^= 1  # one bit of the weights
        (tmp_path / "epoch_3.pth").write_bytes(content)
    else:
        (tmp_path / "epoch_3.pth").write_bytes(content[:size])
    told = []
    monkeypatch.setattr(
        "mmpose_da.engine.resume.print_log", lambda text, *args: told.append(text)
    )
    assert find_checkpoint(tmp_path) == before
    assert f"{latest} cannot be read" in told[0]
    assert told[1] == f"resuming from {before}"


def test_a_run_does_not_start_anew_over_damaged_checkpoints(tmp_path, write):
    for name in ("epoch_1.pth", "epoch_2.pth"):
        write(name)
        (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(RuntimeError, match=r"(?s)epoch_2.*epoch_1.*from scratch"):
        find_checkpoint(tmp_path)

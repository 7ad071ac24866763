"""Files are complete, however their writing is interrupted."""

import errno
import os
import resource
import signal
from pathlib import Path

import pytest
from mmengine.fileio import get_file_backend


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_is_replaced_as_a_whole(tmp_path, monkeypatch):
    backend = get_file_backend(backend_args=dict(backend="atomic"))
    path = tmp_path / "new" / "a.pth"
    backend.put(b"first", path)
    assert path.read_bytes() == b"first" and files(path.parent) == {"a.pth"}
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()

    seen = []
    replace = os.replace
    monkeypatch.setattr(
        os, "replace", lambda a, b: seen.append(path.read_bytes()) or replace(a, b)
    )
    backend.put(b"second", path)
    assert seen == [b"first"]  # until the new one is complete
    assert path.read_bytes() == b"second" and files(path.parent) == {"a.pth"}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_can_not_be_written_leaves_the_old_file(tmp_path):
    """With the limit of a process on the size of its files, as on a full disk."""
    path = tmp_path / "a.pth"
    path.write_bytes(b"old")
    backend = get_file_backend(backend_args=dict(backend="atomic"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"a\.pth") as error:
            backend.put(bytes(2000), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert error.value.errno == errno.EFBIG
    assert path.read_bytes() == b"old" and files(tmp_path) == {"a.pth"}

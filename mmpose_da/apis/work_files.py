"""Files of work that can be interrupted: complete or absent, or a journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ..engine import AtomicLocalBackend


def write_json(content: Any, path: str | Path) -> None:
    """Write a JSON file, which is complete or absent."""
    AtomicLocalBackend().put_text(json.dumps(content, indent=1), path)


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is not valid JSON. The message names the file.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{path}' is not valid JSON: {error}") from error


def keep_settings(settings: Mapping[str, Any], path: str | Path) -> None:
    """Write settings at the first call, and compare them at every later one.

    Args:
        settings (Mapping[str, Any]): What determines the result of the work.
        path (str | Path): The file for them.

    Raises:
        RuntimeError: If the file has other settings. The message names the keys.
    """
    path = Path(path)
    content = json.loads(json.dumps(settings))
    if not path.is_file():
        write_json(content, path)
        return
    before = read_json(path)
    changed = [k for k in {**before, **content} if before.get(k) != content.get(k)]
    if changed:
        differences = "; ".join(
            f"{key} was {before.get(key)!r} and is {content.get(key)!r}"
            for key in changed
        )
        raise RuntimeError(
            f"{path.parent} has work with other settings: {differences}. Delete the "
            "folder, or give another one"
        )


class Journal:
    """A file of JSON lines to which work appends, and from which it resumes.

    A line that a kill left unfinished is dropped when the file is opened.

    Args:
        path (str | Path): The file. It is created, with its folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = self.path.read_bytes() if self.path.is_file() else b""
        complete = content[: content.rfind(b"\n") + 1]
        #: The lines so far.
        self.lines: list[dict] = [json.loads(line) for line in complete.splitlines()]
        self._file = open(self.path, "ab")  # noqa: SIM115 - closed by `__exit__`
        self._file.truncate(len(complete))

    def append(self, line: dict) -> None:
        """Add a line, which survives the end of the process."""
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        self.lines.append(line)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

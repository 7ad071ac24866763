from __future__ import annotations

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


@register_backend("atomic")
class AtomicLocalBackend(LocalBackend):
    """MMEngine's backend of local files; a file is there as a whole or not at all.

    It is written under another name, ``.NAME.tmp``, and renamed once it is on the disk.
    Whatever happens in between, what was there before stays. For one writer of a file
    at a time; as MMEngine's ``backend_args``: ``dict(backend='atomic')``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file.

        Args:
            obj (bytes): Its content.
            filepath (str | Path): Its path; folders that are missing are made.

        Raises:
            OSError: It could not be written, as on a full disk; names the file.
        """
        path = Path(filepath)
        temporary = path.with_name(f".{path.name}.tmp")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, str(path)) from error

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        """Write a text file, as :meth:`put` writes bytes."""
        self.put(obj.encode(encoding), filepath)

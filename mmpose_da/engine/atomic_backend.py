from __future__ import annotations

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


@register_backend("atomic")
class AtomicLocalBackend(LocalBackend):
    """Local file backend that writes files atomically.

    A file is written to ``.NAME.tmp``, flushed to disk, and renamed. An interrupted
    write never damages an existing file and never leaves an incomplete one under the
    final name. Only one writer per file is supported at a time. Use it as MMEngine's
    ``backend_args``: ``dict(backend='atomic')``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file.

        Args:
            obj (bytes): Content of the file.
            filepath (str | Path): Path of the file. Missing parent directories are
                created.

        Raises:
            OSError: If the file cannot be written, for example because the disk is
                full. The error names the file.
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
        """Write a text file atomically; see :meth:`put`."""
        self.put(obj.encode(encoding), filepath)

"""One crawler at a time on a folder: an advisory lock that names its holder and dies with it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from schemas.errors import ArchiveLocked
from storage.disk import disk_errors


class CrawlLock:
    """Context manager. Raises ArchiveLocked, which names the process id of the holder; None locks nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        if self._path is None:
            return self
        with disk_errors(f"cannot open {self._path}"):
            self._file = self._path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            holder = self._file.read(32).decode("ascii", "replace").strip() or "unknown"
            self._file.close()
            raise ArchiveLocked(
                f"process {holder} crawls this archive already", remedy="wait for it or stop it"
            ) from error
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n".encode())
        self._file.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

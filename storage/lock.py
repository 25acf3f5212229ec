"""Who lives: advisory locks that name their holder and die with it.

`CrawlLock` keeps a second crawler off a folder, `mending` a second start. `Presence` tells the leases of the living
from those that a killed process left. What a lease is worth is left to the catalog.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
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
        with disk_errors(f"cannot write {self._path}"):
            self._file.truncate(0)
            self._file.write(f"{os.getpid()}\n".encode())
            self._file.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


@contextlib.contextmanager
def mending(directory: Path) -> Iterator[None]:
    """Wait until nobody else mends this folder, then be the one who does. Raises DiskError."""
    with contextlib.ExitStack() as stack:
        path = directory / "mending"
        with disk_errors(f"cannot lock {path}"):
            file = stack.enter_context(path.open("ab"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Presence:
    """A file in a folder for each living process that holds leases, locked as long as it lives.

    A lease outlives a process that was killed; by this its heirs on the same folder need not wait it out.
    """

    def __init__(self, folder: Path, *, worker: str, holder: str) -> None:
        """`holder` names this process in leases: the folder's `worker`, a hyphen, and what no other process has."""
        self._folder, self._worker, self._holder = folder, worker, holder
        self._file: BinaryIO | None = None

    def show(self) -> None:
        """From here on this process counts as living, until `close` or its end. Raises DiskError."""
        if self._file is not None:
            return
        with disk_errors(f"cannot make a lock in {self._folder}"):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = (self._folder / self._holder).open("wb")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def is_dead(self, holder: str) -> bool:
        """True where `holder` was a process of this folder and lives no more; what another folder's is, nobody knows.

        Its leases are to be taken over before anything else: its file is removed here.
        """
        if holder == self._holder or not holder.startswith(f"{self._worker}-") or Path(holder).name != holder:
            return False
        path = self._folder / holder
        with disk_errors(f"cannot read {path}"):
            try:
                with path.open("r+b") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink(missing_ok=True)
            except FileNotFoundError:
                return True
            except BlockingIOError:
                return False
        return True

    def close(self) -> None:
        """This process holds no lease any more."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # a file that stays is found unlocked, and means the same
                (self._folder / self._holder).unlink(missing_ok=True)
            self._file.close()
            self._file = None

"""What the rooms of this floor ask of a local disk: durable names, and errors that say what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import DiskError


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn what the operating system says about a disk (full, read-only, input/output error, …) into DiskError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = f"{'free space on' if full else 'mend'} the disk and run the command again"
        raise DiskError(f"{what}: {error.strerror or error}", remedy=remedy) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

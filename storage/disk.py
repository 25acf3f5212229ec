"""What the rooms of this floor ask of a local disk: durable names, and errors that say what to do."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


def write_durably(path: Path, data: bytes) -> None:
    """Write a small file whole or not at all; what stood there stays until the new one is durable. Raises DiskError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with disk_errors(f"cannot write {path}"):
        try:
            with draft.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(draft, path)
            sync_folder(path.parent)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise

"""The audit's own memory of the log: the last checkpoint that it found in order, kept beside the archive.

Catalog and store may be brought back together to an earlier day, or be put in the place of others, without
contradicting each other; against this they show.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from schemas.checkpoints import Checkpoint, Note
from schemas.errors import CheckFailed, DiskError, InvalidValue
from storage.archive import Archive
from storage.disk import disk_errors, write_durably
from storage.fixity.findings import DAMAGED, Findings
from storage.log.monitor import check_consistency, open_signed
from storage.log.tree import CHECKPOINT_KEY, PREFIX

#: Where the last checkpoint is kept, below the archive's folder.
AUDITED_FILE: Final = Path("keys") / "audited"


def check_memory(archive: Archive, findings: Findings) -> None:
    """Compare the published checkpoint with the one that the last audit found in order."""
    path = archive.directory / AUDITED_FILE
    with disk_errors(f"cannot read {path}"):
        data = path.read_bytes() if path.exists() else None
    note = archive.log.checkpoint()
    if data is None:
        return
    keys = (archive.vkey, *archive.log.older_keys())
    try:
        kept = open_signed(data, keys, str(path)) if _origin(data) == archive.log.origin else None
    except (CheckFailed, InvalidValue) as error:
        findings.add(DAMAGED, str(path), f"what the last audit kept is no checkpoint of this log: {error.message}")
        return
    if kept is None:
        return  # of the log before a new origin
    if note is None:
        findings.add(DAMAGED, CHECKPOINT_KEY, f"rolled back: nothing is published, {kept.size} entries were")
        return
    try:
        now = open_signed(note.encode(), keys, CHECKPOINT_KEY)
        if now.size < kept.size:
            raise CheckFailed(f"rolled back to {now.size} entries from {kept.size}, which the last audit saw")
        check_consistency(kept, now, lambda name: archive.store.get(PREFIX + name))
    except (CheckFailed, InvalidValue) as error:
        words = error.message
        if "rolled back" not in words:
            words = f"a fork: it does not continue the {kept.size} entries that the last audit saw ({words})"
        findings.add(DAMAGED, CHECKPOINT_KEY, words)


def remember(archive: Archive) -> None:
    """Keep the published checkpoint: an audit found everything in order.

    A disk that is full or cannot be written to keeps the one before: it is no reason not to audit what is on it.
    """
    note = archive.log.checkpoint()
    if note is not None:
        with suppress(DiskError):
            write_durably(archive.directory / AUDITED_FILE, note.encode())


def _origin(data: bytes) -> str:
    return Checkpoint.parse(Note.parse(data).text).origin

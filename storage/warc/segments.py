"""Segment files: one writer each, appended to, synced, sealed by renaming.

`NAME.warc.gz.open` is being written and its writer holds a flock on it, which the operating system lets go of
when the process ends, however it ends. `NAME.warc.gz` is sealed and never changes again. Which segments there
are, where sealed ones go, and when to rotate is left to `storage.segments`.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from schemas.captures import RecordRef
from schemas.errors import ArchiveLocked, DiskError, InvalidValue, NotFound
from schemas.instants import to_micros, utc
from storage.disk import disk_errors, sync_folder
from storage.warc.drafts import Draft, Entropy, new_record_id
from storage.warc.members import Piece, make_member
from storage.warc.records import NONCE_BYTES, RECORD_END, encode_head, warc_fields
from storage.warc.rules import WARC_FIELDS

#: Name of a file being written, of a sealed one, and of one whose writer has not locked it yet.
OPEN_SUFFIX: Final = ".warc.gz.open"
SEALED_SUFFIX: Final = ".warc.gz"
_NEW_SUFFIX: Final = ".warc.gz.new"
#: Kinds of segments: captures and outlet changes; conversions.
KINDS: Final = ("warc", "text")

_WORKER: Final = re.compile(r"[a-z0-9]{1,40}")
_FILE_MODE: Final = 0o640
#: Pieces given to one write: systems take 1024 at least (IOV_MAX); more are joined before.
_MOST_PIECES: Final = 512
#: Seconds after which an unlocked file that never got its name is what a killed process left: no record was
#: in it.
_STALE: Final = 3600


class SegmentWriter:
    """The one writer of one open segment. Not safe for threads: its owner appends from one at a time."""

    name: str  # without folder or suffix
    path: Path
    size: int  # bytes of whole records in the file
    opened: datetime  # UTC
    warcinfo_id: str
    info_ref: RecordRef  # of the warcinfo record

    def __init__(self, *, name: str, path: Path, descriptor: int, opened: datetime, entropy: Entropy) -> None:
        """Use `create`. `descriptor` is of the empty, locked file; this object owns it from here on."""
        self.name, self.path, self.size, self.opened = name, path, 0, opened
        self.warcinfo_id = new_record_id(entropy, lambda: to_micros(opened) * 1000)
        self._entropy = entropy
        self._descriptor: int | None = descriptor
        self._broken = False

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        kind: str,
        worker: str,
        now: datetime,
        info: Mapping[str, str],
        entropy: Entropy = os.urandom,
    ) -> SegmentWriter:
        """Make a new segment in `folder`, which exists, and write its warcinfo record (durable on return).

        `now` is its date, `info` the fields of the warcinfo (ISO 28500:2017 6.2). Raises DiskError, and
        InvalidValue for an unknown kind, a worker's name that is not `[a-z0-9]`, or info that does not fit on
        a line.
        """
        if kind not in KINDS or _WORKER.fullmatch(worker) is None:
            raise InvalidValue(f"not a kind of segment and a worker's name: {kind[:20]!r}, {worker[:60]!r}")
        opened = utc(now)
        name = f"{kind}-{opened:%Y%m%d%H%M%S}-{worker}-{entropy(4).hex()}"
        block = warc_fields(list(info.items()))
        new, path = folder / (name + _NEW_SUFFIX), folder / (name + OPEN_SUFFIX)
        with disk_errors(f"cannot make segment {path}"):
            _sweep(folder)
            # Locked before it has the name that others look for: at no time does it look abandoned.
            descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, _FILE_MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                writer = cls(name=name, path=path, descriptor=descriptor, opened=opened, entropy=entropy)
                writer.info_ref = writer._write_info(block)
                writer.sync()
                _rename_to_free_name(new, path)
                sync_folder(folder)
            except BaseException:  # whatever went wrong, leave neither descriptor nor half a segment behind
                os.close(descriptor)
                new.unlink(missing_ok=True)
                raise
        return writer

    def append(self, drafts: Sequence[Draft]) -> list[RecordRef]:
        """Write all records of one event with one write; not durable before `sync`.

        Raises InvalidValue where a draft breaks a rule (nothing is written then), and DiskError where the
        disk failed: the file is cut back to its last whole event.
        """
        _check_event(drafts)
        return self._write([(draft, self.warcinfo_id) for draft in drafts])

    def sync(self) -> None:
        """Make durable all that was appended. Raises DiskError, after which nothing more is taken: what the
        system could not write it may have forgotten, so that a second sync would lie.
        """
        descriptor = self._open_descriptor()
        try:
            with disk_errors(f"cannot sync segment {self.path}"):
                os.fdatasync(descriptor)
        except DiskError:
            self._broken = True
            raise

    def seal(self) -> Path:
        """Make the segment durable under its sealed name and close it; the path of the sealed file. Raises
        DiskError.
        """
        descriptor = self._open_descriptor()
        sealed = self.path.with_name(self.name + SEALED_SUFFIX)
        with disk_errors(f"cannot seal segment {self.path}"):
            os.fsync(descriptor)
            os.rename(self.path, sealed)
            sync_folder(sealed.parent)
        self.abandon()
        return sealed

    def abandon(self) -> None:
        """Close without sealing, as a killed process would; the lock goes with it. Safe to call twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def _write_info(self, block: bytes) -> RecordRef:
        draft = Draft(
            type="warcinfo",
            date=self.opened,
            block=block,
            content_type=WARC_FIELDS,
            record_id=self.warcinfo_id,
            extra=(("WARC-Filename", self.name + SEALED_SUFFIX),),
        )
        return self._write([(draft, None)])[0]

    def _write(self, drafts: Sequence[tuple[Draft, str | None]]) -> list[RecordRef]:
        descriptor = self._open_descriptor()
        refs: list[RecordRef] = []
        pieces: list[Piece] = []
        offset = self.size
        for draft, warcinfo_id in drafts:
            head = encode_head(draft, warcinfo_id=warcinfo_id, nonce=self._entropy(NONCE_BYTES))
            member = make_member(head, draft.block, RECORD_END)
            refs.append(
                RecordRef(
                    record_id=draft.record_id,
                    type=draft.type,
                    segment=self.name,
                    offset=offset,
                    length=member.length,
                    digest=_digest_of(head, draft.block),
                )
            )
            pieces += member.pieces
            offset += member.length
        with disk_errors(f"cannot write segment {self.path}"):
            try:
                _write_all(descriptor, pieces)
            except OSError:
                self._cut_back(descriptor)
                raise
        self.size = offset
        return refs

    def _cut_back(self, descriptor: int) -> None:
        """Take back half an event. Where even that fails, write no more: recovery will cut the tail."""
        try:
            os.ftruncate(descriptor, self.size)
        except OSError:
            self._broken = True

    def _open_descriptor(self) -> int:
        if self._descriptor is None or self._broken:
            state = "failed before" if self._broken else "is closed"
            raise DiskError(f"segment {self.path} {state}", remedy="mend the disk and run the command again")
        return self._descriptor


def is_abandoned(path: Path) -> bool:
    """True where nobody locks an open segment: its writer has ended. Raises NotFound, DiskError."""
    with disk_errors(f"cannot look at segment {path}"):
        descriptor = _open_existing(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
    return True


def cut_tail(path: Path, good: int) -> int:
    """Cut an abandoned open segment back to its first `good` bytes, durably; the number of bytes cut.

    Raises ArchiveLocked where its writer lives, NotFound, DiskError, and InvalidValue where the file is
    shorter.
    """
    with disk_errors(f"cannot cut segment {path}"):
        descriptor = _open_existing(path, os.O_RDWR)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ArchiveLocked(f"segment {path} is being written by another process") from error
            size = os.fstat(descriptor).st_size
            if not 0 <= good <= size:
                raise InvalidValue(f"segment {path} has {size} bytes and cannot be cut to {good}")
            if good < size:
                os.ftruncate(descriptor, good)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return size - good


def _open_existing(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags)
    except FileNotFoundError as error:
        raise NotFound(f"there is no segment {path}") from error


def _sweep(folder: Path) -> None:
    """Remove files that killed processes began and never named."""
    for path in folder.glob("*" + _NEW_SUFFIX):
        with suppress(OSError, NotFound, DiskError):  # another process may sweep too; nothing depends on this
            if path.stat().st_mtime < time.time() - _STALE and is_abandoned(path):
                path.unlink()


def _rename_to_free_name(new: Path, path: Path) -> None:
    """Rename, but never over a segment, open or sealed. Raises FileExistsError."""
    for taken in (path, path.with_suffix("")):
        if taken.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(taken))
    os.rename(new, path)


def _write_all(descriptor: int, pieces: Sequence[Piece]) -> None:
    """One write; more only where the system takes less at once."""
    if len(pieces) > _MOST_PIECES:
        pieces = (b"".join(pieces),)
    written, whole = os.writev(descriptor, pieces), sum(map(len, pieces))
    if written == whole:
        return
    view = memoryview(b"".join(pieces))[written:]
    while view:
        view = view[os.write(descriptor, view) :]


def _digest_of(head: bytes, block: bytes) -> str:
    """The record digest (`schemas.records.record_digest`), without the record being put together for it."""
    digest = hashlib.sha256(head)
    digest.update(block)
    digest.update(RECORD_END)
    return f"sha256:{digest.hexdigest()}"


def _check_event(drafts: Sequence[Draft]) -> None:
    """Records that name one another as concurrent are all in the event and share its date (ISO 28500:2017
    5.4, 5.7).
    """
    dates = {draft.record_id: draft.date for draft in drafts}
    if len(dates) != len(drafts):
        raise InvalidValue("two records of one event have the same id")
    for draft in drafts:
        for other in draft.concurrent_to:
            if other not in dates:
                raise InvalidValue(f"WARC-Concurrent-To names {other}, which is not written with its event")
            if dates[other] != draft.date:
                raise InvalidValue("records of one event shall share one WARC-Date (ISO 28500:2017 5.4)")

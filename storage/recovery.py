"""What a start mends: torn tails, records without rows, segments that a dead process left, uploads that stopped.

A crash leaves orphans, never dangling references: records that were synced but whose rows were not committed get their
rows and entries here; an event that is not whole was never acknowledged and is cut off, and the cut is logged. Damage
inside what was acknowledged is not mended here but found by `storage.fixity`.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from schemas.articles import Article
from schemas.checkpoints import Note
from schemas.entries import Entry
from schemas.errors import ClockError, DamageError, DiskError, InvalidValue, LogForkRisk, StoreError
from schemas.instants import from_micros, rfc3339, to_micros
from storage import events
from storage.archive import CHECKPOINT_FILE, Archive
from storage.catalog import Tx
from storage.disk import disk_errors
from storage.events import Event
from storage.lock import mending
from storage.log import anchors
from storage.log.sequencer import append
from storage.log.tree import CHECKPOINT_KEY
from storage.redaction.resume import resume
from storage.segments import fsync_rename, hash_stream, object_key
from storage.warc import OPEN_SUFFIX, SEALED_SUFFIX, cut_tail, is_abandoned, scan_segment

#: Seconds that a clock may lie behind the last WARC-Date: two machines that share a catalog never agree quite.
CLOCK_TOLERANCE: Final = 5
#: Captures that are looked at for the last date: they are in the order of their logging, which is nearly that of dates.
LOOKED_AT: Final = 1000


def recover(archive: Archive) -> list[str]:
    """Bring folder and catalog together after a stop at any moment; says in sentences what was done.

    Raises LogForkRisk where the log must not be written, ClockError where the clock runs before the last capture,
    DiskError, StoreError.
    """
    _check_clock(archive)
    archive.log.check_start(_known_heads(archive))
    said: list[str] = []
    with mending(archive.directory):
        for path in archive.segments.left_open():
            if is_abandoned(path):
                said += _finish(archive, path)
        for path in archive.segments.waiting():
            if _store(archive, path):
                said.append(f"stored segment {path.name.removesuffix(SEALED_SUFFIX)}")
        said += _losses(archive)
        if filled := archive.traces.refill():
            said.append(f"indexed {filled} article versions for trace, whose index an older Pressmark had made")
    return said + _redactions(archive)


def _redactions(archive: Archive) -> list[str]:
    """Complete what redactions are logged and not done; a store that cannot be reached stops no other work."""
    progress = resume(archive)
    said = [f"completed the redaction of log entry {index}" for index in progress.done]
    return said + [f"a redaction waits: {sentence}" for sentence in progress.pending]


def _check_clock(archive: Archive) -> None:
    """Nothing is dated before what is there already. Raises ClockError."""
    with archive.catalog.read() as tx:
        last = tx.captures.latest(LOOKED_AT)
    now = to_micros(archive.clock())
    if last is not None and now + CLOCK_TOLERANCE * 1_000_000 < last:
        raise ClockError(
            f"this machine's clock says {rfc3339(from_micros(now))}, the last capture was made at "
            f"{rfc3339(from_micros(last))}",
            remedy="set the clock right and run it again",
        )


def _known_heads(archive: Archive) -> list[tuple[str, Note]]:
    """Checkpoints of this log that are known beside the published one: what was signed here, stamped, cosigned."""
    path = archive.directory / CHECKPOINT_FILE
    heads = anchors.largest_kept(archive.store)
    try:
        with disk_errors(f"cannot read {path}"):
            heads.append((str(path), Note.parse(path.read_bytes()))) if path.exists() else None
    except InvalidValue as error:
        raise LogForkRisk(
            f"{path} is no checkpoint: {error.message}",
            remedy="bring it back from a backup, or take it away if there is none",
        ) from error
    return heads + _mirrored_heads(archive)


def _mirrored_heads(archive: Archive) -> list[tuple[str, Note]]:
    """What a mirror knows. One that cannot be reached, or is damaged, stops nothing: `audit` tells of it."""
    with contextlib.suppress(StoreError, DiskError, DamageError):
        mirror = archive.mirror()
        if mirror is None:
            return []
        heads = [(f"{key} in the mirror", note) for key, note in anchors.largest_kept(mirror)]
        if mirror.exists(CHECKPOINT_KEY):
            heads.append((f"{CHECKPOINT_KEY} in the mirror", anchors.read_note(mirror, CHECKPOINT_KEY)))
        return heads
    return []


def _store(archive: Archive, path: Path) -> bool:
    """Put a sealed segment to the store; False where the process that sealed it was quicker."""
    try:
        archive.segments.put(path)
    except (DiskError, StoreError):
        with archive.catalog.read() as tx:
            row = tx.segments.get(path.name.removesuffix(SEALED_SUFFIX))
        if path.exists() or row is None or row.state != "sealed":
            raise
        return False
    return True


def _finish(archive: Archive, path: Path) -> list[str]:
    """Cut, complete and seal one segment that nobody writes any more."""
    name = path.name.removesuffix(OPEN_SUFFIX)
    said, end, some = [], 0, False
    with disk_errors(f"cannot read {path}"), path.open("rb") as stream:
        stored, scan = scan_segment(stream, name=name)
        for event in events.group((s, s.ref) for s in stored):
            end, some = event.end, some or event.kind != "other"
            if complete(archive, event):
                said.append(f"acknowledged {event.kind} {event.id}, which was on disk without a row")
    if not some:
        return said + _drop(archive, path, name)
    was = _digest(path)
    with disk_errors(f"cannot cut {path}"):
        lost = cut_tail(path, end)
    if lost:
        fields = {"code": "torn-tail", "name": name, "was": was, "now": _digest(path)}
        with archive.catalog.begin() as tx:
            append(tx, Entry(type="repair", fields=fields), subject=name)
        why = f" ({scan.problem})" if scan.problem else ""
        said.append(f"cut {lost} bytes of an unfinished record off segment {name}{why}")
    fsync_rename(path, path.with_name(name + SEALED_SUFFIX))
    return said


def _digest(path: Path) -> str:
    with disk_errors(f"cannot read {path}"), path.open("rb") as stream:
        return hash_stream(stream)[0]


def _drop(archive: Archive, path: Path, name: str) -> list[str]:
    """Forget a segment that holds nothing but its warcinfo, or not even that."""
    with archive.catalog.begin() as tx:
        tx.segments.forget(name)
    with disk_errors(f"cannot remove {path}"):
        path.unlink()
    return [f"removed segment {name}, in which nothing had been kept"]


def complete(archive: Archive, event: Event) -> bool:
    """Give an event its rows and entry where it has none; True where that was so."""
    with archive.catalog.read() as tx:
        if all(tx.records.get(ref.record_id) is not None for _, ref in event.records):
            return False
    if event.kind == "capture":
        archive.acknowledge([event])
    elif event.kind == "outlet":
        archive.acknowledge_outlet(event)
    elif event.kind == "import":
        archive.acknowledge_import(event)
    elif event.kind == "article":
        _complete_article(archive, event)
    else:
        with archive.catalog.begin() as tx:
            tx.records.add([r for r in event.rows() if tx.records.get(r.record_id) is None])
    return True


def _complete_article(archive: Archive, event: Event) -> None:
    view = event.records[-1][0]
    with archive.catalog.read() as tx:
        capture = tx.captures.get(view.header("WARC-Refers-To") or "")
    if capture is None:
        raise DamageError(
            f"conversion {event.id} refers to a capture that the catalog lacks",
            remedy="run `pressmark rebuild`",
        )
    archive.acknowledge_article(event, Article.from_block(view.block), capture)


def _losses(archive: Archive) -> list[str]:
    """Open segments of this folder whose file is gone: the loss is logged, once."""
    said = []
    with archive.catalog.read() as tx:
        rows = [s for s in tx.segments.all("open") if s.worker == archive.worker]
    for row in rows:
        if archive.segments.locate(row.name) is None and not archive.store.exists(object_key(row.name)):
            with archive.catalog.begin() as tx:
                _log_loss(tx, row.name)
            said.append(
                f"segment {row.name} is gone from this disk: its records are lost, and the log says so"
            )
    return said


def _log_loss(tx: Tx, name: str) -> None:
    append(tx, Entry(type="loss", fields={"name": name, "code": "segment-missing"}), subject=name)
    tx.segments.lost(name)

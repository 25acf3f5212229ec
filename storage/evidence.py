"""Evidence bundles: which records and entries prove a capture, an article or a snapshot.

Gathers what stands in the archive and the log; how a bundle is laid out and checked is left to `schemas.bundle_layout`
and `schemas.bundles`, which a stranger has.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.bundle_layout import BundleEntry, BundleRecord, Subject, build_bundle
from schemas.captures import Capture
from schemas.checkpoints import Note, VerifierKey
from schemas.entries import Entry
from schemas.errors import DamageError, NotFound
from schemas.standalone import verify_source
from storage.archive import Archive
from storage.catalog.values import SnapshotRow, VersionRow
from storage.imports import FILE_URN
from storage.log import anchors
from storage.log.handover import handover_key


@dataclass(kw_only=True, slots=True)
class _Parts:
    records: list[BundleRecord] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    bare: list[int] = field(default_factory=list)
    manifest: tuple[int, bytes] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Head:
    """The checkpoint that a bundle proves by, and who vouches for it."""

    note: bytes
    witnesses: tuple[VerifierKey, ...] = ()
    timestamp: dict[str, bytes] = field(default_factory=dict)


def prove(archive: Archive, text: str, *, stamped: bool = False) -> bytes:
    """The evidence bundle (a zip) of a capture id, an article id (`@VERSION` for an older one), NAME/VERSION of a
    snapshot, `sha256:HEX` of an imported file, or `redaction/INDEX`.

    It proves by the earliest stamped or cosigned checkpoint that covers it all (the earliest stamped one, with
    `stamped`), else by the newest. Raises NotFound where there is nothing of that id, it is not under a checkpoint yet,
    or no stamped one covers it where one is asked for; DamageError.
    """
    archive.integrate()
    subject, parts = _gather(archive, text)
    indices = sorted({*parts.indices, *parts.bare})
    head = _head(archive, indices[-1] + 1, stamped=stamped)
    return build_bundle(
        subject=subject,
        vkey=archive.vkey,
        checkpoint=head.note,
        records=parts.records,
        entries=[_entry(archive, index, head.note) for index in indices],
        verify_py=verify_source(),
        manifest=parts.manifest,
        bare=parts.bare,
        witnesses=head.witnesses,
        timestamp=head.timestamp,
        handovers=_handovers(archive),
    )


def _head(archive: Archive, size: int, *, stamped: bool) -> _Head:
    """The earliest checkpoint of at least that size that somebody vouches for, else the newest."""
    store = archive.store
    for anchor in anchors.anchors_from(archive.catalog, size):
        if stamped and not anchor.stamps:
            continue
        note = anchors.kept_note(store, anchor)
        if anchors.origin_of_note(note) != archive.log.origin:
            continue  # of the log before a new origin: it is another key's
        return _Head(
            note=archive.log.resigned(note).encode(),
            witnesses=tuple(witness for witness, _ in anchors.cosignatures(store, anchor)),
            timestamp=_numbered(anchors.stamp_files(store, anchor)),
        )
    if stamped:
        raise NotFound(
            f"no checkpoint of {size} entries or more is stamped yet", remedy="run `pressmark log stamp`, see `status`"
        )
    published = archive.log.head()
    if published is None:
        raise NotFound("no checkpoint was published yet", remedy="run `pressmark log checkpoint`")
    note = Note.parse(published)
    return _Head(note=Note(text=note.text, signatures=tuple(note.by(archive.vkey))).encode())


def _numbered(sets: dict[str, dict[str, bytes]]) -> dict[str, bytes]:
    """The files of several timestamps as a bundle names them: response.tsr, then response-2.tsr, …"""
    found = {}
    for number, files in enumerate(sets.values(), 1):
        for name, data in files.items():
            stem, _, ending = name.rpartition(".")
            found[name if number == 1 else f"{stem}-{number}.{ending}"] = data
    return found


def _handovers(archive: Archive) -> list[BundleEntry]:
    """How older keys of this log handed over, with the proof that each of them signed."""
    found = []
    for index in archive.log.handovers():
        proof = archive.store.get(handover_key(index))
        found.append(BundleEntry(index=index, entry=archive.log.entry_bytes(index), proof=proof))
    return found


def _gather(archive: Archive, text: str) -> tuple[Subject, _Parts]:
    parts = _Parts()
    if (number := text.removeprefix("redaction/")) != text:
        return _gather_redaction(archive, number)
    if text.startswith(("sha256:", FILE_URN)):
        return _gather_import(archive, text.removeprefix(FILE_URN))
    version, capture, snapshot = resolve(archive, text)
    if version is not None:
        _add_article(archive, parts, version)
        return Subject(kind="article", id=version.article_id), parts
    if capture is not None:
        _add_capture(archive, parts, capture)
        return Subject(kind="capture", id=capture.id), parts
    assert snapshot is not None
    parts.indices.append(snapshot.log_index)
    parts.manifest = (snapshot.log_index, archive.store.get(f"{snapshot.prefix}manifest.json"))
    return Subject(kind="snapshot", id=f"{snapshot.name}/{snapshot.version}"), parts


def _gather_redaction(archive: Archive, number: str) -> tuple[Subject, _Parts]:
    """A redaction by its log index; the record of its reasons too, while that is here."""
    index = int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else -1
    with archive.catalog.read() as tx:
        row = tx.log.entry(index) if index >= 0 else None
        if row is None or row.type != "redaction":
            raise NotFound(f"log entry {number} is no redaction", remedy="see `pressmark log entries`")
        digest = Entry.decode(row.body).records.get("resource")
        record = tx.records.by_digest(digest) if digest is not None else None
    parts = _Parts(bare=[index])
    if record is not None:
        member = archive.segments.member(record)
        parts.records.append(BundleRecord(role="resource", index=index, member=member))
    return Subject(kind="redaction", id=str(index)), parts


def _gather_import(archive: Archive, digest: str) -> tuple[Subject, _Parts]:
    """A stranger's file, by its digest: our metadata record on it. The file itself is not in the bundle."""
    with archive.catalog.read() as tx:
        for row in tx.log.holding("import", digest):
            record = tx.records.by_digest(Entry.decode(row.body).records["metadata"])
            if record is not None and record.target_uri == FILE_URN + digest:  # not that of a capture in it
                break
        else:
            raise NotFound(f"no file of the digest {digest} was imported", remedy="give sha256:HEX of the file")
    parts = _Parts(indices=[row.index])
    parts.records.append(BundleRecord(role="metadata", index=row.index, member=archive.segments.member(record)))
    return Subject(kind="import", id=record.record_id), parts


def resolve(archive: Archive, text: str) -> tuple[VersionRow | None, Capture | None, SnapshotRow | None]:
    """What an id names: exactly one of the three is given. Raises NotFound."""
    name, _, number = text.partition("@")
    record_id = text if text.startswith("urn:uuid:") else f"urn:uuid:{text.lower()}"
    with archive.catalog.read() as tx:
        if (not number or number.isdecimal()) and (
            version := tx.articles.get(name, int(number) if number else None)
        ) is not None:
            return version, None, None
        if (capture := tx.captures.get(record_id)) is not None:
            return None, capture, None
        row = tx.records.get(record_id)
        if row is not None and row.event_id is not None:
            if (capture := tx.captures.get(row.event_id)) is not None:
                return None, capture, None
            if (version := tx.articles.by_conversion(row.record_id)) is not None:
                return version, None, None
        dataset, _, edition = text.partition("/")
        if (snapshot := tx.snapshots.get(dataset, edition or None)) is not None:
            return None, None, snapshot
    raise NotFound(f"nothing here has the id {text!r}", remedy="give an id that `articles --json` prints")


def _add_article(archive: Archive, parts: _Parts, version: VersionRow) -> None:
    with archive.catalog.read() as tx:
        capture = tx.captures.get(version.capture_id)
    if capture is None:
        raise DamageError(
            f"article {version.article_id} points at a capture that the catalog lacks",
            remedy="run `pressmark rebuild`",
        )
    parts.records.append(
        BundleRecord(role="conversion", index=version.log_index, member=archive.member(version.conversion_id))
    )
    parts.indices.append(version.log_index)
    _add_capture(archive, parts, capture)


def _add_capture(archive: Archive, parts: _Parts, capture: Capture) -> None:
    """Its records; for a revisit, those of the original too."""
    if capture.log_index is None:
        raise NotFound(f"capture {capture.id} is not in the log yet", remedy="try again in some seconds")
    with archive.catalog.read() as tx:
        rows = tx.captures.records_of(capture.id)
        original = (
            tx.captures.get(capture.refers_to) if capture.kind == "revisit" and capture.refers_to else None
        )
    for row in rows:
        parts.records.append(
            BundleRecord(role=row.type, index=capture.log_index, member=archive.segments.member(row))
        )
    parts.indices.append(capture.log_index)
    if original is not None:
        _add_capture(archive, parts, original)


def _entry(archive: Archive, index: int, note: bytes) -> BundleEntry:
    return BundleEntry(
        index=index, entry=archive.log.entry_bytes(index), proof=archive.log.tlog_proof(index, note).encode()
    )

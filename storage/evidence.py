"""Evidence bundles: which records and entries prove a capture, an article or a snapshot.

Gathers what stands in the archive and the log; how a bundle is laid out and checked is left to `schemas.bundle_layout`
and `schemas.bundles`, which a stranger has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from schemas.bundle_layout import BundleEntry, BundleRecord, Subject, build_bundle
from schemas.captures import Capture
from schemas.errors import DamageError, NotFound
from schemas.proofs import LogProof
from schemas.standalone import verify_source
from storage.archive import Archive
from storage.catalog.values import SnapshotRow, VersionRow

#: Times that proofs are made anew because another process published a checkpoint in between.
TRIES: Final = 5


@dataclass(kw_only=True, slots=True)
class _Parts:
    records: list[BundleRecord] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    manifest: tuple[int, bytes] | None = None


def prove(archive: Archive, text: str) -> bytes:
    """The evidence bundle (a zip) of a capture id, an article id (`@VERSION` for an older one) or NAME/VERSION.

    Raises NotFound where there is nothing of that id, or it is not under a checkpoint yet; DamageError.
    """
    archive.integrate()
    subject, parts = _gather(archive, text)
    for _ in range(TRIES):
        entries = [_entry(archive, index) for index in sorted(set(parts.indices))]
        notes = {LogProof.parse(e.proof).checkpoint for e in entries}
        if len(notes) == 1:
            return build_bundle(
                subject=subject,
                vkey=archive.vkey,
                checkpoint=notes.pop(),
                records=parts.records,
                entries=entries,
                verify_py=verify_source(),
                manifest=parts.manifest,
            )
    raise NotFound("the log grows too fast to prove this now", remedy="try again")


def _gather(archive: Archive, text: str) -> tuple[Subject, _Parts]:
    parts = _Parts()
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


def _entry(archive: Archive, index: int) -> BundleEntry:
    return BundleEntry(
        index=index, entry=archive.log.entry_bytes(index), proof=archive.log.tlog_proof(index).encode()
    )

"""Closing and opening access: reversible, logged, and known again after a rebuild.

The entry names digests; for which article or capture it holds stands in a `resource` record, whose digest the entry
has. An article's restriction holds for versions that come later, too.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Final

from schemas import canonical
from schemas.entries import CLOSED, LIFTED, Entry, restriction_entry
from schemas.errors import InvalidValue, NotFound, UsageError
from schemas.instants import parse_rfc3339, rfc3339, to_micros
from storage.archive import Archive
from storage.catalog import RestrictionRow, Tx
from storage.log.sequencer import append
from storage.warc import Draft

FORMAT: Final = "pressmark-restriction/1"
URN: Final = "urn:pressmark:restriction:"


def restrict(
    archive: Archive,
    text: str,
    *,
    until: datetime | None = None,
    lift: bool = False,
    code: str | None = None,
    note: str | None = None,
) -> int:
    """Restrict an article or capture, or lift that; the index of the log entry.

    Raises NotFound, UsageError where there is nothing to lift or `until` has passed, CatalogError, DiskError.
    """
    if until is not None and until <= archive.clock():
        raise UsageError(f"{rfc3339(until)} has passed already", remedy="give a later date, or none")
    with archive.catalog.read() as tx:
        subject, digests = _subject(tx, text)
        known = any(row.subject == subject for row in tx.restrictions.all())
    if lift and not known:
        raise UsageError(f"{text} is not restricted", remedy="see `pressmark restrict --list`")
    block: dict[str, Any] = {"format": FORMAT, "note": note, "subject": subject}
    event = archive.write_alone(
        Draft(
            type="resource",
            date=archive.clock(),
            content_type="application/json",
            block=canonical.dumps(block),
            target_uri=f"{URN}{uuid.uuid4()}",
        )
    )
    entry = restriction_entry(
        change=LIFTED if lift else CLOSED,
        targets=digests,
        resource=event.digests()["resource"],
        code=code,
        until=until,
    )
    with archive.catalog.begin() as tx:
        index = append(tx, entry, subject=subject)
        tx.records.add(event.rows())
        apply(tx, index, entry, subject)
    return index


def apply(tx: Tx, index: int, entry: Entry, subject: str) -> None:
    """What an entry changes, at once and at a rebuild."""
    if entry.fields["change"] == LIFTED:
        tx.restrictions.lift(subject)
        return
    until = entry.fields.get("until")
    tx.restrictions.close(
        RestrictionRow(
            subject=subject,
            log_index=index,
            code=entry.fields.get("code"),
            until=to_micros(parse_rfc3339(until)) if until is not None else None,
        )
    )


def subject_of(block: bytes) -> str:
    """For what a restriction holds, from the block of its record. Raises InvalidValue."""
    value = canonical.loads(block)
    subject = value.get("subject") if isinstance(value, dict) and value.get("format") == FORMAT else None
    if not isinstance(subject, str):
        raise InvalidValue("not a record on a restriction")
    return subject


def _subject(tx: Tx, text: str) -> tuple[str, list[str]]:
    """(article id or capture id, digests of its records). Raises NotFound."""
    name = text.partition("@")[0]
    versions = tx.articles.versions(name)
    if versions:
        if "@" in text:
            remedy = f"restrict {name}, or the capture of that version"
            raise UsageError("a restriction holds for all versions of an article", remedy=remedy)
        rows = [tx.records.get(version.conversion_id) for version in versions]
        return name, sorted({row.digest for row in rows if row is not None})
    for record_id in (text, f"urn:uuid:{text.lower()}"):
        capture = tx.captures.get(record_id)
        if capture is not None:
            return capture.id, sorted({row.digest for row in tx.captures.records_of(capture.id)})
    raise NotFound(f"nothing here has the id {text!r}", remedy="give an id that `articles --json` prints")

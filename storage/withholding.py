"""What must not be shown: restricted just now, or redacted. Asked by every door, before it opens.

Restrictions and redactions are made in `storage.redaction`; until one is complete, what it names is withheld already.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.captures import Capture
from schemas.errors import Withheld
from schemas.instants import from_micros, rfc3339, to_micros
from storage.archive import Archive
from storage.catalog import RestrictionRow, Tx
from storage.catalog.values import VersionRow


def withheld_among(archive: Archive, tx: Tx, versions: Iterable[VersionRow]) -> dict[int, str]:
    """Why versions are not to be shown, `restricted` or `redacted`, by their log index; others are not in it."""
    rows = list(versions)
    now = to_micros(archive.clock())
    if not rows or not tx.restrictions.any(now):
        return {}
    subjects = {subject for row in rows for subject in (row.article_id, row.capture_id)}
    closed = tx.restrictions.among(subjects, now)
    found = {row.log_index: "restricted" for row in rows if row.article_id in closed or row.capture_id in closed}
    if tx.redactions.all("pending"):
        for row in rows:
            if any(tx.redactions.by_record(record) for record in (row.conversion_id, row.capture_id)):
                found[row.log_index] = "redacted"
    return found


def refuse_restricted(archive: Archive, *, version: VersionRow | None = None, capture: Capture | None = None) -> None:
    """Raises Withheld where an article or capture is restricted, or named by a redaction that is not done yet."""
    ids = [version.article_id, version.capture_id] if version is not None else []
    ids += [capture.id] if capture is not None else []
    with archive.catalog.read() as tx:
        found = tx.restrictions.among(ids, to_micros(archive.clock()))
        for row in found.values():
            raise Withheld(sentence(row))
        records = [version.conversion_id] if version is not None else []
        records += [capture.id] if capture is not None else []
        for record_id in records:
            erased = tx.redactions.by_record(record_id)
            if erased is not None:
                raise withheld(tx, record_id, erased.log_index)


def refuse_redacted(archive: Archive, text: str) -> None:
    """Raises Withheld where what an id or URL named was redacted, or is about to be."""
    with archive.catalog.read() as tx:
        index = archive.blocklist.redacted(tx, text)
        if index is not None:
            raise withheld(tx, text, index)


def withheld(tx: Tx, text: str, index: int) -> Withheld:
    """What to say of something redacted."""
    row = tx.redactions.get(index)
    why = f", for {row.code}, by {row.authority}" if row is not None else ""
    return Withheld(f"{text} was redacted{why} (log entry {index})", remedy=f"see `pressmark log entries {index}`")


def sentence(row: RestrictionRow) -> str:
    """What to say of something restricted."""
    until = f" until {rfc3339(from_micros(row.until))}" if row.until is not None else ""
    code = f" for {row.code}" if row.code else ""
    return f"{row.subject} is restricted{until}{code} (451; log entry {row.log_index})"

"""Logging what shall go, before anything goes: from here on it is refused to readers, and a stop loses nothing.

In one transaction: the `redaction` entries, what each names, and the keyed marks of what must not come back. What
people said of it, and what was kept by choice, stands in a record of its own that can be redacted in its turn.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas import canonical
from schemas.entries import SCOPES, Entry, redaction_entry
from schemas.errors import NotFound, UsageError
from storage.archive import Archive
from storage.blocklist import Marker
from storage.catalog import ErasedRow, RecordRow, RedactionRow, Tx
from storage.log.sequencer import append
from storage.redaction.closure import OWN, find_closure, include
from storage.redaction.values import Closure, Quote, Request
from storage.warc import Draft

NOTE_FORMAT: Final = "pressmark-redaction/1"
NOTE_URN: Final = "urn:pressmark:redaction:"
#: Record digests of one entry: 74 bytes each, of 65,535 that an entry may have.
MAX_TARGETS: Final = 800
#: Characters of what people say of a redaction.
MAX_NOTE: Final = 10_000
#: In place of an id: all that was not named.
ALL: Final = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A closure with the choices on what quotes it."""

    request: Request
    closure: Closure
    kept: tuple[Quote, ...]
    included: tuple[Quote, ...]
    open: tuple[Quote, ...]  # quotes of the text that no choice was made on


def plan(archive: Archive, request: Request) -> Plan:
    """What would go. Raises NotFound, UsageError for a scope, code or id that is none."""
    if request.scope not in SCOPES:
        raise UsageError(f"{request.scope!r} is no scope", remedy=f"give one of {', '.join(SCOPES)}")
    if len(request.note or "") > MAX_NOTE:
        raise UsageError(f"a note of more than {MAX_NOTE} characters", remedy="shorten it")
    redaction_entry(  # checks the codes before anything is looked for
        code=request.code, authority=request.authority, targets=[f"sha256:{'0' * 64}"], scope=request.scope
    )
    closure = find_closure(archive, request.id, request.scope)
    known = {quote.id for quote in closure.quotes}
    if strange := sorted({*request.keep, *request.include} - known - {ALL}):
        raise UsageError(f"{strange[0]} does not quote it", remedy="see --dry-run for what does")
    if both := sorted(set(request.keep) & set(request.include)):
        raise UsageError(f"{both[0]} is to be kept and to go", remedy="name it once")
    kept, included, undecided = [], [], []
    for quote in closure.quotes:
        if quote.id in request.include or (ALL in request.include and quote.id not in request.keep):
            included.append(quote)
        elif quote.id in request.keep or ALL in request.keep or quote.how == "link":
            kept.append(quote)
        else:
            undecided.append(quote)
    include(archive, closure, included)
    return Plan(request=request, closure=closure, kept=tuple(kept), included=tuple(included), open=tuple(undecided))


def log_intent(archive: Archive, plan: Plan) -> list[int]:
    """Log a plan; the indices of its entries. Raises UsageError where a choice is missing, CatalogError, DiskError."""
    if plan.open:
        names = ", ".join(quote.id for quote in plan.open[:3]) + (" and others" if len(plan.open) > 3 else "")
        raise UsageError(
            f"{len(plan.open)} other captures or articles quote the text ({names})",
            remedy="choose for each: --keep ID or --include ID, or `all` for the rest; --dry-run lists them",
        )
    marker = Marker.load_or_make(archive.directory)
    draft = _note(archive, plan)
    event = archive.write_alone(draft) if draft is not None else None
    with archive.catalog.begin() as tx:
        tx.log.lock()
        targets = _targets(tx, plan.closure)
        if not targets:
            raise NotFound("all of it was redacted before", remedy="see `pressmark log entries`")
        if event is not None:
            tx.records.add(event.rows())
        resource = None if event is None else event.digests()["resource"]
        indices = []
        for first in range(0, len(targets), MAX_TARGETS):
            some = targets[first : first + MAX_TARGETS]
            indices.append(_log(tx, plan.request, some, resource))
        tx.redactions.block(_marks(marker, plan.closure), indices[0])
    return indices


def find_late(archive: Archive, plan: Plan) -> Plan | None:
    """What a crawl kept of the same payload between the plan and its entry; None where it kept nothing."""
    went = [capture for capture, _ in plan.closure.captures.values()]
    digests = {c.payload_digest for c in went if c.payload_digest is not None and c.payload_length != 0}
    closure = Closure(scope=plan.closure.scope)
    with archive.catalog.read() as tx:
        found = tx.removals.referring(plan.closure.captures)
        if plan.closure.scope != "record":
            found += [c for c in tx.removals.with_payload(digests) if c.status and 200 <= c.status < 300]
        new = [capture for capture in found if tx.redactions.by_record(capture.id) is None]
        for capture in new:
            closure.captures[capture.id] = (capture, "kept meanwhile")
            for row in tx.articles.for_capture(capture.id):
                closure.versions[row.row_id or 0] = (row, "read from it")
    if not new:
        return None
    return Plan(request=plan.request, closure=closure, kept=(), included=(), open=())


def _log(tx: Tx, request: Request, targets: Sequence[ErasedRow], resource: str | None) -> int:
    index = append(
        tx,
        redaction_entry(
            code=request.code,
            authority=request.authority,
            targets=[target.digest for target in targets],
            scope=request.scope,
            resource=resource,
        ),
        subject=None,
    )
    row = RedactionRow(
        log_index=index, state="pending", code=request.code, authority=request.authority, scope=request.scope
    )
    tx.redactions.add(
        row,
        [
            ErasedRow(digest=t.digest, log_index=index, place=place, record_id=t.record_id, role=t.role, entry=t.entry)
            for place, t in enumerate(targets)
        ],
    )
    return index


def _targets(tx: Tx, closure: Closure) -> list[ErasedRow]:
    """The records that go, each once; those that a redaction names already are left out."""
    events = [*closure.captures, *(version.conversion_id for version, _ in closure.versions.values())]
    rows: dict[str, RecordRow] = {}
    for event_id in events:
        rows.update({row.digest: row for row in tx.records.of_event(event_id)})
    rows.update({row.digest: row for row, _ in closure.alone.values()})
    before = tx.redactions.digests(rows)
    found = []
    for row in rows.values():
        if row.digest not in before:
            entry = tx.log.find(row.event_id) if row.event_id is not None else None
            role = _role(entry.body, row.digest) if entry is not None else row.type
            index = entry.index if entry is not None else None
            found.append(
                ErasedRow(digest=row.digest, log_index=0, place=0, record_id=row.record_id, role=role, entry=index)
            )
    return found


def _role(body: bytes, digest: str) -> str | None:
    return next((role for role, value in Entry.decode(body).records.items() if value == digest), None)


def _marks(marker: Marker, closure: Closure) -> set[str]:
    """What must not come back. Addresses only where more goes than one capture of them."""
    found: set[str] = set()
    for capture, _ in closure.captures.values():
        if capture.payload_digest is not None and capture.payload_length != 0:
            found.add(marker.payload(capture.payload_digest))
        if closure.scope != "record" and capture.role in OWN and capture.id not in closure.extras:
            found |= {marker.url(url) for url in (capture.url, capture.item_url) if url}
    for version, _ in closure.versions.values():
        found.add(marker.article(version.article_id))
        found.add(marker.version(version.article_id, version.extractor, version.version))
        if closure.scope != "record" and version.capture_id not in closure.extras:
            found |= {marker.url(version.url), marker.url(version.canonical_url), marker.text(version.text_sha256)}
    return found


def _note(archive: Archive, plan: Plan) -> Draft | None:
    """The record of choices and words; None where there are neither."""
    request = plan.request
    if not (request.note or plan.kept or plan.included):
        return None
    block: dict[str, Any] = {
        "format": NOTE_FORMAT,
        "kept": [quote.id for quote in plan.kept],
        "included": [quote.id for quote in plan.included],
        "note": request.note,
    }
    return Draft(
        type="resource",
        date=archive.clock(),
        content_type="application/json",
        block=canonical.dumps(block),
        target_uri=f"{NOTE_URN}{uuid.uuid4()}",
    )

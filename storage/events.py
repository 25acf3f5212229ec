"""From an exchange to WARC records, and from records back to the rows that point at them.

One capture event is request, response (or revisit) and metadata, in this order in one segment; the metadata record,
written last, makes the event whole. All that the catalog knows of a capture is read from these records alone, by the
same functions at deposit, at recovery and at rebuild, so that the three agree. Writing and reading segments is left to
`storage.warc`, the order of durable steps to `storage.archive`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Protocol

from schemas import canonical
from schemas.articles import Article
from schemas.captures import Capture, Context, Ending, Exchange, RecordRef, Role
from schemas.digests import Digest
from schemas.errors import InvalidValue
from schemas.http1 import ResponseView, parse_response, parse_response_head, plain_payload
from schemas.instants import parse_warc_date, to_micros, warc_date
from schemas.outlets import OutletChange
from schemas.urls import join
from storage import imports
from storage.catalog.values import RecordRow
from storage.statements import print_statement, read_statement
from storage.warc import (
    PROFILE_IDENTICAL,
    PROFILE_NOT_MODIFIED,
    TOMBSTONE,
    WARC_FIELDS,
    Draft,
    new_record_ids,
    tombstone_of,
)

CAPTURE_FORMAT: Final = "pressmark-capture/1"
JSON_TYPE: Final = "application/json"
PEM_CHAIN_TYPE: Final = "application/pem-certificate-chain"  # RFC 8555 section 9.1
#: What the target of a certificate chain's record begins with, and the catalog's note of where it stands; the digest
#: that names it follows.
CHAIN_URN: Final = "urn:pressmark:certificate-chain:"
CHAIN_META: Final = "chain "
#: A redirect target longer than this is not followed and not kept in the catalog (bytes of UTF-8; the record has it).
MAX_LOCATION: Final = 8192
#: Certificate chains whose digest is remembered: one for each host that is crawled just now.
_CHAINS: Final = 1024


class RecordLike(Protocol):
    """What a record read back and a record about to be written have in common."""

    @property
    def type(self) -> str: ...
    @property
    def record_id(self) -> str: ...
    @property
    def block(self) -> bytes: ...
    def header(self, name: str) -> str | None: ...


#: What a draft's WARC header will say; the names that are read here.
_HEADERS: Final[dict[str, Callable[[Draft], str | None]]] = {
    "WARC-Date": lambda d: warc_date(d.date),
    "WARC-Target-URI": lambda d: d.target_uri,
    "WARC-Refers-To": lambda d: d.refers_to,
    "WARC-Payload-Digest": lambda d: str(d.payload_digest) if d.payload_digest else None,
    "WARC-Profile": lambda d: d.profile,
    "Content-Type": lambda d: d.content_type,
    TOMBSTONE: lambda _: None,
}


@dataclass(frozen=True, slots=True)
class DraftView:
    """A draft seen as the record that it becomes."""

    draft: Draft
    meta: dict[str, Any] | None = None  # what its block, a statement, holds; None where that was not kept
    http: ResponseView | None = None  # its block as a response, where that was read; of a revisit the whole answer's

    @property
    def type(self) -> str:
        return self.draft.type

    @property
    def record_id(self) -> str:
        return self.draft.record_id

    @property
    def block(self) -> bytes:
        return self.draft.block

    def header(self, name: str) -> str | None:
        """The value that the WARC header will have; None where it will not stand. Knows the names read here."""
        return _HEADERS[name](self.draft)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Records that were deposited together."""

    kind: str  # capture | article | outlet | import | other
    records: tuple[tuple[RecordLike, RecordRef], ...]

    @property
    def id(self) -> str | None:
        """The id that its record rows share; None for `other`."""
        if self.kind == "other":
            return None
        return (_main(self.records) if self.kind == "capture" else self.records[-1])[0].record_id

    @property
    def end(self) -> int:
        """Offset in the segment file just behind its last record, in bytes."""
        last = self.records[-1][1]
        return last.offset + last.length

    def digests(self) -> dict[str, str]:
        """Record digest by record type, as the log entry names them."""
        return {view.type: ref.digest for view, ref in self.records}

    def rows(self) -> list[RecordRow]:
        """The catalog rows of its records."""
        own = self.id
        return [record_row(view, ref, own) for view, ref in self.records]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What an exchange brought, read once."""

    view: ResponseView  # of its head; of the whole where a transfer-coding had to be undone
    length: int | None  # bytes of its payload; None where none is defined
    digest: Digest | None  # of its payload


def payload_of(exchange: Exchange) -> Answer | None:
    """The response of an exchange as HTTP; None for an attempt. A body that stands as it is is not copied for it."""
    if not exchange.ending.has_response:
        return None
    block = exchange.response
    view = parse_response_head(block)
    where = plain_payload(view, len(block))
    if where is not None:
        payload: bytes | memoryview | None = memoryview(block)[where]
    else:
        view = parse_response(block)
        payload = view.payload
    if payload is None:
        return Answer(view=view, length=None, digest=None)
    return Answer(view=view, length=len(payload), digest=Digest.sha256(payload))


def drafts_for(
    exchange: Exchange, context: Context, answer: Answer | None, original: Capture | None
) -> list[Draft]:
    """The records of one capture event, in their order of writing: `views_for` without what was read of them."""
    return [view.draft for view in views_for(exchange, context, answer, original)]


def views_for(
    exchange: Exchange, context: Context, answer: Answer | None, original: Capture | None
) -> list[DraftView]:
    """The records of one capture event, in their order of writing, with what is known of their blocks.

    `original` is the capture that a revisit points at (identical payload, or for a 304 the one whose validators were
    sent), or None for a plain response. `answer` is `payload_of(exchange)`.
    """
    main_id, request_id, metadata_id = new_record_ids(3)
    views = []
    companions: tuple[str, ...] = ()
    if exchange.request:
        companions = (request_id,)
        draft = Draft(
            type="request",
            date=exchange.started,
            block=exchange.request,
            target_uri=exchange.url,
            content_type="application/http;msgtype=request",
            record_id=request_id,
            concurrent_to=(main_id,) if answer is not None else (metadata_id,),
            ip_address=exchange.peer,
            protocols=exchange.protocols,
            cipher=exchange.cipher,
        )
        views.append(DraftView(draft))
    if answer is not None:
        draft = _main_draft(exchange, answer, original, main_id, request_id if exchange.request else None)
        companions = (*companions, main_id)
        views.append(DraftView(draft, None, answer.view))
    meta = _metadata(exchange, context, answer)
    draft = Draft(
        type="metadata",
        date=exchange.started,
        target_uri=exchange.url,
        content_type=WARC_FIELDS,
        block=print_statement(meta),
        record_id=metadata_id,
        concurrent_to=companions,
    )
    views.append(DraftView(draft, meta))
    return views


def _main_draft(
    exchange: Exchange,
    answer: Answer,
    original: Capture | None,
    record_id: str,
    request_id: str | None,
) -> Draft:
    common: dict[str, Any] = {
        "date": exchange.started,
        "target_uri": exchange.url,
        "record_id": record_id,
        "content_type": "application/http;msgtype=response",
        "ip_address": exchange.peer,
        "protocols": exchange.protocols,
        "cipher": exchange.cipher,
        "concurrent_to": (request_id,) if request_id else (),
    }
    if original is None:
        return Draft(
            type="response",
            block=exchange.response,
            truncated=exchange.ending.truncated,
            payload_digest=answer.digest,
            **common,
        )
    common |= {
        "refers_to": original.id,
        "refers_to_target_uri": original.url,
        "refers_to_date": original.date,
    }
    if answer.view.status == 304:
        return Draft(type="revisit", block=exchange.response, profile=PROFILE_NOT_MODIFIED, **common)
    return Draft(
        type="revisit",
        block=answer.view.head,
        profile=PROFILE_IDENTICAL,
        truncated="length",
        payload_digest=answer.digest,
        **common,
    )


def _metadata(exchange: Exchange, context: Context, answer: Answer | None) -> dict[str, Any]:
    return {
        "format": CAPTURE_FORMAT,
        "outlet": context.outlet_id,
        "role": context.role.value,
        "via": context.via,
        "item_url": context.item_url,
        "hints": context.hints,
        "wall": context.wall,
        "ending": exchange.ending.value,
        "detail": exchange.detail,
        "payload_length": None if answer is None else answer.length,
        "informational": [base64.b64encode(head).decode() for head in exchange.informational],
        "peer": exchange.peer,
        "port": exchange.port,
        "addresses": list(exchange.addresses),
        "protocols": list(exchange.protocols),
        "cipher": exchange.cipher,
        "certificate_chain": chain_digest(exchange.certificates),
        "chain_complete": exchange.chain_complete,
        "timings_us": exchange.timings,
    }


def chain_pem(certificates: Sequence[bytes]) -> bytes:
    """A certificate chain as PEM, leaf first."""
    return b"".join(_pem(c) for c in certificates)


def _pem(der: bytes) -> bytes:
    """RFC 7468 section 2: 64 characters a line."""
    text = base64.b64encode(der)
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])


def chain_digest(certificates: Sequence[bytes]) -> str | None:
    """SHA-256 of the PEM chain, the name under which its `resource` record stands; None for no chain."""
    return _chain_digest(tuple(certificates)) if certificates else None


@lru_cache(maxsize=_CHAINS)
def _chain_digest(certificates: tuple[bytes, ...]) -> str:
    return f"sha256:{hashlib.sha256(chain_pem(certificates)).hexdigest()}"


def chain_draft(certificates: Sequence[bytes], date: datetime) -> Draft:
    """The `resource` record of a certificate chain, shared by all captures that name its digest."""
    name = chain_digest(certificates)
    return Draft(
        type="resource",
        date=date,
        block=chain_pem(certificates),
        content_type=PEM_CHAIN_TYPE,
        target_uri=f"{CHAIN_URN}{name}",
    )


def outlet_draft(change: OutletChange) -> Draft:
    """The `resource` record of a change of the watch list."""
    return Draft(
        type="resource",
        date=change.at,
        content_type=JSON_TYPE,
        block=canonical.dumps(change.to_json()),
        target_uri=f"urn:pressmark:outlet:{change.outlet.id}",
    )


def conversion_draft(article: Article, capture: Capture, date: datetime) -> Draft:
    """The `conversion` record of an article (ISO 28500 6.8), which refers to its capture."""
    return Draft(
        type="conversion",
        date=date,
        content_type=JSON_TYPE,
        block=article.block(),
        target_uri=capture.url,
        refers_to=capture.id,
    )


def record_row(view: RecordLike, ref: RecordRef, event_id: str | None) -> RecordRow:
    """The catalog row of one record."""
    if isinstance(view, DraftView):
        draft = view.draft
        payload = draft.payload_digest
        payload_digest, target_uri, date = None if payload is None else str(payload), draft.target_uri, draft.date
    else:
        payload_digest, target_uri = view.header("WARC-Payload-Digest"), view.header("WARC-Target-URI")
        date = _date_of(view)
    return RecordRow(
        record_id=ref.record_id,
        type=ref.type,
        segment=ref.segment,
        offset=ref.offset,
        length=ref.length,
        digest=ref.digest,
        block_digest=None,
        payload_digest=payload_digest,
        target_uri=target_uri,
        date=to_micros(date),
        event_id=event_id,
    )


def _date_of(view: RecordLike) -> datetime:
    """Its WARC-Date, whole microseconds both as we write it and as it is read. Raises InvalidValue."""
    if isinstance(view, DraftView):
        return view.draft.date
    date = view.header("WARC-Date")
    if date is None:
        raise InvalidValue(f"record {view.record_id} has no WARC-Date")
    return parse_warc_date(date)


def group(records: Iterable[tuple[RecordLike, RecordRef]]) -> Iterator[Event]:
    """Records of one segment, in order, as events.

    Request, response and revisit records wait for the metadata record that closes their event; what waits when the
    records end is not a whole event and is not given out. Raises InvalidValue where a block cannot be read.
    """
    waiting: list[tuple[RecordLike, RecordRef]] = []
    for view, ref in records:
        if view.type in ("request", "response", "revisit"):
            waiting.append((view, ref))
        elif tombstone_of(view) is not None:
            yield Event(kind="other", records=((view, ref),))
        elif view.type == "metadata" and imports.is_file(view.header("WARC-Target-URI")):
            yield Event(kind="import", records=((view, ref),))
        elif view.type == "metadata":
            yield Event(kind="capture", records=(*waiting, (view, ref)))
            waiting = []
        else:
            yield Event(kind=_single_kind(view), records=((view, ref),))


def _single_kind(view: RecordLike) -> str:
    if view.type == "conversion":
        return "article"
    if view.type == "resource" and (view.header("WARC-Target-URI") or "").startswith("urn:pressmark:outlet:"):
        return "outlet"
    return "other"


def _main(records: Sequence[tuple[RecordLike, RecordRef]]) -> tuple[RecordLike, RecordRef]:
    """The record whose id names the capture: response or revisit, else (an attempt) the metadata record."""
    for record in records:
        if record[1].type in ("response", "revisit"):
            return record
    return records[-1]


def outlet_change_of(event: Event) -> OutletChange:
    """The change that an outlet event holds. Raises InvalidValue."""
    return OutletChange.from_json(canonical.loads(event.records[-1][0].block))


def capture_of(event: Event, *, seq: int = 0, log_index: int | None = None) -> Capture:
    """The catalog row of a capture event, with the numbers that the archive gives. Raises InvalidValue."""
    last, main = event.records[-1][0], _main(event.records)[0]
    meta = last.meta if isinstance(last, DraftView) and last.meta is not None else read_statement(last.block)
    url, date = main.header("WARC-Target-URI"), _date_of(main)
    if isinstance(meta, dict) and imports.is_imported(meta) and url is not None:
        found = imports.capture_of(meta, record_id=main.record_id, url=url, date=date)
        return replace(found, seq=seq, log_index=log_index)
    try:
        if meta["format"] != CAPTURE_FORMAT or url is None:
            raise InvalidValue(f"record {main.record_id} is not a capture of a known format")
        kind = main.type if main.type in ("response", "revisit") else "attempt"
        http = _response_of(main) if kind != "attempt" else None
        return Capture(
            id=main.record_id,
            seq=seq,
            kind=kind,
            url=url,
            date=date,
            outlet_id=meta["outlet"],
            role=Role(meta["role"]),
            ending=Ending(meta["ending"]),
            status=http.status if http else None,
            media_type=_media_type(http),
            location=location_of(http, url),
            etag=_header(http, "etag"),
            last_modified=_header(http, "last-modified"),
            payload_digest=main.header("WARC-Payload-Digest"),
            payload_length=meta["payload_length"],
            refers_to=main.header("WARC-Refers-To") if kind == "revisit" else None,
            via=meta["via"],
            wall=meta["wall"],
            log_index=log_index,
            hints=meta["hints"],
            item_url=meta["item_url"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidValue(f"metadata of {main.record_id} lacks or has a wrong field: {error}") from error


def _response_of(view: RecordLike) -> ResponseView:
    """The answer in a record's block, of which only status and fields are looked at: a revisit has no more."""
    http: ResponseView | None = getattr(view, "http", None)  # of a draft, or of a record read back
    return parse_response_head(view.block) if http is None else http


def _header(http: ResponseView | None, name: str) -> str | None:
    """The first value of a response header; None where it is absent or not fit to be sent back."""
    if http is None:
        return None
    value = http.get(name)
    return value if value and value.isprintable() and len(value) <= MAX_LOCATION else None


def _media_type(http: ResponseView | None) -> str | None:
    value = _header(http, "content-type")
    return value.partition(";")[0].strip().lower() or None if value else None


def location_of(http: ResponseView | None, url: str) -> str | None:
    """Where a redirect leads, absolute; None for any other answer, or where it does not say so readably."""
    if http is None or http.status not in (301, 302, 303, 307, 308):
        return None
    value = http.get("location")
    if not value or len(value) > MAX_LOCATION:
        return None
    try:
        # Servers send raw UTF-8 in Location; http1 reads heads as latin-1.
        return join(url, value.encode("latin-1").decode("utf-8", "replace"))
    except InvalidValue:
        return None

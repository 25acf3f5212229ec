"""Drafts, pinned ids and nonces, so that whole records compare as bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from schemas.digests import Digest
from storage.warc import (
    HTTP_REQUEST,
    HTTP_RESPONSE,
    PROFILE_IDENTICAL,
    PROFILE_NOT_MODIFIED,
    TEXT_DNS,
    Draft,
    SegmentWriter,
)
from storage.warc.drafts import Entropy

DATE = datetime(2026, 11, 23, 14, 0, 0, 123456, tzinfo=UTC)
URI = "https://lantern.example/2026/harbour?id=7"
INFO = {"software": "Pressmark/0.1.0", "operator": "Test <test@example.org>", "format": "WARC file version 1.1"}

REQUEST = b"GET /2026/harbour?id=7 HTTP/1.1\r\nHost: lantern.example\r\n\r\n"
PAYLOAD = b"<!doctype html><title>Harbour</title><p>Calm." + b" The tide is out." * 40
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding:  chunked\r\ncontent-TYPE: text/html\r\n\r\n" + b"".join(
    b"%X\r\n%s\r\n" % (len(part), part) for part in (PAYLOAD[:100], PAYLOAD[100:])
)
RESPONSE = CHUNKED + b"0\r\n\r\n"
HEAD = RESPONSE[: RESPONSE.index(b"\r\n\r\n") + 4]
NOT_MODIFIED = b'HTTP/1.1 304 Not Modified\r\nETag: "7"\r\n\r\n'


def uuid(number: int) -> str:
    """A pinned record id."""
    return f"urn:uuid:00000000-0000-4000-8000-{number:012x}"


def counting(seed: bytes = b"seed") -> Entropy:
    """Random bytes that are the same in every run."""

    def stream() -> Iterator[bytes]:
        number = 0
        while True:
            yield hashlib.sha256(seed + number.to_bytes(8, "big")).digest()
            number += 1

    source = stream()
    return lambda count: next(source)[:count]


def capture(first: int = 1, date: datetime = DATE) -> list[Draft]:
    """Request, response with a chunked body, and metadata of one event; ids from `first`."""
    request, response, metadata = uuid(first), uuid(first + 1), uuid(first + 2)
    wire = {"ip_address": "192.0.2.7", "protocols": ("http/1.1", "tls/1.3"), "cipher": "TLS_AES_256_GCM_SHA384"}
    return [
        Draft(
            type="request",
            date=date,
            block=REQUEST,
            content_type=HTTP_REQUEST,
            target_uri=URI,
            record_id=request,
            concurrent_to=(response,),
            **wire,
        ),
        Draft(
            type="response",
            date=date,
            block=RESPONSE,
            content_type=HTTP_RESPONSE,
            target_uri=URI,
            record_id=response,
            payload_digest=Digest.sha256(PAYLOAD),
            **wire,
        ),
        Draft(
            type="metadata",
            date=date,
            block=b'{"format":"pressmark-capture/1"}',
            content_type="application/json",
            target_uri=URI,
            record_id=metadata,
            concurrent_to=(request, response),
        ),
    ]


def revisit(number: int = 10, *, original: int = 2) -> Draft:
    """A revisit by identical payload that keeps its head."""
    return Draft(
        type="revisit",
        date=DATE + timedelta(hours=1),
        block=HEAD,
        content_type=HTTP_RESPONSE,
        target_uri=URI,
        record_id=uuid(number),
        profile=PROFILE_IDENTICAL,
        payload_digest=Digest.sha256(PAYLOAD),
        refers_to=uuid(original),
        refers_to_target_uri=URI,
        refers_to_date=DATE,
        truncated="length",
        ip_address="2001:db8::7",
    )


def not_modified(number: int = 11, *, original: int = 2) -> Draft:
    """A revisit by a server's 304."""
    return Draft(
        type="revisit",
        date=DATE + timedelta(hours=2),
        block=NOT_MODIFIED,
        content_type=HTTP_RESPONSE,
        target_uri=URI,
        record_id=uuid(number),
        profile=PROFILE_NOT_MODIFIED,
        refers_to=uuid(original),
        refers_to_target_uri=URI,
        refers_to_date=DATE,
    )


def conversion(number: int = 12, *, original: int = 2) -> Draft:
    """An article made from the capture."""
    return Draft(
        type="conversion",
        date=DATE + timedelta(seconds=5),
        block='{"title":"Hafen, ruhig – 静かな港"}'.encode(),
        content_type="application/json",
        target_uri=URI,
        record_id=uuid(number),
        refers_to=uuid(original),
    )


def resource(number: int = 13) -> Draft:
    """What a name resolved to."""
    return Draft(
        type="resource",
        date=DATE,
        block=b"20261123140000\r\nlantern.example. 60 IN A 192.0.2.7\r\n",
        content_type=TEXT_DNS,
        target_uri="dns:lantern.example",
        record_id=uuid(number),
    )


def events() -> list[Sequence[Draft]]:
    """One event of each kind that is written."""
    return [capture(), [revisit()], [not_modified()], [conversion()], [resource()]]


def write_segment(folder: Path, *, seal: bool = True) -> tuple[SegmentWriter, Path]:
    """A small segment with every type of record; its writer, closed, and its file."""
    writer = SegmentWriter.create(folder, kind="warc", worker="w1", now=DATE, info=INFO, entropy=counting())
    for event in events():
        writer.append(event)
    writer.sync()
    if seal:
        return writer, writer.seal()
    writer.abandon()
    return writer, writer.path

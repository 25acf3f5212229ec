"""Records as bytes: exactly what is written, and what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import datetime
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warcio.statusandheaders import StatusAndHeaders

from schemas.digests import Digest
from schemas.errors import InvalidValue
from schemas.records import NONCE, parse_record, record_findings
from storage.warc import HTTP_REQUEST, HTTP_RESPONSE, WARC_FIELDS, Draft, encode_record, new_record_id
from storage.warc.records import print_head, warc_fields
from storage.warc.rules import is_uri
from tests.storage.warc.samples import (
    CHUNKED,
    DATE,
    PAYLOAD,
    RESPONSE,
    URI,
    capture,
    conversion,
    counting,
    events,
    not_modified,
    resource,
    revisit,
    uuid,
)

INFO_ID = uuid(0)
NONCE_32 = bytes(range(32))


def encode(draft: Draft) -> bytes:
    return encode_record(draft, warcinfo_id=INFO_ID, nonce=NONCE_32)


def hex_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_a_request_record_byte_for_byte() -> None:
    draft = capture()[0]
    assert (
        encode(draft)
        == (
            "WARC/1.1\r\n"
            "WARC-Type: request\r\n"
            "WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-000000000001>\r\n"
            "WARC-Date: 2026-11-23T14:00:00.123456Z\r\n"
            "WARC-Target-URI: https://lantern.example/2026/harbour?id=7\r\n"
            "WARC-IP-Address: 192.0.2.7\r\n"
            "WARC-Protocol: http/1.1\r\n"
            "WARC-Protocol: tls/1.3\r\n"
            "WARC-Cipher-Suite: TLS_AES_256_GCM_SHA384\r\n"
            "WARC-Concurrent-To: <urn:uuid:00000000-0000-4000-8000-000000000002>\r\n"
            "WARC-Warcinfo-ID: <urn:uuid:00000000-0000-4000-8000-000000000000>\r\n"
            f"WARC-Block-Digest: {hex_of(draft.block)}\r\n"
            "Pressmark-Nonce: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\r\n"
            "Content-Type: application/http;msgtype=request\r\n"
            "Content-Length: 58\r\n"
            "\r\n"
            "GET /2026/harbour?id=7 HTTP/1.1\r\nHost: lantern.example\r\n\r\n"
            "\r\n\r\n"
        ).encode()
    )


def test_a_revisit_record_byte_for_byte() -> None:
    draft = revisit()
    assert (
        encode(draft)
        == (
            "WARC/1.1\r\n"
            "WARC-Type: revisit\r\n"
            "WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-00000000000a>\r\n"
            "WARC-Date: 2026-11-23T15:00:00.123456Z\r\n"
            "WARC-Target-URI: https://lantern.example/2026/harbour?id=7\r\n"
            "WARC-IP-Address: 2001:db8::7\r\n"
            "WARC-Refers-To: <urn:uuid:00000000-0000-4000-8000-000000000002>\r\n"
            "WARC-Refers-To-Target-URI: https://lantern.example/2026/harbour?id=7\r\n"
            "WARC-Refers-To-Date: 2026-11-23T14:00:00.123456Z\r\n"
            "WARC-Profile: http://netpreserve.org/warc/1.1/revisit/identical-payload-digest\r\n"
            "WARC-Truncated: length\r\n"
            "WARC-Warcinfo-ID: <urn:uuid:00000000-0000-4000-8000-000000000000>\r\n"
            f"WARC-Payload-Digest: {hex_of(PAYLOAD)}\r\n"
            f"WARC-Block-Digest: {hex_of(draft.block)}\r\n"
            "Pressmark-Nonce: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\r\n"
            "Content-Type: application/http;msgtype=response\r\n"
            "Content-Length: 73\r\n"
            "\r\n"
            "HTTP/1.1 200 OK\r\nTransfer-Encoding:  chunked\r\ncontent-TYPE: text/html\r\n\r\n"
            "\r\n\r\n"
        ).encode()
    )


def test_every_kind_of_record_reads_back_with_right_digests() -> None:
    for draft in (draft for event in events() for draft in event):
        view = parse_record(encode(draft))
        assert view.block == draft.block
        assert view.type == draft.type
        assert view.record_id == draft.record_id
        assert view.date == draft.date
        assert view.target_uri == draft.target_uri
        assert view.get(NONCE) == NONCE_32.hex()
        assert record_findings(view) == []


def test_the_block_is_what_came_not_what_it_means() -> None:
    """Header case, double spaces, chunk extensions: warcio would write them anew."""
    assert RESPONSE in encode(capture()[1])


def test_a_chunked_payload_is_digested_without_its_framing() -> None:
    view = parse_record(encode(capture()[1]))
    assert view.get("WARC-Payload-Digest") == hex_of(PAYLOAD) != hex_of(RESPONSE.partition(b"\r\n\r\n")[2])


def test_chunk_extensions_and_trailers_are_no_payload() -> None:
    """RFC 9112 7.1.1 and 7.1.2. FastWARC 2.0.1 stops at an extension; the record is right all the same."""
    block = RESPONSE.replace(b"64\r\n", b'64;note="x"\r\n').replace(b"0\r\n\r\n", b"0\r\nX-End: yes\r\n\r\n")
    assert block.count(b"note") == block.count(b"X-End") == 1
    view = parse_record(encode(dataclasses.replace(capture()[1], block=block)))
    assert view.get("WARC-Payload-Digest") == hex_of(PAYLOAD)
    assert record_findings(view) == []


def test_a_truncated_response_says_so_and_counts_what_is_there() -> None:
    cut = dataclasses.replace(capture()[1], block=CHUNKED[:-10], truncated="disconnect", payload_digest=None)
    view = parse_record(encode(cut))
    assert view.get("WARC-Truncated") == "disconnect"
    assert view.get("Content-Length") == str(len(CHUNKED) - 10)
    assert view.get("WARC-Payload-Digest") is None


def test_record_ids_are_fresh_and_begin_with_the_time() -> None:
    assert new_record_id() != new_record_id()
    assert new_record_id(counting(), lambda: 1) == new_record_id(counting(), lambda: 1)
    read = UUID(new_record_id(clock=lambda: 1_700_000_000_123_456_789)[9:])
    assert (read.version, read.variant) == (7, RFC_4122)
    assert read.int >> 80 == 1_700_000_000_123


def _capture_with(part: int, **changes: Any) -> Draft:
    return dataclasses.replace(capture()[part], **changes)


REFUSED: dict[str, Draft] = {
    "naive date": _capture_with(1, date=datetime(2026, 11, 23)),
    "unknown type": _capture_with(1, type="reply"),
    "continuation": _capture_with(1, type="continuation"),
    "upper-case type": _capture_with(1, type="Response"),
    "no URI": _capture_with(1, target_uri=None),
    "empty URI": _capture_with(1, target_uri=""),
    "URI in brackets": _capture_with(1, target_uri=f"<{URI}>"),
    "URI with CRLF": _capture_with(1, target_uri=f"{URI}\r\nWARC-Truncated: length"),
    "URI with LF": _capture_with(1, target_uri=f"{URI}\n"),
    "URI with NUL": _capture_with(1, target_uri=f"{URI}\x00"),
    "URI with a space": _capture_with(1, target_uri=f"{URI} x"),
    "URI not in ASCII": _capture_with(1, target_uri=f"{URI}ü"),
    "URI with a lone percent": _capture_with(1, target_uri=f"{URI}%zz"),
    "relative URI": _capture_with(1, target_uri="/2026/harbour"),
    "id in brackets": _capture_with(1, record_id=f"<{uuid(1)}>"),
    "id that is no UUID": _capture_with(1, record_id="urn:uuid:1"),
    "concurrent to itself": _capture_with(1, concurrent_to=(uuid(2),)),
    "concurrent twice": _capture_with(1, concurrent_to=(uuid(1), uuid(1))),
    "concurrent to an id with CRLF": _capture_with(1, concurrent_to=("urn:uuid:1\r\nx: y",)),
    "response that refers": _capture_with(1, refers_to=uuid(9)),
    "response with profile": _capture_with(1, profile="http://x/"),
    "block without type": _capture_with(1, content_type=None),
    "content type with CRLF": _capture_with(1, content_type="text/html\r\nx: y"),
    "response of another type": _capture_with(1, content_type="text/html"),
    "request as response": _capture_with(0, content_type=HTTP_RESPONSE),
    "unknown truncation": _capture_with(1, truncated="tired"),
    "not an address": _capture_with(1, ip_address="lantern.example"),
    "payload digest in SHA-1": _capture_with(1, payload_digest=Digest.of("sha1", PAYLOAD)),
    "payload digest of metadata": _capture_with(2, payload_digest=Digest.sha256(b"")),
    "payload type of metadata": _capture_with(2, identified_payload_type="text/html"),
    "protocol with CRLF": _capture_with(1, protocols=("http/1.1\r\nx: y",)),
    "cipher with a control character": _capture_with(1, cipher="x\x01"),
    "extra that is ours": _capture_with(1, extra=(("warc-date", "2020-01-01T00:00:00Z"),)),
    "extra that is the nonce": _capture_with(1, extra=(("pressmark-NONCE", "00"),)),
    "extra twice": _capture_with(1, extra=(("X-One", "1"), ("x-one", "2"))),
    "extra with a bad name": _capture_with(1, extra=(("X One", "1"),)),
    "extra with CRLF": _capture_with(1, extra=(("X-One", "1\r\n"),)),
    "extra with white space around": _capture_with(1, extra=(("X-One", " 1"),)),
    "file name outside warcinfo": _capture_with(1, extra=(("WARC-Filename", "x.warc.gz"),)),
    "header that is too long": _capture_with(1, extra=(("X-One", "x" * 300_000),)),
    "revisit without profile": dataclasses.replace(revisit(), profile=None),
    "revisit with another profile": dataclasses.replace(revisit(), profile="http://x/"),
    "revisit without digest": dataclasses.replace(revisit(), payload_digest=None),
    "revisit without truncation": dataclasses.replace(revisit(), truncated=None),
    "revisit without original": dataclasses.replace(revisit(), refers_to=None),
    "revisit without the original's URI": dataclasses.replace(revisit(), refers_to_target_uri=None),
    "revisit without the original's date": dataclasses.replace(revisit(), refers_to_date=None),
    "revisit of itself": dataclasses.replace(revisit(), refers_to=uuid(10)),
    "revisit without head": dataclasses.replace(revisit(), block=b""),
    "304 that is a 200": dataclasses.replace(not_modified(), block=RESPONSE),
    "conversion of nothing": dataclasses.replace(conversion(), refers_to=None),
    "conversion with an address": dataclasses.replace(conversion(), ip_address="192.0.2.7"),
    "conversion in an event": dataclasses.replace(conversion(), concurrent_to=(uuid(1),)),
    "conversion with another digest": dataclasses.replace(conversion(), payload_digest=Digest.sha256(b"x")),
    "dns that is not text/dns": dataclasses.replace(resource(), content_type="text/plain"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    with pytest.raises(InvalidValue):
        encode(REFUSED[case])


def test_a_warcinfo_has_no_uri_and_names_no_other_warcinfo() -> None:
    draft = Draft(type="warcinfo", date=DATE, block=b"", content_type=WARC_FIELDS)
    encode_record(draft, warcinfo_id=None, nonce=NONCE_32)
    with pytest.raises(InvalidValue, match=r"shall not have"):
        encode_record(draft, warcinfo_id=INFO_ID, nonce=NONCE_32)
    with pytest.raises(InvalidValue, match=r"5\.14"):
        encode_record(dataclasses.replace(draft, target_uri=URI), warcinfo_id=None, nonce=NONCE_32)
    with pytest.raises(InvalidValue, match=r"5\.16"):
        encode_record(capture()[0], warcinfo_id=None, nonce=NONCE_32)


def test_a_nonce_has_32_bytes() -> None:
    for nonce in (b"", NONCE_32[:-1], NONCE_32 + b"x"):
        with pytest.raises(InvalidValue, match="32"):
            encode_record(capture()[0], warcinfo_id=INFO_ID, nonce=nonce)


TOKENS = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=20)
VALUES = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40).filter(lambda v: v == v.strip())


@given(
    st.lists(st.tuples(TOKENS.map(lambda name: f"X-{name}"), VALUES), max_size=5, unique_by=lambda x: x[0].lower()),
    st.binary(max_size=200),
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),
)
def test_what_is_written_reads_back(extra: list[tuple[str, str]], block: bytes, date: datetime) -> None:
    draft = Draft(
        type="request",
        date=date.replace(tzinfo=DATE.tzinfo),
        block=block,
        content_type=HTTP_REQUEST,
        target_uri=URI,
        extra=tuple(extra),
    )
    view = parse_record(encode(draft))
    assert view.block == block
    assert view.date == draft.date
    assert [(name, value) for name, value in view.headers if name.startswith("X-")] == extra
    assert record_findings(view) == []


@given(st.text(max_size=30))
def test_no_value_leaves_its_line(value: str) -> None:
    try:
        head = print_head([("X-One", value), ("X-Two", "end")])
    except InvalidValue:
        return
    assert head.split(b"\r\n") == [b"WARC/1.1", f"X-One: {value}".encode(), b"X-Two: end", b"", b""]


@pytest.mark.parametrize("pair", [("a\r\nb", "x"), ("a", "x\r\ny"), ("a", "x\x00"), ("", "x"), ("a b", "x")])
def test_warc_fields_stay_on_their_lines(pair: tuple[str, str]) -> None:
    with pytest.raises(InvalidValue):
        warc_fields([pair])


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("https://a.example/", True),
        ("http://[2001:db8::1]:8080/p;x=1?q=%E2%82%AC&r=a+b#frag", True),
        ("urn:pressmark:outlet:x", True),
        ("dns:lantern.example", True),
        ("https://a.example/#a#b", False),
        ("https://a.example/|", False),
        ("https://a.example/{x}", False),
        ("//a.example/", False),
        ("https://a.example/\n", False),
    ],
)
def test_clean_uris(text: str, held: bool) -> None:
    assert is_uri(text) is held


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["WARC-Type", "WARC-Target-URI", "X-Own", "Content-Length"]),
            st.text(st.characters(exclude_categories=("Cc", "Cs"))).filter(lambda text: text == text.strip()),
        ),
        min_size=1,
    )
)
def test_the_head_is_printed_as_warcio_prints_it(lines: list[tuple[str, str]]) -> None:
    assert print_head(lines) == StatusAndHeaders("", lines, protocol="WARC/1.1").to_bytes(encoding="utf-8")

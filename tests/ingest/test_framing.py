"""Where a response begins and ends, whatever the bytes and however they are cut: the framer without sockets."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.recorder.framing import Framer, parse_head
from ops.demo.faults import CASES, Case
from schemas import http1
from schemas.captures import Ending

BODY = b"<html><body><p>Harbour wall to be raised.</p><p>" + b"Work begins in May. " * 40 + b"</p></body></html>"


def frame(pieces: Iterable[bytes], clean: bool = True) -> Framer:
    """Feed pieces, then the end of the connection."""
    framer = Framer(max_head=4096, max_body=4096)
    for piece in pieces:
        if framer.feed(piece):
            break
    framer.close(clean=clean)
    return framer


ENDLESS = {"body_for_ever", "chunks_for_ever", "headers_for_ever", "informational_for_ever", "drip_for_ever"}
SHORT = [case for case in CASES if case.name not in ENDLESS | {"gzip_bomb", "huge_header", "many_headers"}]


def test_a_body_that_drips_is_not_kept_as_so_many_objects() -> None:
    body = bytes(range(256)) * 800
    framer = Framer(max_head=4096, max_body=len(body))
    framer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
    tracemalloc.start()
    try:
        for at in range(len(body)):
            framer.feed(body[at : at + 1] if at % 2 else bytes([body[at]]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert framer.ending is Ending.COMPLETE
    assert framer.response.endswith(b"\r\n\r\n" + body)
    assert peak < 5 * len(body)  # one object a byte would be forty times as much


@given(st.sampled_from(SHORT), st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_how_the_bytes_are_cut_into_pieces_does_not_matter(case: Case, sizes: list[int]) -> None:
    sent = b"".join(part if isinstance(part, bytes) else getattr(part, "data", b"") for part in case.script(BODY))
    pieces, at = [], 0
    while at < len(sent):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(sent[at : at + size])
        at += size
    whole, cut = frame([sent]), frame(pieces)
    assert (cut.ending, cut.response, cut.informational) == (whole.ending, whole.response, whole.informational)


LINES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 404 Gone",
        b"HTTP/1.1 304 x",
        b"HTTP/1.1 103 x",
        b"HTTP/1.1 101 x",
        b"Http/1.1 200",
        b"HTTP/1.1  200  OK",
        b"HTTP/1.1 2000",
        b"Content-Length: 3",
        b"Content-Length: 3, 3",
        b"Content-Length: -1",
        b"Content-Length : 4",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: identity",
        b"Connection: close",
        b" folded",
        b"no colon",
        b": empty",
        b"",
        b"",
        b"3",
        b"abc",
        b"0",
        b'5;ext="a"',
        b"x" * 40,
        b"\xff\x00",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ]
)


@given(st.lists(LINES, max_size=12), st.sampled_from([b"\r\n", b"\n"]), st.binary(max_size=40), st.booleans())
def test_any_bytes_end_somehow_and_agree_with_the_reader_of_stored_blocks(
    lines: list[bytes], newline: bytes, tail: bytes, clean: bool
) -> None:
    data = newline.join(lines) + tail
    framer = frame([data], clean)
    assert framer.ending is not None
    received = b"".join(framer.informational) + framer.response
    assert data.startswith(received)
    assert framer.ending.has_response == bool(framer.response)
    view = http1.parse_response(framer.response)
    codings = [] if framer.head is None else framer.head.values(b"transfer-encoding")
    if framer.ending is Ending.COMPLETE:
        assert framer.head is not None
        assert view.status == framer.head.status
        if set(codings) <= {b"chunked", b"identity"}:  # a damaged gzip inside is the reader's business alone
            assert view.complete
            assert not view.trailing
    elif framer.ending is not Ending.LENGTH and view.framing != "close" and view.status != 101:
        assert not view.complete


@given(st.binary(max_size=200))
def test_any_head_is_read_or_refused(data: bytes) -> None:
    for head in (data, b"HTTP/1.1 200 " + data + b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: " + data + b"\r\n\r\n"):
        found = parse_head(head)
        assert found is None or 0 <= found.status <= 999


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX-Odd : 1\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nstray line\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n",
        b"HTTP/1.1  200 OK\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-\xc3\xa9: 1\r\nContent-Length: 3\r\n\r\n",
    ],
)
def test_heads_that_browsers_read_are_read_and_noted(head: bytes) -> None:
    framer = frame([head + b"abc"])
    assert framer.ending is Ending.COMPLETE
    assert "tolerantly" in framer.detail
    assert not framer.reusable
    assert http1.parse_response(head + b"abc").payload == b"abc"

"""HTTP/1 messages in stored blocks: framing in every shape that servers give it, and content-codings."""

import gzip
import json
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidValue
from schemas.http1 import (
    FRAMINGS,
    dechunk,
    entity_body,
    parse_request,
    parse_response,
    parse_response_head,
    payload_with_framing,
    print_chunked,
    print_head,
)

OK = "HTTP/1.1 200 OK"
CHUNKED = ("Transfer-Encoding", "chunked")
token = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", min_size=1, max_size=12)
value = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_categories=("Cc", "Zs")), max_size=20)
# Names that would change the framing are left to the tests of framing.
harmless = token.filter(lambda name: name.lower() not in ("content-length", "transfer-encoding"))


def message(body: bytes, *headers: tuple[str, str], start: str = OK) -> bytes:
    return print_head(start, list(headers)) + body


@given(st.integers(200, 599).filter(lambda s: s not in (204, 304)), st.lists(st.tuples(harmless, value)), st.binary())
def test_a_printed_response_reads_back(status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    fields = [*headers, ("Content-Length", str(len(body)))]
    block = print_head(f"HTTP/1.1 {status} Some reason", fields) + body
    view = parse_response(block)
    assert (view.status, view.reason, view.version) == (status, "Some reason", "1.1")
    assert list(view.headers) == fields
    assert (view.payload, view.complete, view.truncation, view.trailing) == (body, True, None, b"")
    assert view.head + view.body == block


@given(token, value.filter(bool), st.lists(st.tuples(harmless, value)), st.binary())
def test_a_printed_request_reads_back(method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> None:
    block = print_head(f"{method} {target} HTTP/1.1", headers) + body
    view = parse_request(block)
    assert (view.method, view.target, list(view.headers), view.body) == (method, target, headers, body)


@given(st.lists(st.binary(max_size=300)), st.binary(max_size=10))
def test_chunks_read_back(pieces: list[bytes], junk: bytes) -> None:
    framed = print_chunked(pieces)
    assert dechunk(framed + junk) == (b"".join(pieces), len(framed), None)
    view = parse_response(message(framed + junk, ("Transfer-Encoding", "chunked")))
    assert view.payload == b"".join(pieces)
    assert (view.framing, view.trailing) == ("chunked", junk)
    assert payload_with_framing(view) == framed + junk


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=4), st.integers(0, 400))
def test_chunks_cut_anywhere_are_a_prefix_and_marked(pieces: list[bytes], at: int) -> None:
    framed = print_chunked(pieces)
    cut = framed[: min(at, len(framed) - 1)]
    payload, _, truncation = dechunk(cut)
    assert truncation == "disconnect"
    assert b"".join(pieces).startswith(payload)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_somehow(data: bytes) -> None:
    for block in (data, message(data, ("Transfer-Encoding", "gzip, chunked")), message(data, ("Content-Length", "7"))):
        view = parse_response(block)
        assert view.framing in FRAMINGS
        assert view.complete == (view.truncation is None)
        assert block.endswith(view.trailing)
        assert (view.payload is None) == (view.status is None)


@pytest.mark.parametrize(
    ("block", "payload", "framing", "truncation", "trailing"),
    [
        (message(b"abc", ("Content-Length", "3")), b"abc", "length", None, b""),
        (message(b"abcdef", ("Content-Length", "3")), b"abc", "length", None, b"def"),
        (message(b"ab", ("Content-Length", "3")), b"ab", "length", "disconnect", b""),
        (message(b"abc", ("Content-Length", "3"), ("Content-Length", "3")), b"abc", "length", None, b""),
        (message(b"abc", ("Content-Length", "3, 3")), b"abc", "length", None, b""),
        (message(b"abc", ("Content-Length", "3"), ("Content-Length", "4")), b"abc", "unreadable", "unspecified", b""),
        (message(b"abc", ("Content-Length", "-3")), b"abc", "unreadable", "unspecified", b""),
        (message(b"abc", ("Content-Length", "+3")), b"abc", "unreadable", "unspecified", b""),
        (message(b"abc", ("Content-Length", "9" * 40)), b"abc", "unreadable", "unspecified", b""),
        (message(b"abc"), b"abc", "close", None, b""),
        (message(b"abc", ("Content-Length", "")), b"abc", "close", None, b""),
        (message(b"abc", start="HTTP/1.0 200 OK"), b"abc", "close", None, b""),
        (message(b"junk", start="HTTP/1.1 204 No Content"), b"", "none", None, b"junk"),
        (message(b"", ("Content-Length", "99"), start="HTTP/1.1 304 Not Modified"), b"", "none", None, b""),
        # Transfer-Encoding overrides Content-Length (RFC 9112 6.3, rule 3).
        (
            message(b"2\r\nab\r\n0\r\n\r\n", ("Content-Length", "3"), ("Transfer-Encoding", "chunked")),
            b"ab", "chunked", None, b"",
        ),
        (message(b"2\r\nab\r\n0\r\n\r\n", ("Transfer-Encoding", "Chunked ")), b"ab", "chunked", None, b""),
        (message(b"2\r\nab\r\n0\r\n\r\n", ("Transfer-Encoding", "identity, chunked")), b"ab", "chunked", None, b""),
        (message(b"2\nab\n0\n\n", ("Transfer-Encoding", "chunked")), b"ab", "chunked", None, b""),
        (message(b" 02 ;x=\"y\"\r\nab\r\n00\r\nT: v\r\n\r\nZ", CHUNKED), b"ab", "chunked", None, b"Z"),
        (message(b"2\r\nab\r\n0\r\nT: v", ("Transfer-Encoding", "chunked")), b"ab", "chunked", "disconnect", b""),
        (message(b"2\r\nabX\r\n0\r\n\r\n", CHUNKED), b"ab", "chunked", "unspecified", b"X\r\n0\r\n\r\n"),
        (message(b"2\r\nab\r\nzz\r\n", ("Transfer-Encoding", "chunked")), b"ab", "chunked", "unspecified", b"zz\r\n"),
        (message(b"ffffffffffffffff\r\nab", CHUNKED), b"ab", "chunked", "disconnect", b""),
        (message(b"fffffffffffffffff\r\nab", CHUNKED), b"fffffffffffffffff\r\nab", "unreadable", "unspecified", b""),
        (message(b"<html>", ("Transfer-Encoding", "chunked")), b"<html>", "unreadable", "unspecified", b""),
        (message(b"", ("Transfer-Encoding", "chunked")), b"", "chunked", "disconnect", b""),
        (message(b"abc", ("Transfer-Encoding", "identity"), ("Content-Length", "2")), b"ab", "length", None, b"c"),
        (message(b"abc", ("Transfer-Encoding", "br")), b"abc", "close", "unspecified", b""),
    ],
)  # fmt: skip
def test_framing(block: bytes, payload: bytes, framing: str, truncation: str | None, trailing: bytes) -> None:
    view = parse_response(block)
    assert (view.payload, view.framing, view.truncation, view.trailing) == (payload, framing, truncation, trailing)


@given(st.lists(st.sampled_from([100, 103, 199]), max_size=3), st.lists(st.tuples(harmless, value)), st.binary())
def test_the_head_alone_says_what_the_whole_block_says(
    early: list[int], headers: list[tuple[str, str]], body: bytes
) -> None:
    before = b"".join(print_head(f"HTTP/1.1 {status} Early", headers) for status in early)
    for block in (before + message(body, *headers), before + message(b"\r\n\r\n" + body, CHUNKED), before + body, body):
        head, whole = parse_response_head(memoryview(block)), parse_response(block)
        assert (head.status, head.reason, head.version, head.headers, head.head, head.informational) == (
            whole.status, whole.reason, whole.version, whole.headers, whole.head, whole.informational,
        )  # fmt: skip
        assert type(head.head) is bytes
        assert (head.body == b"") is (whole.status is not None or not whole.body)


def test_the_answer_to_head_has_no_body() -> None:
    view = parse_response(message(b"", ("Content-Length", "5000")), method="HEAD")
    assert (view.payload, view.complete) == (b"", True)


def test_informational_answers_are_never_the_answer() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
    proceed = b"HTTP/1.1 100 Continue\r\n\r\n"
    view = parse_response(early + proceed + message(b"hi", ("Content-Length", "2")))
    assert (view.status, view.payload, view.informational) == (200, b"hi", (early, proceed))
    alone = parse_response(early)
    assert (alone.status, alone.payload, alone.informational) == (None, None, (early,))


@pytest.mark.parametrize(
    ("head", "headers"),
    [
        (b"HTTP/1.1 200 OK\nA: 1\nB: 2\n\n", [("A", "1"), ("B", "2")]),
        (b"HTTP/1.1 200 OK\r\nA: 1\n\r\n", [("A", "1")]),
        (b"HTTP/1.1 200\r\nA:1\r\n\r\n", [("A", "1")]),
        (b"HTTP/1.1 200 \r\na : \t1 \r\n\r\n", [("a", "1")]),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\n  more\r\n\tand\r\n\r\n", [("A", "1 more and")]),
        (b"HTTP/1.1 200 OK\r\nno colon\r\nA: caf\xe9\r\n\r\n", [("A", "café")]),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\n\r\n", [("A", "1"), ("a", "2")]),
    ],
)
def test_sloppy_heads_are_read(head: bytes, headers: list[tuple[str, str]]) -> None:
    view = parse_response(head + b"body")
    assert (view.status, list(view.headers), view.payload, view.head) == (200, headers, b"body", head)


@pytest.mark.parametrize(
    "block",
    [b"", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\nA: 1\r\n", b"<html>\r\n\r\nx", b"HTTP/2 200\r\n\r\n", b"\r\n\r\n"],
)
def test_an_unreadable_head_leaves_no_payload(block: bytes) -> None:
    view = parse_response(block)
    assert (view.status, view.payload, view.complete) == (None, None, False)
    with pytest.raises(InvalidValue):
        entity_body(view, 100)


@pytest.mark.parametrize(
    "block", [b"", b"GET / HTTP/1.1", b"GET\r\n\r\n", b"GET / a HTTP/1.1\r\n\r\n", b"GET / HTTP/2\r\n\r\n"]
)
def test_an_unreadable_request_is_refused(block: bytes) -> None:
    with pytest.raises(InvalidValue):
        parse_request(block)


@pytest.mark.parametrize("line", ["A: b\r\nC: d", "A: \0", "A: \u2014"])
def test_a_head_that_would_break_is_not_printed(line: str) -> None:
    with pytest.raises(InvalidValue):
        print_head(OK, [("X", line)])


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def packed(data: bytes) -> bytes:
    """A gzip stream without a time in it: parallel test runs must collect the same cases."""
    return gzip.compress(data, mtime=0)


CODERS = {"gzip": packed, "x-gzip": packed, "deflate": zlib.compress}


@given(st.binary(max_size=2000), st.lists(st.sampled_from(sorted(CODERS)), max_size=3))
def test_content_codings_are_undone(data: bytes, codings: list[str]) -> None:
    coded = data
    for coding in codings:
        coded = CODERS[coding](coded)
    view = parse_response(message(coded, ("Content-Encoding", ", ".join(codings))))
    assert view.payload == coded
    assert entity_body(view, 10_000) == (data, None)


@pytest.mark.parametrize(
    ("coding", "coded", "expected"),
    [
        ("gzip", packed(b"a" * 100)[:-9], (b"a" * 100, "truncated")),
        ("gzip", packed(b"one") + packed(b"two"), (b"onetwo", None)),
        ("gzip", packed(b"one") + b"\0\0junk", (b"one", None)),
        ("gzip", b"<html>", (b"<html>", "not-encoded")),
        ("gzip", b"", (b"", None)),
        ("deflate", bare_deflate(b"bare" * 50), (b"bare" * 50, None)),
        ("deflate", b"", (b"", None)),
        ("deflate", b"<html>", (b"<html>", "not-encoded")),
        ("GZIP", packed(b"x"), (b"x", None)),
        ("identity", b"x", (b"x", None)),
    ],
)
def test_content_codings_as_servers_send_them(coding: str, coded: bytes, expected: tuple[bytes, str | None]) -> None:
    assert entity_body(parse_response(message(coded, ("Content-Encoding", coding))), 10_000) == expected


def test_a_bomb_is_cut_at_the_limit() -> None:
    bomb = packed(b"\0" * 50_000_000)
    assert entity_body(parse_response(message(bomb, ("Content-Encoding", "gzip"))), 1000) == (b"\0" * 1000, "limit")
    assert entity_body(parse_response(message(b"x" * 20)), 10) == (b"x" * 10, "limit")
    exact = packed(b"y" * 1000)
    assert entity_body(parse_response(message(exact, ("Content-Encoding", "gzip"))), 1000) == (b"y" * 1000, None)


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, br", ", ".join(["gzip"] * 5)])
def test_a_coding_beyond_the_standard_library_is_named(coding: str) -> None:
    view = parse_response(message(packed(b"x"), ("Content-Encoding", coding)))
    with pytest.raises(InvalidValue, match="content-coding"):
        entity_body(view, 100)


def test_a_transfer_coding_of_gzip_is_undone_before_the_payload() -> None:
    framed = print_chunked([packed(b"page")])
    view = parse_response(message(framed, ("Transfer-Encoding", "gzip, chunked")))
    assert (view.payload, view.complete) == (b"page", True)
    cut = print_chunked([packed(b"page")[:-4]])
    assert parse_response(message(cut, ("Transfer-Encoding", "gzip, chunked"))).truncation == "unspecified"


@pytest.mark.shared
@pytest.mark.parametrize("name", ["example-iana.org-chunked.warc"])
def test_a_chunked_response_of_another_crawler(shared: Path, name: str) -> None:
    data = (shared / "vectors/warc/warcio" / name).read_bytes()
    start = re.search(rb"HTTP/1\.[01] 200", data)
    assert start is not None
    length = re.findall(rb"Content-Length: (\d+)", data[: start.start()])[-1]
    view = parse_response(data[start.start() : start.start() + int(length)])
    assert (view.framing, view.complete, view.trailing) == ("chunked", True, b"")
    body, cut = entity_body(view, 1_000_000)
    assert cut is None
    assert b"<html" in body.lower()
    assert json.dumps(view.get("transfer-encoding")) == '"chunked"'

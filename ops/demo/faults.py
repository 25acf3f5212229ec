"""The odd and broken answers of the web, each as a script of bytes and steps for a server of `ops.demo.wire`.

The recorder is held against them in the tests, and beside others in `ops.bench.hostile_table`. Each builder takes the
body that a sound answer would carry. `CASES` names them all and says of each whether a
whole message came, whether it ends by itself, and whether there is a head, so that a test can go through all.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from ops.demo.messages import chunks, response
from ops.demo.wire import Cut, Flood, Pause, Reset, Send, Stall, Step

Script = list[Step | bytes]

HTML = ("Content-Type", "text/html; charset=utf-8")
#: Seconds in which sent bytes surely reach the client's buffer before a reset follows on loopback.
SETTLE = 0.05
#: Bytes of a header block that no honest server sends.
HUGE_HEADER = 1 << 20


def _head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, *lines]) + b"\r\n\r\n"


def early_hints(body: bytes) -> Script:
    """`103 Early Hints`, then the answer (RFC 8297)."""
    return [
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
        response(200, headers=[HTML], body=body),
    ]


def several_informational(body: bytes) -> Script:
    """`100`, `102` and `103` before the answer."""
    return [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
        *early_hints(body),
    ]


def length_too_long(body: bytes) -> Script:
    """Content-Length promises ten bytes more than come; then the connection ends in order."""
    return [_head(b"Content-Type: text/html", b"Content-Length: %d" % (len(body) + 10)), body]


def length_too_short(body: bytes) -> Script:
    """Content-Length promises half of what comes; the rest is junk behind the body."""
    return [_head(b"Content-Type: text/html", b"Content-Length: %d" % (len(body) // 2)) + body]


def missing_terminator(body: bytes) -> Script:
    """Chunks without the last, empty one."""
    return [_head(b"Content-Type: text/html", b"Transfer-Encoding: chunked"), chunks(body, 16, end=b"")]


def broken_chunk_size(body: bytes) -> Script:
    """A chunk whose size is no number."""
    framed = chunks(body, 16, end=b"")
    return [
        _head(b"Content-Type: text/html", b"Transfer-Encoding: chunked"),
        framed,
        b"zz\r\nwhat\r\n0\r\n\r\n",
    ]


def chunk_cut(body: bytes) -> Script:
    """The connection ends in the middle of a chunk."""
    return [_head(b"Content-Type: text/html", b"Transfer-Encoding: chunked"), chunks(body, 64, end=b"")[:40]]


def chunk_extensions(body: bytes) -> Script:
    """Chunk extensions, upper-case sizes with leading zeros, and trailers: all of it legal."""
    framed = b"".join(
        b'000%X;name="a;b"\r\n%s\r\n' % (len(part), part)
        for part in (body[start : start + 30] for start in range(0, len(body), 30))
    )
    end = b"0;last\r\nX-Checksum: none\r\n\r\n"
    return [
        _head(b"Content-Type: text/html", b"Transfer-Encoding: chunked", b"Trailer: X-Checksum"),
        framed,
        end,
    ]


def http10(body: bytes) -> Script:
    """HTTP/1.0: the body ends with the connection."""
    return [_head(b"Content-Type: text/html", status=b"HTTP/1.0 200 OK"), body]


def until_close(body: bytes) -> Script:
    """HTTP/1.1 without length or chunks: the body ends with the connection."""
    return [_head(b"Content-Type: text/html", b"Connection: close"), body]


def equal_lengths_twice(body: bytes) -> Script:
    """Content-Length twice with the same number (RFC 9112, 6.3 lets a recipient take it)."""
    line = b"Content-Length: %d" % len(body)
    return [_head(b"Content-Type: text/html", line, line), body]


def different_lengths(body: bytes) -> Script:
    """Content-Length twice with different numbers."""
    lines = (b"Content-Length: %d" % len(body), b"Content-Length: %d" % (len(body) + 1))
    return [_head(b"Content-Type: text/html", *lines), body]


def length_and_chunks(body: bytes) -> Script:
    """Content-Length beside chunked framing: the framing wins (RFC 9112, 6.3)."""
    head = _head(b"Content-Type: text/html", b"Content-Length: 5", b"Transfer-Encoding: chunked")
    return [head, chunks(body, 50)]


def junk_after(body: bytes) -> Script:
    """Bytes that nobody asked for behind a complete body."""
    return [response(200, headers=[HTML], body=body) + b"\r\nGARBAGE behind the body\r\n"]


def odd_headers(body: bytes) -> Script:
    """Odd case and white space, duplicates, an empty value, bytes beyond ASCII: all kept as they came."""
    return [
        _head(
            b"cOnTeNt-TyPe:text/html", b"Content-Length:   %d  " % len(body), b"X-Empty:",
            b"X-Twice: 1", b"x-twice: 2", b"X-Latin: caf\xe9", b"X-Utf8: caf\xc3\xa9",
            b"Set-Cookie: a=1", b"Set-Cookie: b=2",
        ),
        body,
    ]  # fmt: skip


def folded_header(body: bytes) -> Script:
    """A header continued on the next line (obsolete, still seen)."""
    return [
        _head(b"Content-Type: text/html", b"X-Long: one\r\n two", b"Content-Length: %d" % len(body)),
        body,
    ]


def bare_newlines(body: bytes) -> Script:
    """Lines that end in LF alone."""
    return [b"HTTP/1.1 200 OK\nContent-Type: text/html\nContent-Length: %d\n\n" % len(body), body]


def no_reason(body: bytes) -> Script:
    """A status line without a reason, and without the blank before it."""
    return [
        _head(b"Content-Type: text/html", b"Content-Length: %d" % len(body), status=b"HTTP/1.1 200"),
        body,
    ]


def odd_reason(body: bytes) -> Script:
    """A reason in bytes beyond ASCII."""
    status = b"HTTP/1.1 200 D\xe9j\xe0 vu"
    return [_head(b"Content-Type: text/html", b"Content-Length: %d" % len(body), status=status), body]


def not_http(body: bytes) -> Script:
    """A server that speaks something else."""
    return [b"220 mail.example ESMTP ready\r\n"]


def silence(body: bytes) -> Script:
    """The connection ends without a byte."""
    return []


def head_cut(body: bytes) -> Script:
    """The connection ends in the middle of the headers."""
    return [b"HTTP/1.1 200 OK\r\nContent-Type: text/ht"]


def reset_at_once(body: bytes) -> Script:
    """RST instead of an answer."""
    return [Reset()]


def reset_in_body(body: bytes) -> Script:
    """RST in the middle of the body."""
    return [response(200, headers=[HTML], body=body)[: -len(body) // 2], Pause(seconds=SETTLE), Reset()]


def reset_after_body(body: bytes) -> Script:
    """The whole answer, then RST: nothing is missing."""
    return [response(200, headers=[HTML], body=body), Pause(seconds=SETTLE), Reset()]


def cut_in_body(body: bytes) -> Script:
    """A bare FIN in the middle of a body that has no length.

    Plain HTTP cannot tell it from the end (so `CASES` calls it whole); over TLS the missing close_notify can.
    """
    return [_head(b"Content-Type: text/html"), body[: len(body) // 2], Pause(seconds=SETTLE), Cut()]


def stall_in_head(body: bytes) -> Script:
    """Half of the headers, then nothing."""
    return [b"HTTP/1.1 200 OK\r\nContent-", Stall()]


def stall_in_body(body: bytes) -> Script:
    """Half of the body, then nothing."""
    return [response(200, headers=[HTML], body=body)[: -len(body) // 2], Stall()]


def slow_drip(body: bytes, *, every: int = 7, pause: float = 0.001) -> Script:
    """The answer in tiny pieces, cut without regard for lines or chunks."""
    sent = response(200, headers=[HTML], body=body, chunked=11)
    return [Send(data=sent, every=every, pause=pause)]


def drip_for_ever(body: bytes, *, pause: float = 0.02) -> Script:
    """A byte now and then, for ever: no read times out, the whole must."""
    return [_head(b"Content-Type: text/html"), Send(data=b"x" * 1_000_000, every=1, pause=pause)]


def huge_header(body: bytes) -> Script:
    """One header of a megabyte."""
    return [_head(b"Content-Type: text/html", b"X-Huge: " + b"h" * HUGE_HEADER, b"Content-Length: 0")]


def many_headers(body: bytes) -> Script:
    """Fifty thousand headers."""
    return [_head(b"Content-Type: text/html", *(b"X-%d: 1" % number for number in range(50_000)))]


def headers_for_ever(body: bytes) -> Script:
    """Headers that never end."""
    return [b"HTTP/1.1 200 OK\r\n", Flood(pattern=b"X-More: and more\r\n")]


def body_for_ever(body: bytes) -> Script:
    """A body that never ends."""
    return [_head(b"Content-Type: text/html"), Flood(pattern=b"<p>and so on</p>\n")]


def chunks_for_ever(body: bytes) -> Script:
    """Chunks that never end."""
    return [_head(b"Content-Type: text/html", b"Transfer-Encoding: chunked"), Flood(pattern=b"4\r\nmore\r\n")]


def informational_for_ever(body: bytes) -> Script:
    """1xx answers without an end."""
    return [Flood(pattern=b"HTTP/1.1 102 Processing\r\n\r\n")]


def too_many_requests(body: bytes, *, after: str = "2") -> Script:
    """429 with Retry-After (seconds or a date)."""
    return [response(429, headers=[("Retry-After", after), ("Content-Type", "text/plain")], body=b"slow down\n")]


def no_content(body: bytes) -> Script:
    """204, which has no body by definition."""
    return [b"HTTP/1.1 204 No Content\r\n\r\n"]


def not_modified_with_length(body: bytes) -> Script:
    """304 with the Content-Length of the page that it does not send (legal, RFC 9110, 8.6)."""
    return [_head(b"Content-Length: %d" % len(body), status=b"HTTP/1.1 304 Not Modified")]


def gzip_bomb(body: bytes, *, size: int = 64 << 20) -> Script:
    """A few kilobytes that become `size` bytes of zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    packed = b"".join([*(packer.compress(block) for _ in range(size >> 20)), packer.flush()])
    return [response(200, headers=[HTML, ("Content-Encoding", "gzip")], body=packed)]


def gzip_cut(body: bytes) -> Script:
    """Content-Length is kept, but the gzip stream inside ends early."""
    packed = gzip.compress(body, mtime=0)
    return [response(200, headers=[HTML, ("Content-Encoding", "gzip")], body=packed[: len(packed) // 2])]


def gzip_lie(body: bytes) -> Script:
    """Content-Encoding says gzip; the body is plain."""
    return [response(200, headers=[HTML, ("Content-Encoding", "gzip")], body=body)]


def gzip_members(body: bytes) -> Script:
    """Two gzip members in one body (legal, RFC 1952, 2.2)."""
    half = len(body) // 2
    packed = gzip.compress(body[:half], mtime=0) + gzip.compress(body[half:], mtime=0)
    return [response(200, headers=[HTML, ("Content-Encoding", "gzip")], body=packed)]


def unknown_coding(body: bytes) -> Script:
    """A content coding that nobody asked for and nobody knows."""
    return [response(200, headers=[HTML, ("Content-Encoding", "x-morse")], body=body)]


def nul_bytes(body: bytes) -> Script:
    """NUL bytes in the body."""
    return [response(200, headers=[HTML], body=body[:20] + bytes(100) + body[20:])]


def negative_length(body: bytes) -> Script:
    """A Content-Length below zero."""
    return [_head(b"Content-Type: text/html", b"Content-Length: -1"), body]


def endless_length(body: bytes) -> Script:
    """A Content-Length beyond 64 bits."""
    return [_head(b"Content-Type: text/html", b"Content-Length: 99999999999999999999"), body]


def huge_chunk_size(body: bytes) -> Script:
    """A chunk that claims nearly 2^64 bytes."""
    return [_head(b"Content-Type: text/html", b"Transfer-Encoding: chunked"), b"fffffffffffffff0\r\n", body]


def not_chunked(body: bytes) -> Script:
    """Transfer-Encoding says chunked; the body never was."""
    return [_head(b"Content-Type: text/html", b"Transfer-Encoding: chunked"), body]


def gzip_as_transfer_coding(body: bytes) -> Script:
    """gzip as a transfer-coding below the chunks (RFC 9112, 7.2): the payload is what both leave."""
    head = _head(b"Content-Type: text/html", b"Transfer-Encoding: gzip, chunked")
    return [head, chunks(gzip.compress(body, mtime=0), 32)]


def blank_before_colon(body: bytes) -> Script:
    """A blank between a field's name and its colon (RFC 9112, 5.1 forbids it)."""
    return [_head(b"Content-Type : text/html", b"Transfer-Encoding : chunked"), chunks(body, 40)]


def nul_in_header(body: bytes) -> Script:
    """A NUL in a field's value."""
    return [_head(b"Content-Type: text/html", b"X-Nul: a\0b", b"Content-Length: %d" % len(body)), body]


def return_in_header(body: bytes) -> Script:
    """A bare CR in a field's value, which would begin another line of a WARC header."""
    return [_head(b"Content-Type: text/html", b"X-Cr: a\rWARC-Type: b", b"Content-Length: %d" % len(body)), body]


def line_without_colon(body: bytes) -> Script:
    """A line among the fields that is none."""
    return [_head(b"Content-Type: text/html", b"what is this", b"Content-Length: %d" % len(body)), body]


def odd_status(body: bytes) -> Script:
    """A status that no registry knows."""
    return [_head(b"Content-Length: %d" % len(body), status=b"HTTP/1.1 999 Request denied"), body]


def head_alone(body: bytes) -> Script:
    """A complete head with Content-Length: 0."""
    return [_head(b"Content-Type: text/html", b"Content-Length: 0")]


def body_on_304(body: bytes) -> Script:
    """304 with a body, which by definition it has not (RFC 9112, 6.3)."""
    return [_head(b"Content-Length: %d" % len(body), status=b"HTTP/1.1 304 Not Modified") + body]


def redirect_with_body(body: bytes) -> Script:
    """A redirect without a place to go, and with a page."""
    return [response(302, headers=[HTML], body=body)]


def br_unasked(body: bytes) -> Script:
    """Brotli that nobody asked for: one raw byte sequence (RFC 7932), kept as it came."""
    return [response(200, headers=[HTML, ("Content-Encoding", "br")], body=b"\x0b\x02\x80calm\n\x03")]


def slow_chunks(body: bytes) -> Script:
    """Size lines, data and line ends of chunks in writes of their own."""
    head = _head(b"Content-Type: text/html", b"Transfer-Encoding: chunked")
    pieces = [body[at : at + 200] for at in range(0, len(body), 200)]
    parts = [part for piece in pieces for part in (b"%x\r\n" % len(piece), piece, b"\r\n")]
    return [head, *(step for part in parts for step in (part, Pause(seconds=0.002))), b"0\r\n\r\n"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A named answer, and what is true of it."""

    name: str
    script: Callable[[bytes], Script]
    complete: bool = True
    """Whether a whole HTTP message comes."""
    bounded: bool = True
    """Whether it ends by itself, without a limit of the client's."""
    head: bool = True
    """Whether a head that can be parsed comes at all."""


def _cases(*builders: Callable[[bytes], Script], **facts: bool) -> list[Case]:
    return [Case(name=builder.__name__, script=builder, **facts) for builder in builders]


CASES: tuple[Case, ...] = (
    *_cases(
        early_hints, several_informational, length_too_short, chunk_extensions, http10, until_close,
        equal_lengths_twice, length_and_chunks, junk_after, odd_headers, folded_header, bare_newlines,
        no_reason, odd_reason, reset_after_body, slow_drip, too_many_requests, no_content,
        not_modified_with_length, gzip_bomb, gzip_cut, gzip_lie, gzip_members, unknown_coding, nul_bytes,
        cut_in_body, gzip_as_transfer_coding, blank_before_colon, nul_in_header, return_in_header,
        line_without_colon, odd_status, head_alone, body_on_304, redirect_with_body, br_unasked, slow_chunks,
    ),
    *_cases(
        length_too_long, missing_terminator, broken_chunk_size, chunk_cut, different_lengths, reset_in_body,
        negative_length, endless_length, huge_chunk_size, not_chunked,
        complete=False,
    ),
    *_cases(not_http, silence, head_cut, reset_at_once, complete=False, head=False),
    *_cases(stall_in_body, drip_for_ever, body_for_ever, chunks_for_ever, complete=False, bounded=False),
    *_cases(
        stall_in_head, headers_for_ever, informational_for_ever, complete=False, bounded=False, head=False,
    ),
    *_cases(huge_header, many_headers, bounded=False),
)  # fmt: skip

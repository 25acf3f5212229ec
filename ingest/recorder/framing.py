"""Where an HTTP/1 response begins and ends in the bytes that come: the head, and the framing of the body.

`Framer` is fed what the socket gave and keeps every byte of the final response as it came. httptools reads the
heads; it tells no offsets, so the end of a body is found here by the rules of RFC 9112 section 6.3, the same that
`schemas.http1` applies to the stored block. A head that httptools refuses but that browsers read (a stray line, a
blank before a colon, Content-Length twice) is read tolerantly, and said so. No sockets and no clock here.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import httptools

from schemas.captures import Ending

#: 1xx answers before the final one; honest servers send one or two.
MAX_INFORMATIONAL: Final = 16
#: Bytes of one chunk-size line with its extensions; honest ones have a dozen.
MAX_CHUNK_LINE: Final = 16 * 1024
#: Hex digits of a chunk size: 16 are 2^64, more are an attack (RFC 9112 section 7.1).
MAX_CHUNK_DIGITS: Final = 16
#: Bytes from which on a piece of a body is kept by itself: a server may send a byte at a time, each an object.
LARGE_PIECE: Final = 4096
#: Decimal digits of a Content-Length that is believed: 10^18 bytes is beyond any limit of ours.
MAX_LENGTH_DIGITS: Final = 18

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/([0-9])\.([0-9])[ \t]+([0-9]{3})(?:[ \t]+[^\r\n]*)?")
_CHUNK_LINE: Final = re.compile(rb"[ \t]*([0-9A-Fa-f]+)[ \t]*(?:;[^\n]*)?\r?\n")
_PROTOCOL: Final = b"HTTP/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The head of a response as the framing needs it."""

    status: int
    version: str  # "1.1"
    fields: tuple[tuple[bytes, bytes], ...]  # names in lower case, in order
    tolerant: bool  # httptools refused it

    def values(self, name: bytes) -> list[bytes]:
        """The elements of a comma-separated field, lower case, without parameters, empty ones left out."""
        parts = (part for key, value in self.fields if key == name for part in value.split(b","))
        return [element for part in parts if (element := part.split(b";")[0].strip(b" \t").lower())]

    @property
    def keeps_alive(self) -> bool:
        """Whether the server lets the connection live on (RFC 9112 section 9.3)."""
        options = self.values(b"connection")
        return b"close" not in options and (self.version == "1.1" or b"keep-alive" in options)


class _Fields:
    """What httptools calls back into."""

    def __init__(self) -> None:
        self.found: list[tuple[bytes, bytes]] = []
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        # Blanks before the colon are refused by RFC 9112 section 5.1, and read over here as everywhere else.
        self.found.append((name.rstrip(b" \t").lower(), value))

    def on_headers_complete(self) -> None:
        self.whole = True


def parse_head(head: bytes) -> Head | None:
    """Read a head, blank line included; None where it is not one of HTTP/1."""
    match = _STATUS_LINE.fullmatch(head.partition(b"\n")[0].rstrip(b"\r"))
    if match is None:
        return None
    status, version = int(match[3]), f"{int(match[1])}.{int(match[2])}"
    fields = _Fields()
    parser = httptools.HttpResponseParser(fields)
    parser.set_dangerous_leniencies(
        lenient_headers=True, lenient_chunked_length=True, lenient_transfer_encoding=True, lenient_version=True,
        lenient_data_after_close=True, lenient_optional_lf_after_cr=False, lenient_optional_cr_before_lf=True,
    )  # fmt: skip
    # An upgrade is never asked for; what httptools says of one, or of a fault, matters only if fields are missing.
    with contextlib.suppress(httptools.HttpParserUpgrade, httptools.HttpParserError):
        parser.feed_data(head)
    if fields.whole:
        return Head(status=status, version=version, fields=tuple(fields.found), tolerant=False)
    return Head(status=status, version=version, fields=_tolerant_fields(head), tolerant=True)


def _tolerant_fields(head: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Fields as browsers read them: folded lines joined, lines without a colon passed over."""
    fields: list[tuple[bytes, bytes]] = []
    for raw in head.split(b"\n")[1:]:
        line = raw.rstrip(b"\r")
        if line[:1] in (b" ", b"\t"):
            if fields:
                fields[-1] = (fields[-1][0], fields[-1][1] + b" " + line.strip(b" \t"))
            continue
        name, colon, value = line.partition(b":")
        if colon and name.strip(b" \t"):
            fields.append((name.strip(b" \t").lower(), value.strip(b" \t")))
    return tuple(fields)


class _At(Enum):
    """What the next bytes are."""

    HEAD = "head"
    NONE = "none"
    LENGTH = "length"
    CHUNK_SIZE = "chunk size"
    CHUNK_DATA = "chunk data"
    CHUNK_END = "chunk end"
    TRAILER = "trailer"
    CLOSE = "close"
    UNREADABLE = "unreadable"


#: Where what comes next is counted and not looked into.
_UNSEEN: Final = frozenset({_At.LENGTH, _At.CLOSE, _At.UNREADABLE})


class Framer:
    """One response in the making. Feed it until `done`; then `ending` and `response` stand.

    `max_head` bounds a head (and a trailer section), `max_body` the body as it comes, framing included (bytes).
    """

    def __init__(self, *, max_head: int, max_body: int) -> None:
        self._max_head = max_head
        self._max_body = max_body
        self._data: bytes | bytearray = b""  # from the start; a bytearray once more than one piece was looked into
        self._rest: list[bytes | bytearray] = []  # what came behind it, where only its length is of interest
        self._size = 0  # bytes of both
        self._at = _At.HEAD
        self._offset = 0  # where reading goes on, in bytes from the start of the response
        self._cap = max_body  # offset beyond which nothing is kept
        self.informational: list[bytes] = []
        self.head: Head | None = None
        self.ending: Ending | None = None
        self.excess = 0  # bytes that came after the end of the message, not kept
        self.detail = ""

    @property
    def done(self) -> bool:
        """Whether the response has ended, one way or another."""
        return self.ending is not None

    @property
    def begun(self) -> bool:
        """Whether a byte of a response (1xx included) has come."""
        return bool(self._size or self.informational)

    @property
    def unreadable(self) -> bool:
        """Whether no end can be recognised, so that only silence or the close of the connection is one."""
        return self._at is _At.UNREADABLE

    @property
    def response(self) -> bytes:
        """The bytes of the final response so far, exactly as they came."""
        if not self._rest and isinstance(self._data, bytes):
            return self._data
        return b"".join((self._data, *self._rest))

    @property
    def reusable(self) -> bool:
        """Whether the connection can carry another request."""
        framed = self._at not in (_At.CLOSE, _At.UNREADABLE)
        whole = self.ending is Ending.COMPLETE and not self.excess and framed
        return whole and self.head is not None and self.head.keeps_alive and not self.head.tolerant

    def feed(self, *pieces: bytes) -> bool:
        """Take bytes from the socket; whether the response has ended. They are not copied before they must be."""
        self._size += sum(map(len, pieces))
        if self._at in _UNSEEN:
            self._put_by(pieces)
        elif not self._data and len(pieces) == 1:
            self._data = pieces[0]
        else:
            if isinstance(self._data, bytes):
                self._data = bytearray(self._data)
            for piece in pieces:
                self._data += piece
        while self.ending is None and self._step():
            pass
        if self.ending is None and self._at is not _At.HEAD and self._size > self._cap:
            words = f"cut at the limit of {self._max_body} body bytes"
            self._end(Ending.LENGTH, self._cap, f"{self.detail}; {words}" if self.detail else words)
        return self.done

    def _put_by(self, pieces: Iterable[bytes]) -> None:
        """Keep what is not looked into: large pieces as they are, small ones put together."""
        for piece in pieces:
            last = self._rest[-1] if self._rest else None
            if len(piece) >= LARGE_PIECE:
                self._rest.append(piece)
            elif isinstance(last, bytearray):
                last += piece
            else:
                self._rest.append(bytearray(piece))

    def close(self, *, clean: bool) -> None:
        """The peer ended the connection; `clean` by FIN, not by a reset."""
        if self.ending is not None:
            return
        if not self._size:
            after = f"after {len(self.informational)} informational answers" if self.informational else "without a byte"
            self._end(Ending.NO_RESPONSE, 0, f"{'closed' if clean else 'reset'} by the peer {after}")
        elif self._at is _At.UNREADABLE:
            self._end(Ending.UNSPECIFIED, self._size, self.detail)
        elif self._at is _At.CLOSE and clean:
            self._end(Ending.COMPLETE, self._size, self.detail)
        else:
            words = "closed" if clean else "reset"
            self._end(Ending.DISCONNECT, self._size, f"{words} by the peer in the {self._at.value}")

    def time_out(self, words: str) -> None:
        """A limit of ours on time ran out."""
        if self.ending is not None:
            return
        if not self._size:
            self._end(Ending.TIMEOUT, 0, words)
        elif self._at is _At.UNREADABLE:
            self._end(Ending.UNSPECIFIED, self._size, self.detail)
        else:
            self._end(Ending.TIME, self._size, f"{words}, in the {self._at.value}")

    # -- the steps: each takes what it can; True where another may follow -------------------------------------

    def _step(self) -> bool:
        match self._at:
            case _At.HEAD:
                return self._read_head()
            case _At.LENGTH | _At.NONE:
                return self._read_length()
            case _At.CHUNK_SIZE:
                return self._read_chunk_size()
            case _At.CHUNK_DATA:
                return self._read_chunk_data()
            case _At.CHUNK_END:
                return self._read_chunk_end()
            case _At.TRAILER:
                return self._read_trailer()
            case _:
                return False

    def _end(self, ending: Ending, length: int, detail: str = "") -> None:
        if ending is Ending.COMPLETE:
            self.excess = self._size - length
            if self.excess:
                detail = f"{self.excess} bytes after the end of the message were left out"
        if self._size > length:
            self._data, self._rest, self._size = self.response[:length], [], length
        self.ending = ending
        notes = ["head read tolerantly"] if self.head is not None and self.head.tolerant else []
        self.detail = "; ".join([*([detail] if detail else []), *notes])

    def _unreadable(self, words: str) -> bool:
        self._at = _At.UNREADABLE
        self.detail = words
        return False

    def _read_head(self) -> bool:
        data = self._data
        prefix = min(len(data), len(_PROTOCOL))
        if data[:prefix] != _PROTOCOL[:prefix]:
            return self._unreadable("not an HTTP/1 response")
        match = _HEAD_END.search(data, self._offset, self._max_head)
        if match is None:
            self._offset = max(0, len(data) - 3)
            if len(data) >= self._max_head:
                self._end(Ending.LENGTH, self._max_head, f"cut at the limit of {self._max_head} head bytes")
            return False
        head = parse_head(bytes(data[: match.end()]))
        if head is None:
            return self._unreadable("a head that cannot be read")
        if 100 <= head.status < 200 and head.status != 101 and len(self.informational) < MAX_INFORMATIONAL:
            self.informational.append(bytes(data[: match.end()]))
            self._data = data[match.end() :]
            self._size = len(self._data)
            self._offset = 0
            return bool(self._data)
        self.head = head
        self._offset = match.end()
        self._cap = match.end() + self._max_body
        return self._begin_body(head)

    def _begin_body(self, head: Head) -> bool:
        """Choose the framing by the rules of RFC 9112 section 6.3, in their order."""
        if 100 <= head.status < 200:
            if head.status != 101:
                self.head = None  # none of a final response, and the stored block is not read as one
            self._end(Ending.UNSPECIFIED, self._offset, f"an answer {head.status} where the final one was due")
            return False
        # 1. No body, whatever the fields say (we send neither HEAD nor CONNECT).
        if head.status in (204, 304):
            self._at = _At.NONE
            return True
        # 3. Transfer-Encoding overrides Content-Length; 4. chunked is last, or the body runs to the close.
        codings = [coding for coding in head.values(b"transfer-encoding") if coding != b"identity"]
        if codings:
            self._at = _At.CHUNK_SIZE if codings[-1] == b"chunked" else _At.CLOSE
            return True
        # 5. and 6. Content-Length: one number, perhaps repeated.
        lengths = set(head.values(b"content-length"))
        if len(lengths) > 1:
            return self._unreadable("several Content-Length fields that differ")
        if lengths:
            text = lengths.pop()
            if not text.isdigit() or len(text) > MAX_LENGTH_DIGITS:
                return self._unreadable("a Content-Length that is no number")
            self._at = _At.LENGTH
            self._offset += int(text)
            return True
        # 8. To the close of the connection.
        self._at = _At.CLOSE
        return False

    def _read_length(self) -> bool:
        if self._size >= self._offset <= self._cap:
            self._end(Ending.COMPLETE, self._offset)
        return False

    def _read_chunk_size(self) -> bool:
        newline = self._data.find(b"\n", self._offset, self._offset + MAX_CHUNK_LINE)
        if newline < 0:
            if len(self._data) - self._offset >= MAX_CHUNK_LINE:
                return self._unreadable("a chunk whose size cannot be read")
            return False
        match = _CHUNK_LINE.match(self._data, self._offset)
        if match is None or len(match[1]) > MAX_CHUNK_DIGITS:
            return self._unreadable("a chunk whose size cannot be read")
        size = int(match[1], 16)
        self._offset = match.end() + size
        self._at = _At.CHUNK_DATA if size else _At.TRAILER
        return True

    def _read_chunk_data(self) -> bool:
        if len(self._data) < self._offset:
            return False
        self._at = _At.CHUNK_END
        return True

    def _read_chunk_end(self) -> bool:
        rest = bytes(self._data[self._offset : self._offset + 2])
        if rest in (b"", b"\r"):
            return False
        if not rest.startswith((b"\n", b"\r\n")):
            return self._unreadable("a chunk that does not end where its size says")
        self._offset += 1 if rest[:1] == b"\n" else 2
        self._at = _At.CHUNK_SIZE
        return True

    def _read_trailer(self) -> bool:
        newline = self._data.find(b"\n", self._offset, self._offset + self._max_head)
        if newline < 0:
            if len(self._data) - self._offset >= self._max_head:
                self._end(Ending.LENGTH, self._offset + self._max_head, "cut in a trailer section without an end")
            return False
        empty = not self._data[self._offset : newline].rstrip(b"\r")
        self._offset = newline + 1
        if empty and self._offset <= self._cap:
            self._end(Ending.COMPLETE, self._offset)
        return not empty

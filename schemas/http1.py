"""HTTP/1.x messages as they lie in stored blocks: head, framing, payload, entity body.

Pure reading of bytes that are all there (RFC 9112). Tolerant where servers are sloppy (bare LF, odd white
space), never guessing silently: what could not be read is said in `truncation`. Reading from a socket is left
to `ingest.recorder`. Two notions of payload are in use in the world: the body after all transfer-codings
(`ResponseView.payload`; what ISO 28500:2017 5.9 means) and the body with its chunk framing
(`payload_with_framing`; what several tools hash).
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Final

from schemas.errors import InvalidValue

#: Bytes of one message head; servers send at most some ten thousand, and parsing is linear in it.
MAX_HTTP_HEAD: Final = 1024 * 1024

#: Digits of a chunk size in hex: 16 digits are 2^64, more are an attack on the parser (RFC 9112 section 7.1).
MAX_CHUNK_SIZE_DIGITS: Final = 16

#: Bytes that a gzip or deflate *transfer*-coding may expand to; nearly nobody sends one.
MAX_TRANSFER_DECODED: Final = 256 * 1024 * 1024

#: Layers of transfer- or content-coding that are undone; each layer multiplies what a bomb can do.
MAX_CODINGS: Final = 4

#: Bytes given to the decompressor's output at a time, so that a limit is overshot by no more than this.
_INFLATE_STEP: Final = 1024 * 1024

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/([0-9])\.([0-9])[ \t]+([0-9]{3})(?:[ \t]+([^\r\n]*))?[ \t]*")
_REQUEST_LINE: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]+([^ \t\r\n]+)[ \t]+HTTP/([0-9])\.([0-9])[ \t]*"
)
_CHUNK_LINE: Final = re.compile(rb"[ \t]*([0-9A-Fa-f]+)[ \t]*(?:;[^\n]*)?\r?\n")
_NEWLINE: Final = re.compile(rb"\r?\n")

#: How the end of a body was found.
FRAMINGS: Final = ("none", "length", "chunked", "close", "unreadable")


@dataclass(frozen=True, kw_only=True, slots=True)
class ResponseView:
    """A response as it lies in a block.

    `head` is its exact bytes with the blank line; `body` all that follows.
    """

    status: int | None  # None where the head cannot be read
    reason: str
    version: str  # "1.1"
    headers: tuple[tuple[str, str], ...]  # latin-1, in order
    head: bytes
    body: bytes
    payload: (
        bytes | None
    )  # after all transfer-codings, before content-decoding; None where the head cannot be read
    complete: bool  # False where the message is shorter than it says, or says so in a way that cannot be read
    truncation: (
        str | None
    )  # disconnect (short), length (a limit here), unspecified (unreadable); None if complete
    framing: str  # one of FRAMINGS
    trailing: bytes = b""  # bytes after the message's end
    informational: tuple[bytes, ...] = ()  # heads of 1xx responses before it

    def get(self, name: str) -> str | None:
        """The first value of a header, by case-insensitive name, or None."""
        wanted = name.lower()
        for key, value in self.headers:
            if key.lower() == wanted:
                return value
        return None

    def all(self, name: str) -> list[str]:
        """Every value of a header, by case-insensitive name."""
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestView:
    """A request as it lies in a block."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    head: bytes
    body: bytes

    def get(self, name: str) -> str | None:
        """The first value of a header, by case-insensitive name, or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


def parse_response(block: bytes, *, method: str = "GET") -> ResponseView:
    """Read the response in a block; never raises. 1xx heads before it are skipped and kept in
    `informational`.

    `method` is that of the request: the answer to HEAD has no body (RFC 9112 section 6.3).
    """
    found = _find_head(block)
    return _response(found, block, block[found.end :], method)


def parse_response_head(block: bytes | memoryview, *, method: str = "GET") -> ResponseView:
    """As `parse_response`, of all up to the body, which is left where it stands: the view is that of an empty body.

    Never raises. Of a block without a readable head, the whole is looked at.
    """
    found = _find_head(block)
    return _response(found, block, b"", method)


def _response(found: _Head, block: bytes | memoryview, body: bytes, method: str) -> ResponseView:
    if found.match is None:
        return _unreadable(bytes(block[found.start :]), found.informational)
    status = int(found.match[3])
    head = bytes(block[found.start : found.end])
    headers = _parse_headers(head)
    read = _read_body(body, status=status, method=method, headers=headers)
    return ResponseView(
        status=status,
        reason=(found.match[4] or b"").decode("latin-1").rstrip(" \t"),
        version=f"{int(found.match[1])}.{int(found.match[2])}",
        headers=headers,
        head=head,
        body=body,
        payload=read.payload,
        complete=read.truncation is None,
        truncation=read.truncation,
        framing=read.framing,
        trailing=body[read.end :],
        informational=found.informational,
    )


def plain_payload(head: ResponseView, size: int, *, method: str = "GET") -> slice | None:
    """Where in a block of `size` bytes the payload of its response stands, of which this is the head.

    None where a transfer-coding has to be undone first, or the head cannot be read. Never raises.
    """
    if head.status is None:
        return None
    start = sum(map(len, head.informational)) + len(head.head)
    end = _plain_end(size - start, status=head.status, method=method, headers=head.headers)
    return None if end is None else slice(start, start + end.end)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Head:
    start: int  # of the final response's head, or of what cannot be read as one
    end: int  # offset after its blank line
    match: re.Match[bytes] | None  # of its status line; None where there is no readable head
    informational: tuple[bytes, ...]  # 1xx heads before it


def _find_head(block: bytes | memoryview) -> _Head:
    informational: list[bytes] = []
    start = 0
    while True:
        end = _find_head_end(block, start)
        match = None if end is None else _STATUS_LINE.fullmatch(_first_line(bytes(block[start:end])))
        if match is None or end is None:
            return _Head(start=start, end=len(block), match=None, informational=tuple(informational))
        status = int(match[3])
        if not 100 <= status < 200 or status == 101:
            return _Head(start=start, end=end, match=match, informational=tuple(informational))
        informational.append(bytes(block[start:end]))
        start = end


def parse_request(block: bytes) -> RequestView:
    """Read the request in a block. Raises InvalidValue where it has no readable head."""
    head_end = _find_head_end(block, 0)
    match = None if head_end is None else _REQUEST_LINE.fullmatch(_first_line(block[:head_end]))
    if match is None or head_end is None:
        raise InvalidValue("not an HTTP/1 request: no readable head")
    head = block[:head_end]
    return RequestView(
        method=match[1].decode("ascii"),
        target=match[2].decode("latin-1"),
        version=f"{int(match[3])}.{int(match[4])}",
        headers=_parse_headers(head),
        head=head,
        body=block[head_end:],
    )


def print_head(start_line: str, headers: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> bytes:
    """A message head with CRLF line ends and the closing blank line.

    Raises InvalidValue for CR, LF or NUL in it.
    """
    lines = [start_line, *(f"{name}: {value}" for name, value in headers)]
    if any(char in line for line in lines for char in "\r\n\0"):
        raise InvalidValue("CR, LF or NUL cannot stand in an HTTP head")
    try:
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    except UnicodeEncodeError as error:
        raise InvalidValue("an HTTP head holds latin-1 characters only") from error


def print_chunked(pieces: list[bytes]) -> bytes:
    """A body in chunked transfer-coding, one chunk a non-empty piece, terminated (RFC 9112 section 7.1)."""
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece]
    return b"".join(chunks) + b"0\r\n\r\n"


def payload_with_framing(view: ResponseView) -> bytes:
    """The body with its chunk framing, up to the end of the block: the other interpretation of a payload."""
    return view.body


def entity_body(view: ResponseView, limit: int) -> tuple[bytes, str | None]:
    """Undo the content-codings gzip and deflate of the payload: (at most `limit` bytes, what was cut).

    What was cut: `limit` (more would have come), `truncated` (the coded bytes end early or break off
    damaged), `not-encoded` (a coding is declared but was never applied: the payload is given as it stands),
    or None. Raises InvalidValue where there is no payload, or for a coding that the standard library cannot
    decode (br, zstd).
    """
    if view.payload is None:
        raise InvalidValue("the response has no readable head and so no entity body")
    codings = [c for c in _tokens(view.all("Content-Encoding")) if c != "identity"]
    if len(codings) > MAX_CODINGS:
        raise InvalidValue(f"more than {MAX_CODINGS} content-codings, one inside the other")
    data, cut = view.payload, None
    for coding in reversed(codings):
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise InvalidValue(
                f"content-coding {coding[:20]!r} cannot be decoded here", remedy="decode it above"
            )
        data, layer = _decompress(data, coding, limit)
        cut = cut or layer
    if len(data) > limit:
        data, cut = data[:limit], "limit"
    return data, cut


@dataclass(frozen=True, kw_only=True, slots=True)
class _Body:
    payload: bytes
    end: int  # offset in the body of the first byte after the message
    framing: str
    truncation: str | None


def _read_body(body: bytes, *, status: int, method: str, headers: tuple[tuple[str, str], ...]) -> _Body:
    plain = _plain_end(len(body), status=status, method=method, headers=headers)
    if plain is None:
        return _read_transfer_coded(body, _transfer_codings(headers))
    return _Body(payload=body[: plain.end], end=plain.end, framing=plain.framing, truncation=plain.truncation)


@dataclass(frozen=True, slots=True)
class _End:
    end: int  # offset in the body of the first byte after the message
    framing: str
    truncation: str | None


def _plain_end(size: int, *, status: int, method: str, headers: tuple[tuple[str, str], ...]) -> _End | None:
    """The end of a body of which `size` bytes are there, by the rules of RFC 9112 section 6.3, in their order.

    None where a transfer-coding says it.
    """
    # 1. and 2. No body, whatever the headers say.
    if method.upper() == "HEAD" or status in (101, 204, 304):
        return _End(0, "none", None)
    # 3. Transfer-Encoding overrides Content-Length.
    if _transfer_codings(headers):
        return None
    # 4. and 5. Content-Length: one value, perhaps repeated; else the framing cannot be read.
    lengths = set(_tokens([v for k, v in headers if k.lower() == "content-length"]))
    if lengths:
        length = next(iter(lengths))
        if len(lengths) > 1 or not (length.isascii() and length.isdigit() and len(length) < 19):
            return _End(size, "unreadable", "unspecified")
        return _End(min(int(length), size), "length", "disconnect" if size < int(length) else None)
    # 7. Else the body ends where the connection closed; whether it was whole cannot be told.
    return _End(size, "close", None)


def _transfer_codings(headers: tuple[tuple[str, str], ...]) -> list[str]:
    return [c for c in _tokens([v for k, v in headers if k.lower() == "transfer-encoding"]) if c != "identity"]


def _read_transfer_coded(body: bytes, codings: list[str]) -> _Body:
    chunked = codings[-1] == "chunked"
    if chunked:
        payload, end, truncation = dechunk(body)
        if (
            end == 0 and truncation == "unspecified"
        ):  # declared, but the body was never chunked: keep it as it is
            return _Body(payload=body, end=len(body), framing="unreadable", truncation="unspecified")
    else:
        payload, end, truncation = body, len(body), None
    framing = "chunked" if chunked else "close"
    inner = [coding for coding in codings if coding != "chunked"]
    if len(inner) > MAX_CODINGS or any(coding not in ("gzip", "x-gzip", "deflate") for coding in inner):
        return _Body(payload=payload, end=end, framing=framing, truncation="unspecified")
    for coding in reversed(inner):
        payload, cut = _decompress(payload, coding, MAX_TRANSFER_DECODED)
        if cut is not None and truncation is None:
            # The message ended where its framing says (RFC 9112 section 8); what it carries cannot be read to an end.
            truncation = "length" if cut == "limit" else "unspecified"
    return _Body(payload=payload, end=end, framing=framing, truncation=truncation)


def dechunk(body: bytes) -> tuple[bytes, int, str | None]:
    """Undo the chunked transfer-coding (RFC 9112 section 7.1): (payload, offset after the trailer section,
    cut).

    What was cut: `disconnect` where the bytes end before the terminator, `unspecified` where a chunk cannot
    be read (the payload is what came before it), or None.
    """
    pieces: list[bytes] = []
    at = 0
    while True:
        line = _CHUNK_LINE.match(body, at)
        if line is None or len(line[1]) > MAX_CHUNK_SIZE_DIGITS:
            rest = body[at : at + MAX_CHUNK_SIZE_DIGITS]
            ended = line is None and b"\n" not in body[at:] and (not rest or _could_begin_chunk(body[at:]))
            return b"".join(pieces), at, "disconnect" if ended else "unspecified"
        size = int(line[1], 16)
        if size == 0:
            end = _trailer_end(body, line.end())
            return (
                b"".join(pieces),
                len(body) if end is None else end,
                None if end is not None else "disconnect",
            )
        start, stop = line.end(), line.end() + size
        pieces.append(body[start:stop])
        if stop > len(body):  # 16 digits may tell of more bytes than an offset can
            return b"".join(pieces), len(body), "disconnect"
        closing = _NEWLINE.match(body, stop)
        if closing is None:
            if len(body) < stop + 2 and body[stop:] in (b"", b"\r"):
                return b"".join(pieces), len(body), "disconnect"
            return b"".join(pieces), stop, "unspecified"
        at = closing.end()


def _could_begin_chunk(rest: bytes) -> bool:
    return re.fullmatch(rb"[ \t]*[0-9A-Fa-f]{0,16}[ \t]*(?:;[^\n]*)?\r?", rest) is not None


def _trailer_end(body: bytes, at: int) -> int | None:
    """Offset after the trailer section that begins at `at`: fields, then an empty line.

    None where it is cut off.
    """
    while True:
        newline = body.find(b"\n", at)
        if newline < 0:
            return None
        if body[at:newline].rstrip(b"\r") == b"":
            return newline + 1
        at = newline + 1


def _decompress(data: bytes, coding: str, limit: int) -> tuple[bytes, str | None]:
    if coding == "deflate":
        return _inflate_deflate(data, limit)
    if not data:
        return b"", None
    if not data.startswith(b"\x1f\x8b"):
        return data, "not-encoded"
    return _inflate_members(data, limit)


def _inflate_members(data: bytes, limit: int) -> tuple[bytes, str | None]:
    """All gzip members in turn (RFC 1952 2.2); what follows and is no member is ignored, as gzip does."""
    out = bytearray()
    while data.startswith(b"\x1f\x8b"):
        inflater = zlib.decompressobj(wbits=31)
        cut = _inflate_into(out, inflater, data, limit)
        if cut is not None:
            return bytes(out[:limit]), cut
        data = inflater.unused_data
    return bytes(out), None


def _inflate_deflate(data: bytes, limit: int) -> tuple[bytes, str | None]:
    """`deflate` means zlib (RFC 9110 8.4.1.2), but some servers send the bare stream."""
    if not data:
        return b"", None
    for wbits in (15, -15):
        out = bytearray()
        cut = _inflate_into(out, zlib.decompressobj(wbits=wbits), data, limit)
        if cut is None or out:
            return bytes(out[:limit]), cut
    return data, "not-encoded"


def _inflate_into(out: bytearray, inflater: zlib._Decompress, data: bytes, limit: int) -> str | None:
    pending = data
    try:
        while True:
            piece = inflater.decompress(pending, _INFLATE_STEP)
            out += piece
            if len(out) > limit:
                return "limit"
            if inflater.eof:
                return None
            pending = inflater.unconsumed_tail
            if not pending and not piece:
                return "truncated"
    except zlib.error:
        return "truncated"


def _unreadable(block: bytes, informational: tuple[bytes, ...]) -> ResponseView:
    return ResponseView(
        status=None,
        reason="",
        version="",
        headers=(),
        head=b"",
        body=block,
        payload=None,
        complete=False,
        truncation="unspecified" if _HEAD_END.search(block, 0, MAX_HTTP_HEAD) else "disconnect",
        framing="unreadable",
        informational=informational,
    )


def _find_head_end(block: bytes | memoryview, start: int) -> int | None:
    """Offset after the blank line that ends a head; LF and CRLF count alike."""
    match = _HEAD_END.search(block, start, start + MAX_HTTP_HEAD)
    return None if match is None else match.end()


def _first_line(head: bytes) -> bytes:
    return head.split(b"\n", 1)[0].rstrip(b"\r")


def _parse_headers(head: bytes) -> tuple[tuple[str, str], ...]:
    """Fields after the first line; folded lines are joined, lines without a colon are passed over."""
    fields: list[tuple[str, str]] = []
    for raw in head.split(b"\n")[1:]:
        line = raw.rstrip(b"\r").decode("latin-1")
        if line[:1] in (" ", "\t"):
            if fields:
                name, value = fields[-1]
                more = line.strip(" \t")
                fields[-1] = (name, f"{value} {more}".strip(" \t"))
            continue
        name, colon, value = line.partition(":")
        if colon and name.strip(" \t"):
            fields.append((name.strip(" \t"), value.strip(" \t")))
    return tuple(fields)


def _tokens(values: list[str]) -> list[str]:
    """The elements of a comma-separated list field, lower case, without parameters."""
    if not values:
        return []
    elements = (element.split(";")[0].strip(" \t").lower() for value in values for element in value.split(","))
    return [element for element in elements if element]

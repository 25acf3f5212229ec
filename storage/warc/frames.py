"""Records of any WARC file, framed tolerantly: what stands where, and what is wrong with the framing.

For the validator and the import: it goes on behind damage where it can. What the fields mean is left to `fields`,
digests to `check`, zstd frames to `zst`. Sources: ISO 28500:2017 section 4 and annex D, RFC 1952.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from zlib_ng import zlib_ng

from schemas.records import MAX_RECORD_HEAD, bare_id
from storage.warc.members import MAX_RECORD
from storage.warc.rules import FIELD_NAME
from storage.warc.zst import ZSTD_MAGICS, read_frames

Buffer = bytes | mmap.mmap

_CHUNK: Final = 1 << 18
_GZIP_WBITS: Final = 31
_GZIP: Final = b"\x1f\x8b\x08"
_VERSION: Final = re.compile(rb"WARC/([0-9]+\.[0-9]+)[ \t]*\r?\n")
_BLANKS: Final = re.compile(rb"[\r\n]*")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# RFC 2047 section 2: charset and encoding are tokens, the encoded text is not empty; 75 characters at most.
_ENCODED_OPENING: Final = re.compile(r"=\?[!#$%&'*+\-0-9A-Z^_`a-z{|}~]+\?[BbQq]\?")
_ENCODED_WORD: Final = re.compile(r"(?=.{1,75}?\?=)" + _ENCODED_OPENING.pattern + r"[!->@-~]+\?=")
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_GzipError: Final[type[Exception]] = zlib_ng.error  # type: ignore[assignment]  # its stub calls it an instance


class Say(Protocol):
    """Takes one finding about the framing."""

    def __call__(
        self, offset: int, rule: str, section: str, severity: str, message: str, record_id: str | None = None
    ) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A record as found. Values are unfolded; names are as written."""

    offset: int  # bytes from the start of the file to the record, or to the gzip member or zstd frame that holds it
    length: int  # bytes of the record, or of the member or frame, in the file
    start: int  # bytes from the start of the uncompressed content at `offset` to the record; 0 where it stands alone
    size: int  # bytes of the uncompressed record, from its version line to the end of its block
    version: str  # "1.1"
    fields: tuple[tuple[str, str], ...]
    head: bytes  # version line, fields and blank line, as they stand
    block: bytes
    complete: bool  # False where the block is shorter than it says, or its length is unknown
    damaged: bool = False  # True where the member that holds it is cut off or fails its checksum

    def get(self, name: str) -> str | None:
        """The first value of a field, by lower-case name, or None."""
        return next((value for key, value in self.fields if key.lower() == name), None)

    @property
    def type(self) -> str:
        """WARC-Type in lower case; empty where there is none."""
        return (self.get("warc-type") or "").lower()

    @property
    def record_id(self) -> str | None:
        """WARC-Record-ID without angle brackets, or None."""
        value = self.get("warc-record-id")
        return bare_id(value) if value else None


def walk(data: Buffer, say: Say) -> Iterator[Frame]:
    """Every record of a file, in order; what is wrong with the framing goes to `say`."""
    if len(data) == 0:
        say(0, "empty-file", "4", "error", "the file holds no record")
    elif data[:2] == _GZIP[:2]:
        yield from _walk_gzip(data, say)
    elif data[:4] in ZSTD_MAGICS:
        yield from _walk_zstd(data, say)
    else:
        yield from _walk_records(data, say, member=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """Where the compressed unit stands whose content is walked."""

    offset: int  # bytes from the start of the file
    length: int  # bytes in the file
    damaged: bool = False


def _walk_gzip(data: Buffer, say: Say) -> Iterator[Frame]:
    position, shared = 0, False
    while position < len(data):
        if data[position : position + 3] != _GZIP:
            following = _next_member(data, position)
            say(position, "garbage", "D.2", "error", f"{following - position} bytes that are no gzip member")
            position = following
            continue
        content, taken, problem = inflate(data, position)
        if problem:
            say(position, "gzip-member", "D.2", "error", problem)
        after = position + taken if taken else _next_member(data, position + 1)
        count = 0
        member = Member(offset=position, length=after - position, damaged=problem is not None)
        for frame in _walk_records(content, say, member=member):
            count += 1
            yield frame
        if count > 1 and not shared:
            shared = True
            say(position, "record-at-a-time", "D.2", "warning", f"one gzip member holds {count} records")
        if count == 0 and not content:
            say(position, "gzip-member", "D.2", "warning", "an empty gzip member")
        position = after


def _walk_zstd(data: Buffer, say: Say) -> Iterator[Frame]:
    """A file of the IIPC's proposed WARC-zstd format: a frame, or several, a record."""
    shared = False
    for unit in read_frames(data):
        if unit.problem is not None:
            say(unit.offset, "zstd-frame", "D.1", "error", unit.problem)
        count = 0
        member = Member(offset=unit.offset, length=unit.length, damaged=unit.problem is not None)
        for frame in _walk_records(unit.content, say, member=member):
            count += 1
            yield frame
        if count > 1 and not shared:
            shared = True
            say(unit.offset, "record-at-a-time", "D.2", "warning", f"one zstd frame holds {count} records")


def inflate(data: Buffer, start: int) -> tuple[bytes, int, str | None]:
    """Of the gzip member at `start`: content so far, bytes or 0 where its end is unknown, what is wrong with it."""
    inflater = zlib_ng.decompressobj(_GZIP_WBITS)
    pieces: list[bytes] = []
    position, held = start, 0
    while position < len(data):
        chunk = data[position : position + _CHUNK]
        try:
            piece: bytes = inflater.decompress(chunk, MAX_RECORD + 1 - held)
        except _GzipError as error:
            return b"".join(pieces), 0, f"the gzip member is damaged ({error})"
        pieces.append(piece)
        held += len(piece)
        position += len(chunk)
        if inflater.eof:
            return b"".join(pieces), position - len(inflater.unused_data) - start, None
        if held > MAX_RECORD:
            return b"".join(pieces), 0, f"a gzip member of more than {MAX_RECORD} bytes is not read further"
    return b"".join(pieces), len(data) - start, f"the gzip member is cut off after {len(data) - start} bytes"


def _next_member(data: Buffer, start: int) -> int:
    """Where the next member that begins with a record begins; the end of the file where there is none."""
    while True:
        found = data.find(_GZIP, start)
        if found < 0:
            return len(data)
        try:
            begin = zlib_ng.decompressobj(_GZIP_WBITS).decompress(data[found : found + _CHUNK], 5)
        except _GzipError:
            begin = b""
        if begin == b"WARC/":
            return found
        start = found + 1


def _walk_records(data: Buffer, say: Say, *, member: Member | None) -> Iterator[Frame]:
    """Records in uncompressed data. Findings tell the offset of the `member` that holds them, or that in the file."""
    position = 0
    while position < len(data):
        where = position if member is None else member.offset
        if _VERSION.match(data, position) is None:
            following = _next_record(data, position)
            what = "white space" if _BLANKS.fullmatch(data, position, following) else "something else"
            say(where, "garbage", "4", "error", f"{following - position} bytes of {what} where a record should begin")
            position = following
            continue
        start = position
        frame, position = _frame(data, start, where, say)
        if frame is None:
            continue
        if member is None:
            yield replace(frame, start=0, length=position - start)
        else:
            yield replace(frame, length=member.length, damaged=member.damaged)


def parse_frame(raw: bytes) -> Frame | None:
    """The one record that these bytes begin with; None where they begin with none."""
    if _VERSION.match(raw) is None:
        return None
    frame, _ = _frame(raw, 0, 0, lambda *finding: None)
    return frame


def _next_record(data: Buffer, start: int) -> int:
    """Where the next line that begins a record begins; the end of the data where there is none."""
    while True:
        found = data.find(b"WARC/", start)
        if found < 0:
            return len(data)
        if (found == 0 or data[found - 1 : found] == b"\n") and _VERSION.match(data, found):
            return found
        start = found + 1


def _frame(data: Buffer, start: int, where: int, say: Say) -> tuple[Frame | None, int]:
    """The record that begins at `start`, and where to go on."""
    lines, body = _header_lines(data, start)
    if body is None:
        following = _next_record(data, start + 1)
        say(where, "header-end", "4", "error", "no blank line ends the header")
        return None, following
    if any(not line.endswith(b"\r\n") for line in lines):
        say(where, "line-end", "4", "error", "header lines end with LF alone, not with CRLF")
    version = lines[0].strip()[5:].decode("latin-1")
    fields = tuple(_fields(lines[1:], where, say))
    frame = Frame(
        offset=where,
        length=0,
        start=start,
        size=body - start,
        version=version,
        fields=fields,
        head=bytes(data[start:body]),
        block=b"",
        complete=False,
    )
    length = frame.get("content-length")
    if length is None or _DIGITS.fullmatch(length) is None:
        # What is wrong with the field is said by `fields`; here only the way on is sought.
        return frame, _next_record(data, body)
    end = body + int(length)
    block = data[body : min(end, len(data), body + MAX_RECORD)]
    complete = len(block) == int(length)
    frame = replace(frame, size=body - start + len(block), block=block, complete=complete)
    if complete and data[end : end + 4] == b"\r\n\r\n":
        return frame, end + 4
    return frame, _after_odd_end(data, body, end, where, frame.record_id, say)


def _after_odd_end(data: Buffer, body: int, end: int, where: int, record_id: str | None, say: Say) -> int:
    """Tell how a record ends that does not end with two CRLF behind its block; where to go on."""
    if end > len(data):
        missing = end - len(data)
        say(where, "truncated", "4", "error", f"the file ends {missing} bytes before the block does", record_id)
        return min(_next_record(data, body), len(data))
    blanks = _BLANKS.match(data, end)
    stop = blanks.end() if blanks else end
    if stop == len(data) or _VERSION.match(data, stop):
        found = bytes(data[end:stop])
        say(where, "record-end", "4", "error", f"the block is followed by {found!r}, not by two CRLF", record_id)
        return stop
    message = "no two CRLF stand behind the block: Content-Length is wrong, or something was put in between"
    say(where, "record-end", "5.3", "error", message, record_id)
    inside = _next_record(data, body)
    return inside if inside < end else end


def _header_lines(data: Buffer, start: int) -> tuple[list[bytes], int | None]:
    """Lines of the header with their ends, and where the block begins; None where no blank line comes in time."""
    lines: list[bytes] = []
    position, limit = start, min(len(data), start + MAX_RECORD_HEAD)
    while True:
        end = data.find(b"\n", position, limit)
        if end < 0:
            return lines, None
        line = data[position : end + 1]
        position = end + 1
        if line in (b"\r\n", b"\n"):
            return lines, position
        lines.append(line)


def _fields(lines: list[bytes], where: int, say: Say) -> Iterator[tuple[str, str]]:
    """Named fields, unfolded (section 4: a line that begins with white space continues the one before)."""
    unfolded: list[bytes] = []
    for line in lines:
        text = line.rstrip(b"\r\n")
        if text[:1] in (b" ", b"\t") and unfolded:
            unfolded[-1] += b" " + text.strip(b" \t")
        else:
            unfolded.append(text)
    for raw in unfolded:
        try:
            text_line = raw.decode("utf-8")
        except UnicodeDecodeError:
            say(where, "encoding", "4", "error", f"a header line that is not UTF-8: {raw[:80]!r}")
            text_line = raw.decode("latin-1")
        name, colon, value = text_line.partition(":")
        if not colon or FIELD_NAME.fullmatch(name) is None:
            say(where, "header-line", "4", "error", f"not a named field: {text_line[:80]!r}")
            if not colon:
                continue
        value = value.strip(" \t")
        if _CONTROL.search(value):
            say(where, "control-character", "4", "error", f"a control character in {name[:60]}: {value[:80]!r}")
        _check_encoded_words(name, value, where, say)
        yield name.strip(), value


def _check_encoded_words(name: str, value: str, where: int, say: Say) -> None:
    """Section 4: encoded-words of RFC 2047 may stand in fields, and readers shall understand them.

    So a value that opens one, `=?charset?Q?`, and is none cannot be read in one way only. RFC 2047 section 5 would
    have white space around an encoded-word; ISO 28500 says nothing of the kind, and no field of its own could then
    hold one.
    """
    for opening in _ENCODED_OPENING.finditer(value):
        if _ENCODED_WORD.match(value, opening.start()) is None:
            found = value[opening.start() :][:60]
            message = f"{name[:60]} opens an RFC 2047 encoded-word that cannot be decoded: {found!r}"
            say(where, "encoded-word", "4", "error", message)
        else:
            message = f"{name[:60]} holds an RFC 2047 encoded-word, which few readers decode: {value[:80]!r}"
            say(where, "encoded-word", "4", "warning", message)

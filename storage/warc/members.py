"""Gzip members: one record each, so that any record can be read, and later be blotted out, where it stands.

ISO 28500:2017 annex D.2 (record-at-a-time compression), RFC 1952. What is inside a member is left to
`reader`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import deflate
from zlib_ng import zlib_ng

from schemas.errors import DamageError

#: Bytes below which no member of ours falls: a tombstone of the same length must fit in its place later.
MIN_MEMBER: Final = 280
#: Level of libdeflate; measured in ops/decisions/0002-warc-serializer.md to give zlib-9's size.
LEVEL: Final = 6
#: Bytes that one record may decompress to: what a hostile or damaged member can make a reader hold in memory.
MAX_RECORD: Final = 1 << 30

#: Tells how many bytes the member at an offset has, where that is known.
LengthOf = Callable[[int], int | None]

# Bytes read from a file at a time: each member's rest is copied once, so larger is slower for small records.
_CHUNK: Final = 1 << 16
_GzipError: Final[type[Exception]] = zlib_ng.error  # type: ignore[assignment]  # its stub calls it an instance
# Bytes of the longest member that is read in one go: a damaged row may call for more than memory has.
_AT_ONCE: Final = 1 << 28
# Blocks shorter than this (bytes) are always deflated; longer ones are probed by two samples in one.
_PROBE_FROM: Final = 8192
_PROBE: Final = 1024  # bytes of one sample
_PROBE_RATIO: Final = 0.95  # of what deflates to less than this, the rest is worth deflating
_PROBE_LEVEL: Final = 1
# Blocks shorter than this (bytes), requests and metadata, are made into a member in one call, at a level whose tables
# are small: higher ones find no more in so little, and fill the cache.
_SMALL: Final = 4096
_SMALL_LEVEL: Final = 1
# The standard library deflates the headers before a stored body, some 2 KB, with a window and tables of that size:
# libdeflate ends every stream that it makes.
_HEAD_LEVEL: Final = 1
_HEAD_WBITS: Final = -12  # raw, a window of 4 KiB
_HEAD_MEMORY: Final = 6
_GZIP_WBITS: Final = 31  # RFC 1952 framing around a window of 32 KiB
_MAX_STORED: Final = 0xFFFF  # bytes of one stored block
_DEFLATED: Final = b"\x1f\x8b\x08"  # how a body that came gzip-encoded begins: no need to try
_BLANK_LINE: Final = b"\r\n\r\n"
# RFC 1952 2.3: the magic and deflate; flags (none, or FEXTRA); no time; XFL 0, OS 3 (Unix), as most writers put.
_PLAIN_HEADER: Final = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\x03"
_PADDED_HEADER: Final = b"\x1f\x8b\x08\x04" + bytes(4) + b"\x00\x03"
_TRAILER: Final = struct.Struct("<II")  # CRC-32, length
_FIXED: Final = len(_PLAIN_HEADER) + _TRAILER.size
# RFC 1952 2.3.1.1 subfield: two letters, then a length. "PM" holds nothing but zeros.
_PAD_ID: Final = b"PM"
_PAD_OVERHEAD: Final = 6  # XLEN, the two letters, the subfield's length


#: Bytes on their way into a file, in whatever they came.
Piece = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Member:
    """One gzip member about to be written: pieces that follow one another, so that a body need not be copied."""

    pieces: Sequence[Piece]
    length: int  # bytes of them all


def compress_member(data: bytes, *, level: int = LEVEL) -> bytes:
    """One gzip member (mtime 0, no name) of `data`, padded by an extra field to MIN_MEMBER bytes at least.

    What does not shrink (an image, a body that came gzip-encoded) is stored as it is behind its deflated
    headers.
    """
    head_end = data.find(_BLANK_LINE, 0, _PROBE_FROM) + len(_BLANK_LINE)
    head_end = 0 if head_end < len(_BLANK_LINE) else head_end
    return b"".join(make_member(data[:head_end], data[head_end:], level=level).pieces)


def make_member(head: bytes, block: bytes, tail: bytes = b"", *, level: int = LEVEL) -> Member:
    """As `compress_member` of the three in a row: a record's header, its block, and what ends the record."""
    if len(block) < _SMALL and level == LEVEL:
        whole = deflate.gzip_compress(b"".join((head, block, tail)), _SMALL_LEVEL)
        if len(whole) >= MIN_MEMBER:
            return Member((whole,), len(whole))
    crc = zlib_ng.crc32(block, zlib_ng.crc32(head))
    crc, length = zlib_ng.crc32(tail, crc), len(head) + len(block) + len(tail)
    split = _incompressible_from(block)
    if split is None:
        pieces: Sequence[Piece] = (deflate.deflate_compress(b"".join((head, block, tail)), level),)
    else:
        # A full flush ends on a byte and forgets the window, so that other blocks may follow (RFC 1951 3.2.4).
        heads = zlib.compressobj(_HEAD_LEVEL, zlib.DEFLATED, _HEAD_WBITS, _HEAD_MEMORY)
        compressed = heads.compress(head + block[:split]) + heads.flush(zlib.Z_FULL_FLUSH)
        pieces = (compressed, *_stored(memoryview(block)[split:], tail))
    return _frame(pieces, crc, length)


def _stored(body: memoryview, tail: bytes) -> Iterator[Piece]:
    """Blocks that hold both as they are, the last one marked so (RFC 1951 3.2.4). The library would copy them through
    its window.
    """
    whole = len(body) + len(tail)
    for at in range(0, max(whole, 1), _MAX_STORED):
        end = min(at + _MAX_STORED, whole)
        yield struct.pack("<BHH", end == whole, end - at, (end - at) ^ 0xFFFF)
        yield body[at:end]
        if end > len(body):
            yield tail[max(0, at - len(body)) : end - len(body)]


def _incompressible_from(block: bytes) -> int | None:
    """Where, behind the headers in it, a block begins that deflate would not make smaller; None where it pays to
    deflate.
    """
    if len(block) < _PROBE_FROM:
        return None
    http_end = block.find(_BLANK_LINE, 0, _PROBE_FROM)
    split = 0 if http_end < 0 else http_end + len(_BLANK_LINE)
    if block.startswith(_DEFLATED, split):
        return split
    half, later = len(block) // 2, len(block) * 3 // 4
    probe = block[half : half + _PROBE] + block[later : later + _PROBE]
    if len(deflate.deflate_compress(probe, _PROBE_LEVEL)) < len(probe) * _PROBE_RATIO:
        return None
    return split


def _frame(pieces: Sequence[Piece], crc: int, length: int) -> Member:
    """A gzip member around the pieces of a finished raw deflate stream."""
    size = _FIXED + sum(map(len, pieces))
    if size >= MIN_MEMBER:
        return Member((_PLAIN_HEADER, *pieces, _TRAILER.pack(crc, length & 0xFFFFFFFF)), size)
    pad = max(0, MIN_MEMBER - size - _PAD_OVERHEAD)
    extra = struct.pack("<H2sH", 4 + pad, _PAD_ID, pad) + bytes(pad)
    padded = (_PADDED_HEADER, extra, *pieces, _TRAILER.pack(crc, length & 0xFFFFFFFF))
    return Member(padded, size + len(extra))


def decompress_member(member: bytes, *, name: str, offset: int) -> bytes:
    """The content of exactly one gzip member. Raises DamageError for anything else, a byte more or less."""
    deflate = zlib_ng.decompressobj(_GZIP_WBITS)
    try:
        data: bytes = deflate.decompress(member, MAX_RECORD + 1)
    except _GzipError as error:
        raise damage(name, offset, f"not a gzip member ({error})") from error
    if len(data) > MAX_RECORD:
        raise damage(name, offset, f"a record of more than {MAX_RECORD} bytes")
    if not deflate.eof:
        raise damage(name, offset, "the gzip member is cut off")
    if deflate.unused_data:
        raise damage(name, offset, f"{len(deflate.unused_data)} bytes behind the gzip member")
    return data


def read_members(
    stream: BinaryIO, *, name: str, start: int = 0, length_of: LengthOf = lambda offset: None
) -> Iterator[tuple[int, int, bytes]]:
    """(offset, length, content) of each gzip member up to the end of the stream, whose position is `start`.

    `length_of` may know how long the member at an offset is: it is then read and inflated in one go, and where it is no
    such member, as if nothing were known. Memory is bounded by one member. Raises DamageError, with the offset of the
    member that is damaged or cut off.
    """
    offset, chunk, source = start, b"", _Again(stream)
    while True:
        length = length_of(offset)
        if length is not None and 0 < length <= _AT_ONCE:
            chunk = _at_least(source, chunk, length)
            content = _whole(chunk[:length]) if len(chunk) >= length else None
            if content is not None:
                yield offset, length, content
                offset += length
                chunk = chunk[length:]
                continue
            source.back(chunk)
            chunk = b""
        chunk = chunk or source.read(_CHUNK)
        if not chunk:
            return
        deflate = zlib_ng.decompressobj(_GZIP_WBITS)
        pieces: list[bytes] = []
        taken = held = 0
        while True:
            if not chunk:
                raise damage(name, offset, f"the gzip member is cut off after {taken} bytes")
            try:
                piece: bytes = deflate.decompress(chunk, MAX_RECORD + 1 - held)
            except _GzipError as error:
                raise damage(name, offset, f"not a gzip member ({error})") from error
            held += len(piece)
            if held > MAX_RECORD:
                raise damage(name, offset, f"a record of more than {MAX_RECORD} bytes")
            pieces.append(piece)
            taken += len(chunk)
            if deflate.eof:
                break
            chunk = source.read(_CHUNK)
        rest = deflate.unused_data
        taken -= len(rest)
        yield offset, taken, pieces[0] if len(pieces) == 1 else b"".join(pieces)
        offset += taken
        chunk = rest


class _Again:
    """A stream that takes back what was read: that is given out first, a piece at a time."""

    def __init__(self, stream: BinaryIO) -> None:
        self._held, self._stream, self._at = b"", stream, 0

    def back(self, data: bytes) -> None:
        """Take back what was read last."""
        self._held, self._at = data + self._held[self._at :], 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        if self._at == len(self._held):
            return self._stream.read(size)
        piece = self._held[self._at : self._at + size]
        self._at += len(piece)
        return piece


def _at_least(stream: _Again, chunk: bytes, length: int) -> bytes:
    """What was read already and as much more as makes `length` bytes, or all that there is."""
    pieces, held = [chunk], len(chunk)
    while held < length and (piece := stream.read(length - held)):
        pieces.append(piece)
        held += len(piece)
    return pieces[-1] if len(pieces) == 2 and not chunk else b"".join(pieces)


def _whole(member: bytes) -> bytes | None:
    """The content of exactly one gzip member; None for anything else."""
    deflate = zlib_ng.decompressobj(_GZIP_WBITS)
    try:
        data: bytes = deflate.decompress(member, MAX_RECORD + 1)
    except _GzipError:
        return None
    return data if deflate.eof and not deflate.unused_data and len(data) <= MAX_RECORD else None


def damage(name: str, offset: int, what: str) -> DamageError:
    """A DamageError that says where: segment name, and offset in bytes of the gzip member."""
    return DamageError(f"segment {name}, offset {offset}: {what}", remedy="run `pressmark audit --full`")

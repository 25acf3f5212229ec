"""Frames of Zstandard files: what `.warc.zst` is made of, so that each record can be found and read alone.

IIPC "Zstandard Compression for WARC Files" 1.0 (proposed), RFC 8878. The only room that knows zstandard. What is inside
a frame is left to `frames`; nothing here writes.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import zstandard

from schemas.errors import InvalidValue
from storage.warc.members import MAX_RECORD

Buffer = bytes | mmap.mmap

_FRAME: Final = b"\x28\xb5\x2f\xfd"
_DICTIONARY_FRAME: Final = b"\x5d\x2a\x4d\x18"
_DICTIONARY: Final = b"\x37\xa4\x30\xec"
#: What a file of this kind begins with: a frame, or the skippable frame that holds a dictionary.
ZSTD_MAGICS: Final = (_FRAME, _DICTIONARY_FRAME)
#: Bytes of a dictionary, and of the window of a frame: what the proposal asks readers to take.
MAX_DICTIONARY: Final = 1 << 23
MAX_WINDOW: Final = 1 << 27  # what zstd's own command takes without being told; Common Crawl's level 19 needs 8 MiB
_CHUNK: Final = 1 << 12  # fed at a time: a hostile kilobyte can become 32 MiB (RFC 8878 RLE blocks)
_SKIPPABLE: Final = range(0x184D2A50, 0x184D2A60)


@dataclass(frozen=True, kw_only=True, slots=True)
class ZstFrame:
    """One frame with its content."""

    offset: int  # bytes from the start of the file
    length: int  # bytes of the frame
    content: bytes  # as far as it could be read
    problem: str | None = None  # what is wrong with it, in words


def dictionary_of(data: Buffer) -> zstandard.ZstdCompressionDict | None:
    """The dictionary that a file begins with; None where it has none. Raises InvalidValue."""
    if data[:4] != _DICTIONARY_FRAME:
        return None
    (size,) = struct.unpack("<I", data[4:8]) if len(data) >= 8 else (0,)
    held = bytes(data[8 : 8 + size])
    if len(held) != size or not 4 <= size <= MAX_DICTIONARY:
        raise InvalidValue(f"the dictionary of {size} bytes is cut off, empty or larger than {MAX_DICTIONARY} bytes")
    if held[:4] == _FRAME:
        held, _, problem = _decompress(held, 0, None, MAX_DICTIONARY)
        if problem is not None:
            raise InvalidValue(f"the dictionary cannot be decompressed: {problem}")
    if held[:4] != _DICTIONARY:
        raise InvalidValue("the dictionary frame holds no zstd dictionary")
    return zstandard.ZstdCompressionDict(held, dict_type=zstandard.DICT_TYPE_FULLDICT)


def read_frames(data: Buffer) -> Iterator[ZstFrame]:
    """Every frame in order. Memory is bounded by one; behind damage the next frame is sought."""
    try:
        dictionary = dictionary_of(data)
    except (InvalidValue, zstandard.ZstdError) as error:
        yield ZstFrame(offset=0, length=len(data), content=b"", problem=str(error))
        return
    position = 0
    while position < len(data):
        magic = bytes(data[position : position + 4])
        if len(magic) == 4 and struct.unpack("<I", magic)[0] in _SKIPPABLE:
            (size,) = struct.unpack("<I", bytes(data[position + 4 : position + 8]).ljust(4, b"\0"))
            position += 8 + size
            continue
        if magic != _FRAME:
            following = _next_frame(data, position)
            problem = f"{following - position} bytes that are no zstd frame"
            yield ZstFrame(offset=position, length=following - position, content=b"", problem=problem)
            position = following
            continue
        frame = read_frame(data, position, dictionary)
        yield frame
        position += frame.length


def read_frame(data: Buffer, start: int, dictionary: zstandard.ZstdCompressionDict | None) -> ZstFrame:
    """The frame at `start`. Raises nothing for damage."""
    content, taken, problem = _decompress(data, start, dictionary, MAX_RECORD)
    length = taken or _next_frame(data, start + 1) - start
    return ZstFrame(offset=start, length=length, content=content, problem=problem)


def _next_frame(data: Buffer, start: int) -> int:
    found = data.find(_FRAME, start)
    return len(data) if found < 0 else found


def _decompress(
    data: Buffer, start: int, dictionary: zstandard.ZstdCompressionDict | None, limit: int
) -> tuple[bytes, int, str | None]:
    """(content so far, bytes of the frame or 0 where its end is unknown, what is wrong with it)."""
    decoder = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=MAX_WINDOW).decompressobj()
    pieces: list[bytes] = []
    position, held = start, 0
    try:
        while position < len(data):
            chunk = bytes(data[position : position + _CHUNK])
            piece = decoder.decompress(chunk)
            pieces.append(piece)
            held, position = held + len(piece), position + len(chunk)
            if decoder.eof:
                return b"".join(pieces), position - len(decoder.unused_data) - start, None
            if held > limit:
                return b"".join(pieces), 0, f"a zstd frame of more than {limit} bytes is not read further"
    except zstandard.ZstdError as error:
        return b"".join(pieces), 0, f"the zstd frame is damaged ({error})"
    return b"".join(pieces), len(data) - start, f"the zstd frame is cut off after {len(data) - start} bytes"

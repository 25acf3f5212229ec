"""One record of another's WARC file, found again where a walk over the file once found it.

The file may be plain, gzip or zstd, its units may hold several records. Finding records is left to `frames`, keeping
files to `storage.imports`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import DamageError, InvalidValue
from storage.warc.frames import Frame, inflate, parse_frame
from storage.warc.zst import MAX_DICTIONARY, ZSTD_MAGICS, dictionary_of, read_frame

#: How the units of a file are compressed.
COMPRESSIONS: Final = ("none", "gzip", "zstd")
_DICTIONARY_HEAD: Final = 8  # bytes: magic and length of the skippable frame that holds a dictionary
# RFC 9113 has no status line: tools make one up, and some leave out the minor version, which RFC 9112 section 4 has.
_SHORT: Final = (b"HTTP/2", b"HTTP/3")
_SHORT_VERSION: Final = re.compile(rb"\AHTTP/([23]) (?=[0-9]{3})")
_GZIP: Final = b"\x1f\x8b"

#: Reads a range of the file: start in bytes, length in bytes.
ReadRange = Callable[[int, int], bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a record stands in a file that may hold the WARC file as a part of it (WACZ)."""

    base: int  # bytes from the start of the file to the WARC file
    offset: int  # bytes from there to the record, or to the gzip member or zstd frame that holds it
    length: int  # bytes of that record, member or frame
    start: int  # bytes from the start of the uncompressed unit to the record
    size: int  # bytes of the uncompressed record, to the end of its block
    compression: str  # none | gzip | zstd

    def __post_init__(self) -> None:
        numbers = (self.base, self.offset, self.length, self.start, self.size)
        if self.compression not in COMPRESSIONS or any(type(n) is not int or n < 0 for n in numbers):
            raise InvalidValue("not the place of a record")

    def to_json(self) -> dict[str, Any]:
        """The place as JSON values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def compression_of(head: bytes) -> str:
    """How a WARC file that begins with these bytes (four or more) is compressed."""
    if head[:2] == _GZIP:
        return "gzip"
    return "zstd" if head[:4] in ZSTD_MAGICS else "none"


def place_of(frame: Frame, *, base: int, compression: str) -> Place:
    """Where a frame stands."""
    return Place(
        base=base,
        offset=frame.offset,
        length=frame.length,
        start=frame.start,
        size=frame.size,
        compression=compression,
    )


def read_raw(read: ReadRange, place: Place) -> bytes:
    """The uncompressed record at a place, from its version line to the end of its block. Raises DamageError."""
    unit = read(place.base + place.offset, place.length)
    content, problem = unit, None
    if place.compression == "gzip":
        content, _, problem = inflate(unit, 0)
    elif place.compression == "zstd":
        try:
            frame = read_frame(unit, 0, dictionary_of(_dictionary_part(read, place.base)))
        except InvalidValue as error:
            raise DamageError(error.message) from error
        content, problem = frame.content, frame.problem
    if problem is not None:
        raise DamageError(problem)
    raw = content[place.start : place.start + place.size]
    if len(raw) != place.size:
        raise DamageError(f"the record of {place.size} bytes is cut off after {len(raw)}")
    return raw


def _dictionary_part(read: ReadRange, base: int) -> bytes:
    """The dictionary frame that the file begins with, or what else it begins with."""
    head = read(base, _DICTIONARY_HEAD)
    if head[:4] != ZSTD_MAGICS[1]:
        return head
    size = min(int.from_bytes(head[4:8], "little"), MAX_DICTIONARY + 1)
    return head + read(base + _DICTIONARY_HEAD, size)


def readable(block: bytes) -> bytes:
    """The block of a response with a status line of HTTP/1.x form, where a browser's tool wrote `HTTP/2 200`."""
    return _SHORT_VERSION.sub(rb"HTTP/\1.0 ", block, count=1) if block[:6] in _SHORT else block


def frame_of(raw: bytes) -> Frame:
    """The record that `read_raw` gave. Raises DamageError where it is none."""
    frame = parse_frame(raw)
    if frame is None or not frame.complete:
        raise DamageError("the bytes are no whole WARC record")
    return frame

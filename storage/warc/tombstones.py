"""Tombstones: gzip members of exactly the length of the one that they stand for, so that nothing else in a file moves.

A tombstone is a `metadata` record (ISO 28500:2017 6.6) with the codes of the redaction, the place of its entry in the
log, and `WARC-Refers-To` the record that is gone; no URL, no digest of what was there, and no nonce, for it hides
nothing. What the codes do not fill is padding inside the gzip member: an extra field (RFC 1952 2.3.1.1), a comment
where less is missing than an extra field takes, and, where more, stored blocks of no bytes (RFC 1951 3.2.4). What is
erased, and when, is left to `storage.redaction`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from zlib_ng import zlib_ng

from schemas import canonical
from schemas.digests import Digest
from schemas.errors import InvalidValue
from schemas.instants import warc_date
from storage.warc.drafts import new_record_id
from storage.warc.records import print_head

#: Header that makes a metadata record a tombstone: index of the `redaction` entry, slash, place among its targets.
TOMBSTONE: Final = "Pressmark-Redaction"
TOMBSTONE_FORMAT: Final = "pressmark-tombstone/1"

_VALUE: Final = re.compile(r"(0|[1-9][0-9]{0,15})/(0|[1-9][0-9]{0,8})")
_END: Final = b"\r\n\r\n"
_RAW_WBITS: Final = -15
#: RFC 1952: no flags, mtime 0, XFL 0, OS 3 (Unix).
_MAGIC: Final = b"\x1f\x8b\x08"
_FEXTRA: Final = 4
_FCOMMENT: Final = 16
_TAIL_OF_HEADER: Final = b"\x00\x03"
_HEADER: Final = 10  # bytes
_PAD_ID: Final = b"PM"
_PAD_OVERHEAD: Final = 6  # XLEN, the two letters, the subfield's length
_MAX_PAD: Final = 60_000  # bytes of an extra field, whose length has 16 bits
#: A stored block of no bytes, and the same as the last block of a stream.
_EMPTY: Final = b"\x00\x00\x00\xff\xff"
_LAST: Final = b"\x01\x00\x00\xff\xff"

#: From the fullest form to the shortest: with codes, with the warcinfo's id, with a block digest.
_FORMS: Final = ((True, True, True), (True, True, False), (True, False, False), (False, False, False))


class _Headed(Protocol):
    @property
    def type(self) -> str: ...
    def header(self, name: str) -> str | None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Tombstone:
    """What a tombstone says."""

    entry: int  # index of the redaction entry
    place: int  # of the erased record's digest among the entry's targets, from 0
    refers_to: str  # id of the erased record
    code: str
    authority: str
    date: datetime  # of the redaction


def tombstone_member(stone: Tombstone, *, warcinfo_id: str | None, length: int) -> bytes:
    """The gzip member of a tombstone, `length` bytes long. Raises InvalidValue where it cannot be so short.

    Where there is little room, first the block digest is left out, then the warcinfo's id, then the codes, which the
    entry has.
    """
    for content in _contents(stone, warcinfo_id):
        deflate = zlib_ng.compressobj(9, zlib_ng.DEFLATED, _RAW_WBITS)
        body = deflate.compress(content) + deflate.flush(zlib_ng.Z_FULL_FLUSH)
        trailer = struct.pack("<II", zlib_ng.crc32(content), len(content))
        gap = length - _HEADER - len(body) - len(_LAST) - len(trailer)
        if gap >= 0:
            flags, extra, blocks = _padding(gap)
            return b"".join((_MAGIC, bytes((flags,)), bytes(4), _TAIL_OF_HEADER, extra, body, blocks, _LAST, trailer))
    raise InvalidValue(f"no tombstone fits in {length} bytes")


def plain_tombstone(stone: Tombstone, *, length: int) -> bytes:
    """An uncompressed tombstone of `length` bytes, closing CRLFs included: its block ends in spaces.

    For records of others in plain files. Raises InvalidValue where it cannot be so short.
    """
    for codes in ({"authority": stone.authority, "code": stone.code, "format": TOMBSTONE_FORMAT}, {}):
        block = canonical.dumps(codes)
        record_id = new_record_id()
        for _ in range(3):  # the length's own digits may grow
            made = _record(stone, record_id, block, None, digested=False)
            if len(made) >= length:
                break
            block += b" " * (length - len(made))
        while len(made) > length and block.endswith(b" "):
            block = block[: -(len(made) - length)]
            made = _record(stone, record_id, block, None, digested=False)
        if len(made) == length:
            return made
    raise InvalidValue(f"no tombstone fits in {length} bytes")


def _padding(gap: int) -> tuple[int, bytes, bytes]:
    """(flags, optional header field, empty blocks) that take `gap` bytes together."""
    count = max(0, -(-(gap - _MAX_PAD) // len(_EMPTY)))
    blocks, left = _EMPTY * count, gap - count * len(_EMPTY)
    if left >= _PAD_OVERHEAD:
        pad = left - _PAD_OVERHEAD
        return _FEXTRA, struct.pack("<H2sH", 4 + pad, _PAD_ID, pad) + bytes(pad), blocks
    return (_FCOMMENT, b"-" * (left - 1) + b"\0", blocks) if left else (0, b"", blocks)


def _contents(stone: Tombstone, warcinfo_id: str | None) -> Iterator[bytes]:
    record_id = new_record_id()
    codes = {"authority": stone.authority, "code": stone.code, "format": TOMBSTONE_FORMAT}
    for coded, named, digested in _FORMS:
        block = canonical.dumps(codes if coded else {})
        yield _record(stone, record_id, block, warcinfo_id if named else None, digested=digested)


def _record(stone: Tombstone, record_id: str, block: bytes, warcinfo_id: str | None, *, digested: bool) -> bytes:
    lines = [
        ("WARC-Type", "metadata"),
        ("WARC-Record-ID", f"<{record_id}>"),
        ("WARC-Date", warc_date(stone.date)),
        ("WARC-Refers-To", f"<{stone.refers_to}>"),
        *([("WARC-Warcinfo-ID", f"<{warcinfo_id}>")] if warcinfo_id is not None else []),
        *([("WARC-Block-Digest", str(Digest.sha256(block)))] if digested else []),
        (TOMBSTONE, f"{stone.entry}/{stone.place}"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(block))),
    ]
    return b"".join((print_head(lines), block, _END))


def tombstone_of(record: _Headed) -> tuple[int, int] | None:
    """(index of the redaction entry, place among its targets) of a tombstone; None for any other record."""
    if record.type != "metadata":
        return None
    value = record.header(TOMBSTONE)
    match = _VALUE.fullmatch(value) if value is not None else None
    return (int(match[1]), int(match[2])) if match is not None else None

"""Records of our own segments, read back: strict, a record at a time.

Digests inside the records are left to `schemas.records` and `storage.fixity`, other people's files to
`check`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final, cast

from schemas.captures import RecordRef
from schemas.errors import DamageError, InvalidValue
from schemas.http1 import ResponseView, parse_response_head
from schemas.instants import parse_warc_date
from schemas.records import RECORD_TAIL, bare_id, parse_header
from storage.warc.members import LengthOf, damage, decompress_member, read_members

# Fields whose value is a URI, in angle brackets or bare (ISO 28500:2017 5.2, 5.14; WARC/1.0 brackets all of
# them).
_URI_FIELDS: Final = frozenset(
    {
        "warc-record-id",
        "warc-concurrent-to",
        "warc-refers-to",
        "warc-refers-to-target-uri",
        "warc-target-uri",
        "warc-warcinfo-id",
        "warc-profile",
        "warc-segment-origin-id",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A record as it stands in a segment."""

    ref: RecordRef
    version: str  # "1.1"
    headers: tuple[tuple[str, str], ...]  # (name, value) in order, exactly as written
    first: Mapping[str, str]  # the first value of each header, by lower-case name
    raw: bytes  # the whole uncompressed record: what the record digest is over
    start: int  # offset in `raw` of the block, which both closing CRLFs follow
    _read: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)  # what was made of it so far

    @property
    def block(self) -> bytes:
        """The block: a copy of its own, made when it is asked for first."""
        if "block" not in self._read:
            self._read["block"] = self.raw[self.start : -RECORD_TAIL]
        return cast(bytes, self._read["block"])

    @property
    def view(self) -> memoryview:
        """The block where it stands in `raw`, without a copy."""
        return memoryview(self.raw)[self.start : -RECORD_TAIL]

    @property
    def http(self) -> ResponseView | None:
        """Status and fields of the answer in the block of a response or revisit, its body left out; else None."""
        if self.type not in ("response", "revisit"):
            return None
        if "http" not in self._read:
            self._read["http"] = parse_response_head(self.view)
        return cast(ResponseView, self._read["http"])

    def header(self, name: str) -> str | None:
        """The first value of a header, by case-insensitive name, URIs without angle brackets; else None."""
        wanted = name.lower()
        value = self.first.get(wanted)
        return bare_id(value) if value is not None and wanted in _URI_FIELDS else value

    def all(self, name: str) -> list[str]:
        """Every value of a header, as `header` gives the first."""
        wanted = name.lower()
        values = [value for key, value in self.headers if key.lower() == wanted]
        return [bare_id(value) for value in values] if wanted in _URI_FIELDS else values

    @property
    def type(self) -> str:
        """WARC-Type, lower case."""
        return self.ref.type

    @property
    def record_id(self) -> str:
        """WARC-Record-ID without angle brackets."""
        return self.ref.record_id

    @property
    def date(self) -> datetime:
        """WARC-Date, in UTC. Raises InvalidValue."""
        return parse_warc_date(self.header("WARC-Date") or "")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanEnd:
    """Where the whole records of a segment end."""

    good: int  # bytes up to and with the last whole record
    total: int  # bytes of the file
    problem: str | None  # what stands behind `good`, in words; None where nothing does


def parse_stored(raw: bytes, *, name: str, offset: int, length: int) -> Stored:
    """The record in the content of one member. Raises DamageError where it is not exactly one record."""
    try:
        header = parse_header(raw)
        ref = RecordRef(
            record_id=bare_id(header.first["warc-record-id"]),
            type=header.first["warc-type"].lower(),
            segment=name,
            offset=offset,
            length=length,
            digest=f"sha256:{hashlib.sha256(raw).hexdigest()}",
        )
    except InvalidValue as error:
        raise damage(name, offset, error.message) from error
    return Stored(
        ref=ref, version=header.version, headers=header.headers, first=header.first, raw=raw, start=header.start
    )


def read_member(member: bytes, *, name: str, offset: int) -> Stored:
    """The record in one gzip member that stands at `offset` of segment `name`. Raises DamageError."""
    raw = decompress_member(member, name=name, offset=offset)
    return parse_stored(raw, name=name, offset=offset, length=len(member))


def read_segment(
    stream: BinaryIO, *, name: str, length_of: LengthOf = lambda offset: None
) -> Iterator[Stored]:
    """Every record from the stream's position, which is taken as offset 0, in order.

    `length_of` may know how long the member at an offset is, which makes reading it faster. Memory is bounded by one
    record. Raises DamageError, with the offset, at the first byte that is not a whole record.
    """
    for offset, length, raw in read_members(stream, name=name, length_of=length_of):
        yield parse_stored(raw, name=name, offset=offset, length=length)


def scan_segment(stream: BinaryIO, *, name: str) -> tuple[Iterator[Stored], ScanEnd]:
    """The whole records of a segment that may be torn, and where they end. The stream must be seekable, at
    its start.

    It is read twice, so that a segment of any size is told without being held: the end is known before the
    first record is given out. Raises nothing for damage; what the operating system says is passed on.
    """
    good, problem = 0, None
    try:
        for stored in read_segment(stream, name=name):
            good = stored.ref.offset + stored.ref.length
    except DamageError as error:
        problem = error.message
    total = stream.seek(0, 2)
    stream.seek(0)
    return _up_to(stream, good, name), ScanEnd(good=good, total=total, problem=problem)


def _up_to(stream: BinaryIO, good: int, name: str) -> Iterator[Stored]:
    if good == 0:
        return
    for stored in read_segment(stream, name=name):
        yield stored
        if stored.ref.offset + stored.ref.length >= good:
            return

"""Gzip members: what other tools read, what is long enough for a tombstone, what damage is told as."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zlib

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from schemas.errors import DamageError
from storage.warc import MIN_MEMBER, compress_member
from storage.warc.members import decompress_member, read_members

SHORT = b"WARC/1.0\r\nWARC-Type: metadata\r\nWARC-Record-ID: <urn:x:1>\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n" + (
    b"Content-Length: 0\r\n\r\n\r\n\r\n"
)
NOISE = random.Random(7).randbytes(60_000)
LONG = b"WARC/1.1\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + NOISE + b"\r\n\r\n"


def test_short_members_are_padded_and_every_tool_reads_them() -> None:
    member = compress_member(SHORT)
    assert len(member) == MIN_MEMBER
    assert gzip.decompress(member) == SHORT
    assert zlib.decompress(member, 31) == SHORT
    assert [record.rec_type for record in ArchiveIterator(io.BytesIO(member * 3))] == ["metadata"] * 3
    assert [record.record_id for record in FastIterator(io.BytesIO(member * 3))] == ["<urn:x:1>"] * 3
    assert [length for _, length, _ in read_members(io.BytesIO(member * 3), name="s")] == [MIN_MEMBER] * 3


def test_the_padding_is_one_well_formed_extra_subfield() -> None:
    """RFC 1952 2.3.1.1: XLEN, then id and length and data."""
    member = compress_member(b"")
    assert member[:10] == b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\x03"
    (xlen,) = struct.unpack("<H", member[10:12])
    name, length = struct.unpack("<2sH", member[12:16])
    assert (name, length) == (b"PM", xlen - 4)
    assert member[16 : 12 + xlen] == bytes(length)


@given(st.binary(max_size=400), st.integers(min_value=1, max_value=9))
def test_no_member_is_shorter_than_a_tombstone(data: bytes, level: int) -> None:
    member = compress_member(data, level=level)
    assert len(member) >= MIN_MEMBER
    assert decompress_member(member, name="s", offset=0) == gzip.decompress(member) == data


def test_the_same_bytes_give_the_same_member() -> None:
    assert compress_member(LONG) == compress_member(LONG)
    assert struct.unpack("<I", compress_member(LONG)[4:8]) == (0,)  # no time in it


def test_what_does_not_shrink_is_stored() -> None:
    member = compress_member(LONG)
    assert NOISE[:60_000] in member
    assert len(member) < len(LONG) + 200
    assert gzip.decompress(member) == decompress_member(member, name="s", offset=0) == LONG


@given(st.lists(st.sampled_from([NOISE[:9000], b"text " * 4000, bytes(9000), b"\r\n\r\n", b"x"]), max_size=6))
def test_mixtures_read_back(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert gzip.decompress(compress_member(data)) == data


@given(st.lists(st.binary(max_size=2000), max_size=8))
def test_members_are_told_apart(contents: list[bytes]) -> None:
    members = [compress_member(content) for content in contents]
    found = list(read_members(io.BytesIO(b"".join(members)), name="s"))
    offset = 0
    for member, content, (where, length, data) in zip(members, contents, found, strict=True):
        assert (where, length, data) == (offset, len(member), content)
        offset += length


def test_large_members_across_many_reads() -> None:
    contents = [random.Random(n).randbytes(300_000) + b"a" * 900_000 for n in range(3)]
    stream = io.BytesIO(b"".join(map(compress_member, contents)))
    assert [data for _, _, data in read_members(stream, name="s")] == contents


@pytest.mark.parametrize(
    "broken",
    [b"", b"x", SHORT, compress_member(SHORT)[:-1], compress_member(SHORT) + b"x", compress_member(SHORT) * 2],
)
def test_what_is_not_one_member(broken: bytes) -> None:
    with pytest.raises(DamageError, match="segment s, offset 77: "):
        decompress_member(broken, name="s", offset=77)


def test_every_flipped_byte_of_content_is_seen() -> None:
    """All but those that mean nothing: the time and system in the header, the bits that pad a stored block."""
    member = compress_member(b"WARC/1.1 " + NOISE[:300])
    unseen = 0
    for position in range(len(member)):
        flipped = bytearray(member)
        flipped[position] ^= 0x40
        try:
            data = decompress_member(bytes(flipped), name="s", offset=0)
        except DamageError:
            continue
        assert data == b"WARC/1.1 " + NOISE[:300]
        unseen += 1
    assert 0 < unseen < 10


def test_a_bomb_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.warc.members.MAX_RECORD", 1_000_000)
    member = compress_member(bytes(50_000_000))
    with pytest.raises(DamageError, match="more than 1000000 bytes"):
        decompress_member(member, name="s", offset=0)
    with pytest.raises(DamageError, match="offset 280: a record of more than"):
        list(read_members(io.BytesIO(compress_member(b"") + member), name="s"))

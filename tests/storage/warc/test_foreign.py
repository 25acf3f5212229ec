"""A record of another's file is read again where the walk found it, whatever wraps it."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import DamageError, InvalidValue
from storage.warc.foreign import Place, compression_of, frame_of, place_of, read_raw
from storage.warc.frames import Frame, walk
from tests.storage.warc.test_check import FIRST, INFO, SECOND, record

WRAPPINGS: dict[str, Callable[[list[bytes]], bytes]] = {
    "none": b"".join,
    "gzip": lambda records: b"".join(gzip.compress(r) for r in records),
    "one gzip member": lambda records: gzip.compress(b"".join(records)),
    "zstd": lambda records: b"".join(zstandard.compress(r) for r in records),
    "one zstd frame": lambda records: zstandard.compress(b"".join(records)),
}


def found(data: bytes) -> list[Frame]:
    return list(walk(data, lambda *finding: None))


@settings(max_examples=60)
@given(
    blocks=st.lists(st.binary(max_size=300), min_size=1, max_size=6),
    before=st.binary(max_size=40),
    wrapping=st.sampled_from(sorted(WRAPPINGS)),
)
def test_every_record_is_read_where_it_was_found(blocks: list[bytes], before: bytes, wrapping: str) -> None:
    records = [record(INFO, block) for block in blocks]
    data = WRAPPINGS[wrapping](records)
    held, kind = before + data, compression_of(data[:4])

    def read(start: int, length: int) -> bytes:
        return held[start : start + length]

    frames = found(data)
    assert [frame.block for frame in frames] == blocks
    for frame, written in zip(frames, records, strict=True):
        place = place_of(frame, base=len(before), compression=kind)
        assert Place(**place.to_json()) == place
        raw = read_raw(read, place)
        assert raw == frame.head + frame.block == written[:-4]
        assert frame_of(raw).block == frame.block


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_what_changed_or_was_cut_off_is_damage(wrapping: str) -> None:
    data = WRAPPINGS[wrapping]([FIRST, SECOND])
    place = place_of(found(data)[-1], base=0, compression=compression_of(data[:4]))
    for cut in (0, 1, place.offset + 1, place.offset + place.length // 2):
        with pytest.raises(DamageError):
            read_raw(lambda start, length, cut=cut: data[:cut][start : start + length], place)  # type: ignore[misc]


def test_what_is_no_record_is_damage() -> None:
    for raw in (b"", b"hello", b"WARC/1.0\r\n", FIRST[:20], SECOND[:-10]):
        with pytest.raises(DamageError):
            frame_of(raw)


def test_places_are_checked() -> None:
    good = {"base": 0, "offset": 0, "length": 1, "start": 0, "size": 1, "compression": "none"}
    for name, value in (("base", -1), ("size", "1"), ("length", True), ("compression", "lzma")):
        with pytest.raises(InvalidValue):
            Place(**{**good, name: value})  # type: ignore[arg-type]

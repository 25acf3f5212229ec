"""The perceptual hash against its definition in floating point, and readings through JSON and back."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.articles import BODY_LAYER, Evidence, Extractor, Span
from schemas.errors import InvalidValue
from schemas.images import (
    BANDS,
    CLAIM_FIELDS,
    ImageClaim,
    ImageReading,
    bands,
    distance,
    format_hash,
    near_bands,
    parse_hash,
    perceptual_hash,
)
from tests.schemas.test_articles import misfits

READER = Extractor(name="t", version="1", settings={"a": 1}, libraries={"b": "2"}, unicode="15.0.0")
HASHES = st.integers(min_value=0, max_value=2**64 - 1)
EVIDENCE = st.builds(
    Evidence,
    source=st.just("image"),
    path=st.sampled_from(["iptc/2:110", "xmp/dc:creator/0"]),
    raw=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    span=st.none() | st.just(Span(layer=BODY_LAYER, start=1, end=2, charset="utf-8", via="bytes")),
)
READINGS = st.builds(
    ImageReading,
    media_type=st.just("image/jpeg"),
    width=st.integers(1, 99999),
    height=st.integers(1, 99999),
    phash=st.none() | HASHES.map(format_hash),
    claims=st.lists(st.builds(ImageClaim, field=st.sampled_from(CLAIM_FIELDS), evidence=EVIDENCE)).map(tuple),
    problems=st.lists(st.sampled_from(["pixels", "xmp"])).map(tuple),
    reader=st.just(READER),
)


def by_the_book(luma: list[int]) -> int:
    """FORMAT.md section 7, in floating point and as slowly as it reads."""
    coefficients = [
        sum(
            luma[32 * y + x] * math.cos(math.pi * (2 * x + 1) * u / 64) * math.cos(math.pi * (2 * y + 1) * v / 64)
            for y in range(32)
            for x in range(32)
        )
        for v in range(1, 9)
        for u in range(1, 9)
    ]
    median = statistics.median(coefficients)
    return int("".join("1" if c > median else "0" for c in coefficients), 2)


def wave(seed: int) -> list[int]:
    """A picture of slopes and waves."""
    return [
        int(128 + 60 * math.sin(x * seed / 9 + y / 5) + 50 * math.cos(x * y / (40 + seed))) for y in range(32)
        for x in range(32)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(1, 7))
def test_the_hash_is_the_one_that_is_defined(seed: int) -> None:
    found = perceptual_hash(wave(seed))
    assert found is not None
    # Integers round cosines to 2**-14: a coefficient within that of the median may fall on its other side.
    assert distance(found, by_the_book(wave(seed))) <= 1


def test_known_hashes_stay() -> None:
    assert [format_hash(perceptual_hash(wave(seed)) or 0) for seed in (1, 2)] == [
        "e1871c33246b56f5",
        "e1c69d33246b5695",
    ]


def test_half_of_the_bits_are_set_and_light_changes_little() -> None:
    found = perceptual_hash(wave(3))
    brighter = perceptual_hash([min(255, v + 12) for v in wave(3)])
    assert found is not None
    assert brighter is not None
    assert found.bit_count() == 32
    assert distance(found, brighter) <= 3


@pytest.mark.parametrize("luma", [[7] * 1024, [100 + n % 15 for n in range(1024)]])
def test_a_plain_area_has_no_hash(luma: list[int]) -> None:
    assert perceptual_hash(luma) is None


def test_another_size_is_refused() -> None:
    with pytest.raises(InvalidValue, match="1024"):
        perceptual_hash([1] * 1023)


@given(HASHES)
def test_hashes_print_and_parse(value: int) -> None:
    assert parse_hash(format_hash(value)) == value


@pytest.mark.parametrize("text", ["", "0" * 15, "0" * 17, "G" * 16, "A" * 16, " " * 16])
def test_what_is_no_hash_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_hash(text)


@given(HASHES, st.sets(st.integers(0, 63), max_size=15))
def test_a_near_hash_shares_a_band_or_nearly(value: int, flips: set[int]) -> None:
    other = value
    for bit in flips:
        other ^= 1 << bit
    assert distance(value, other) == len(flips)
    pairs = zip(bands(value), bands(other), strict=True)
    assert any(theirs in set(near_bands(mine, len(flips) // BANDS)) for mine, theirs in pairs)


def test_bands_and_their_neighbours() -> None:
    assert bands(0x0123456789ABCDEF) == (0x0123, 0x4567, 0x89AB, 0xCDEF)
    for flips, count in ((0, 1), (1, 17), (2, 137), (3, 697)):
        near = list(near_bands(0xBEEF, flips))
        assert len(near) == len(set(near)) == count
        assert all((n ^ 0xBEEF).bit_count() <= flips for n in near)


@given(READINGS)
def test_readings_print_and_parse(reading: ImageReading) -> None:
    assert ImageReading.from_json(json.loads(reading.dumps())) == reading


@pytest.mark.parametrize("change", [{"phash": "xyz"}, {"claims": [{"field": "fee"}]}, {"reader": {}}, {"width": "w"}])
def test_a_wrong_field_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidValue):
        ImageReading.from_json({**SIMPLE.to_json(), **change})


SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "json" / "image.schema.json").read_text("utf-8"))
SIMPLE = ImageReading(
    media_type="image/png", width=1, height=1, phash=None, claims=(), problems=(), reader=READER
)  # fmt: skip


@given(READINGS)
def test_published_schema_fits_every_reading(reading: ImageReading) -> None:
    assert list(misfits(SCHEMA, reading.to_json())) == []


@pytest.mark.parametrize("change", [{"phash": "0"}, {"media_type": "image/svg+xml"}, {"problems": ["sad"]}, {"x": 1}])
def test_published_schema_refuses(change: dict[str, object]) -> None:
    assert list(misfits(SCHEMA, {**SIMPLE.to_json(), **change}))

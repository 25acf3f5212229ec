"""Images: what the bytes of a photo say about it, and a hash by which copies of it are found.

An `ImageReading` is what `ingest.images` makes of one image's bytes: size, the credit lines that stand inside the file
(IPTC-IIM, XMP, EXIF) each with its evidence, and a perceptual hash. The hash is computed here, with integers alone, so
that a stranger who has decoded the image gets the same one (FORMAT.md, section 7). Decoding is left to
`ingest.images`, where readings are kept to `storage.catalog`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from schemas import canonical
from schemas.articles import Evidence, Extractor, Span
from schemas.errors import InvalidValue

#: Fields of a claim that stands in an image: who made it, the line to print, whose it is, who supplied it.
CLAIM_FIELDS: Final = ("creator", "credit", "copyright", "source")

#: Pixels of a side of the small image that is hashed.
HASH_SIDE: Final = 32
#: Frequencies of each direction that become bits: 1 to 8, 64 bits.
HASH_FREQUENCIES: Final = 8
#: Steps of luma, of 255, that the small image must span: a plain area would be near every other plain area.
HASH_CONTRAST: Final = 16
#: Cosines are integers in units of 2**-14: sums stay exact, and the same on every machine.
_COSINE_UNIT: Final = 1 << 14
#: Differing bits up to which two hashes can be asked for: beyond, strangers meet (two random hashes differ in 32).
MAX_DISTANCE: Final = 15
#: Parts into which a hash is cut for look-up, and bits of each: of d differing bits at most d // 4 are in one part.
BANDS: Final = 4
BAND_BITS: Final = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageClaim:
    """One line that stands inside an image file. Nobody has checked it, and others in the same file may differ."""

    field: str  # creator | credit | copyright | source
    evidence: Evidence  # source "image"; path such as iptc/2:110, xmp/dc:creator/0, exif/0x8298; raw is the value


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageReading:
    """What the bytes of one image say."""

    media_type: str  # by its bytes, whatever the server called it
    width: int  # pixels, as stored
    height: int
    phash: str | None  # 16 hex digits; None where the pixels cannot be had or show next to nothing
    claims: tuple[ImageClaim, ...]
    problems: tuple[str, ...]  # codes of what could not be read: truncated, too-many-pixels, xmp, …
    reader: Extractor  # who read it

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "media_type": self.media_type,
            "width": self.width,
            "height": self.height,
            "phash": self.phash,
            "claims": [{"field": c.field, **c.evidence.to_json()} for c in self.claims],
            "problems": list(self.problems),
            "reader": self.reader.to_json(),
        }

    def dumps(self) -> str:
        """As canonical JSON."""
        return canonical.dumps(self.to_json()).decode()

    @classmethod
    def from_json(cls, value: Any) -> ImageReading:
        """Read what `to_json` gave. Raises InvalidValue."""
        try:
            return cls(
                media_type=str(value["media_type"]),
                width=int(value["width"]),
                height=int(value["height"]),
                phash=None if value["phash"] is None else format_hash(parse_hash(value["phash"])),
                claims=tuple(_claim(c) for c in value["claims"]),
                problems=tuple(str(p) for p in value["problems"]),
                reader=Extractor(**value["reader"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidValue(f"an image reading lacks or has a wrong field: {error!r}") from error


def _claim(value: Any) -> ImageClaim:
    if value["field"] not in CLAIM_FIELDS:
        raise InvalidValue(f"a claim of an image is one of {', '.join(CLAIM_FIELDS)}")
    span = value["span"]
    return ImageClaim(
        field=value["field"],
        evidence=Evidence(
            source=value["source"],
            path=value["path"],
            raw=value["raw"],
            span=None if span is None else Span(**span),
        ),
    )


def perceptual_hash(luma: Sequence[int]) -> int | None:
    """The 64-bit hash of an image reduced to 32 x 32 luma values (0 to 255, row by row); None for a plain area.

    Coefficients 1 to 8 of both directions of the discrete cosine transform (type II), row by row; a bit is set where
    the coefficient lies above their median, the first being the highest bit. Raises InvalidValue for another size.
    """
    if len(luma) != HASH_SIDE * HASH_SIDE:
        raise InvalidValue(f"a hash is made of {HASH_SIDE * HASH_SIDE} luma values, not {len(luma)}")
    if max(luma) - min(luma) < HASH_CONTRAST:
        return None
    cosines = _cosines()
    rows = [luma[at : at + HASH_SIDE] for at in range(0, len(luma), HASH_SIDE)]
    across = [[_dot(row, wave) for wave in cosines] for row in rows]
    down = list(zip(*across, strict=True))  # by horizontal frequency, a value a row
    found = [_dot(column, wave) for wave in cosines for column in down]
    middle = sorted(found)
    twice_median = middle[len(found) // 2 - 1] + middle[len(found) // 2]
    value = 0
    for coefficient in found:
        value = value << 1 | (2 * coefficient > twice_median)
    return value


def _dot(values: Sequence[int], wave: Sequence[int]) -> int:
    return sum(a * b for a, b in zip(values, wave, strict=True))


@cache
def _cosines() -> tuple[tuple[int, ...], ...]:
    """cos(pi (2x + 1) u / 64) for u from 1 to 8 and x from 0 to 31, rounded to integers."""
    return tuple(
        tuple(round(_COSINE_UNIT * math.cos(math.pi * (2 * x + 1) * u / (2 * HASH_SIDE))) for x in range(HASH_SIDE))
        for u in range(1, HASH_FREQUENCIES + 1)
    )


def format_hash(value: int) -> str:
    """A hash as 16 hex digits."""
    return f"{value:016x}"


def parse_hash(text: str) -> int:
    """Read 16 hex digits. Raises InvalidValue."""
    if len(text) != 16 or any(c not in "0123456789abcdef" for c in text):
        raise InvalidValue(f"{text[:20]!r} is no perceptual hash", remedy="give 16 lower-case hex digits")
    return int(text, 16)


def distance(one: int, other: int) -> int:
    """In how many of their 64 bits two hashes differ."""
    return (one ^ other).bit_count()


def bands(value: int) -> tuple[int, ...]:
    """A hash in its four parts of 16 bits, the highest first."""
    return tuple(value >> shift & 0xFFFF for shift in range(BAND_BITS * (BANDS - 1), -1, -BAND_BITS))


def near_bands(band: int, flips: int) -> Iterator[int]:
    """A part and every other that differs from it in at most so many bits."""
    yield band
    if flips > 0:
        yield from _flipped(band, flips, 0)


def _flipped(band: int, flips: int, first: int) -> Iterator[int]:
    for bit in range(first, BAND_BITS):
        other = band ^ 1 << bit
        yield other
        if flips > 1:
            yield from _flipped(other, flips - 1, bit + 1)

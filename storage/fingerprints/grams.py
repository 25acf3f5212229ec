"""Grams of letters, their hashes, and which of them a text is indexed by.

Winnowing (Schleimer, Wilkerson, Aiken: Winnowing, SIGMOD 2003): of each WINDOW of neighbouring grams one is kept, the
smallest in an order drawn from their hashes, so that two texts that share a run of GUARANTEE letters always share a
kept gram. Grams are short and kept densely: what is left between edited words is found too, which makes a second,
full-text index unnecessary (ops/decisions/0011).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

GRAM: Final = 12  # letters that one hash covers: some two and a half words
WINDOW: Final = 13  # grams of which one is kept
GUARANTEE: Final = GRAM + WINDOW - 1  # letters: 24, about 30 characters of English as written
PIECE: Final = 8  # letters of the pieces that alignment begins with
#: Bits of a piece's mark: of a fragment's pieces that a text of 3,000 letters lacks, one in twenty passes for its own.
_MARK_BITS: Final = 16
#: Pieces times letters up to which each piece is looked for in the text; above, the text's pieces are put into a table.
_SEARCHED: Final = 1 << 22
#: Bits of a key, the hash that is indexed: at a million articles one look-up in 250 also meets another's gram.
KEY_BITS: Final = 36

Keys = npt.NDArray[np.uint64]

_BASE: Final = np.uint64(0x9E37_79B9_7F4A_7C15)  # odd, so that nothing is lost modulo 2**64
_BASE_2: Final = np.uint64(pow(int(_BASE), 2, 1 << 64))
_BASE_4: Final = np.uint64(pow(int(_BASE), 4, 1 << 64))
_MIX: Final = (np.uint64(0xBF58_476D_1CE4_E5B9), np.uint64(0x94D0_49BB_1331_11EB))  # the finalizer of splitmix64
_SHIFTS: Final = (np.uint64(30), np.uint64(27), np.uint64(31))
_KEY_SHIFT: Final = np.uint64(64 - KEY_BITS)
#: The order that winnowing chooses by takes other bits than the key, whose values stay evenly spread that way.
_ORDER_MASK: Final = np.uint64((1 << (64 - KEY_BITS)) - 1)
_PLACE_BITS: Final = np.uint64(32)


def _fours(value: str) -> Keys:
    """A number for each run of four letters, in order. Built by doubling, as longer runs' are."""
    codes = np.frombuffer(value.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    codes += np.uint64(1)
    two = codes[:-1] * _BASE
    two += codes[1:]
    four: Keys = two[:-2] * _BASE_2
    four += two[2:]
    return four


def _eights(four: Keys) -> Keys:
    """A number for each run of eight letters, of those for four."""
    eight: Keys = four[:-4] * _BASE_4
    eight += four[4:]
    return eight


def _hashes(value: str) -> Keys:
    """A 64-bit hash of each gram, in order; empty below GRAM letters."""
    four = _fours(value)
    found = _eights(four)[:-4] * _BASE_4
    found += four[8:]
    for shift, factor in zip(_SHIFTS, _MIX, strict=False):
        found ^= found >> shift
        found *= factor
    found ^= found >> _SHIFTS[2]
    hashes: Keys = found
    return hashes


def every_gram(value: str) -> Keys:
    """The key of each gram of a letter sequence, in order; empty below GRAM letters."""
    keys: Keys = _hashes(value) >> _KEY_SHIFT if len(value) >= GRAM else np.empty(0, np.uint64)
    return keys


def places(value: str) -> tuple[Keys, npt.NDArray[np.int64]]:
    """(keys, their places) of the grams that are kept of a letter sequence, in order."""
    if len(value) < GRAM:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    hashes = _hashes(value)
    # The order of a gram, then its place counted from the end: of equals the rightmost is the smallest.
    order = (hashes & _ORDER_MASK) << _PLACE_BITS
    order |= np.arange(len(hashes) - 1, -1, -1, dtype=np.uint64)
    least = _least(order, WINDOW)
    kept = least[np.flatnonzero(np.append(True, least[1:] != least[:-1]))]
    at = (len(hashes) - 1 - (kept & np.uint64(0xFFFF_FFFF)).astype(np.int64)).astype(np.int64)
    return hashes[at] >> _KEY_SHIFT, at


def _least(values: Keys, window: int) -> Keys:
    """The smallest of each window of neighbours; of all, where they are fewer than a window."""
    if len(values) <= window:
        least: Keys = values.min(keepdims=True)
        return least
    width = 1
    while width * 2 <= window:
        values = np.minimum(values[:-width], values[width:])
        width *= 2
    rest = window - width
    return np.minimum(values[: len(values) - rest], values[rest:]) if rest else values


class Pieces:
    """All pieces of PIECE letters of a sequence, to be looked for in one text after the other."""

    __slots__ = ("_marks", "_may", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._marks: npt.NDArray[np.int64] | None = None  # made when first needed, as all of it
        self._may: npt.NDArray[np.bool_] | None = None

    def within(self, text: str) -> Shared:
        """Those that a text has as well."""
        if self._marks is None:
            self._marks = _marks(self._value)
        marks = _marks(text)
        known = np.zeros(1 << _MARK_BITS, np.bool_)
        known[marks] = True
        starts: list[int] = np.flatnonzero(known.take(self._marks)).tolist()
        if len(starts) * len(text) <= _SEARCHED:
            return Shared(starts, text)
        if self._may is None:
            self._may = np.zeros(1 << _MARK_BITS, np.bool_)
            self._may[self._marks] = True
        places: dict[str, list[int]] = {}
        for at in np.flatnonzero(self._may.take(marks)).tolist():
            places.setdefault(text[at : at + PIECE], []).append(at)
        return Shared(starts, text, places)


class Shared:
    """The pieces of a sequence that a text has as well."""

    __slots__ = ("_places", "_text", "starts")

    def __init__(self, starts: list[int], text: str, places: Mapping[str, list[int]] | None = None) -> None:
        #: Where they begin in the sequence, ascending; some others may be there too, which the text does not have.
        self.starts = starts
        self._text, self._places = text, places

    def places(self, piece: str, most: int) -> Sequence[int]:
        """Where a piece stands in the text, ascending: the first so many places."""
        if self._places is not None:
            return self._places.get(piece, ())[:most]
        found: list[int] = []
        at = self._text.find(piece)
        while at >= 0 and len(found) < most:
            found.append(at)
            at = self._text.find(piece, at + 1)
        return found


def _marks(value: str) -> npt.NDArray[np.int64]:
    """A short hash of each piece of PIECE letters, in order."""
    if len(value) < PIECE:
        return np.empty(0, np.int64)
    marks: npt.NDArray[np.int64] = (_eights(_fours(value)) * _BASE >> np.uint64(64 - _MARK_BITS)).astype(np.int64)
    return marks


def selected(value: str) -> Keys:
    """The keys that a letter sequence is indexed by: sorted, each once."""
    keys, _ = places(value)
    keys.sort()
    return keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys


#: Bytes of a key as the catalog holds it.
KEY_BYTES: Final = 5


def pack(keys: Keys) -> bytes:
    """Keys as bytes, KEY_BYTES each, little-endian."""
    return keys.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :KEY_BYTES].tobytes()


def unpack(data: bytes) -> Keys:
    """What `pack` wrote."""
    whole = np.zeros((len(data) // KEY_BYTES, 8), np.uint8)
    whole[:, :KEY_BYTES] = np.frombuffer(data, np.uint8).reshape(-1, KEY_BYTES)
    keys: Keys = whole.view("<u8").reshape(-1).astype(np.uint64)
    return keys

"""C2SP tlog-tiles: the names of tiles and entry bundles, what lies in them, and which are new. Pure
arithmetic.

Source: c2sp.org/tlog-tiles. A tile at level L holds up to 256 hashes of subtree height 8 * L; a full tile's
own root is one hash of a tile at level L + 1. Reading and writing are left to the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.errors import DamageError, InvalidValue
from schemas.merkle import HASH_SIZE, GetHash, node_hash

#: Hashes (or entries) of a full tile.
TILE_WIDTH: Final = 256

#: Levels of the tree that one tile spans.
TILE_HEIGHT: Final = 8

#: Highest level that a path may name.
MAX_TILE_LEVEL: Final = 63

#: Bytes of one log entry: the length prefix is 16 bits wide.
MAX_ENTRY: Final = 65_535

_TILE_PATH: Final = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)

#: Gives the bytes of a tile: (level, index, width).
GetTile = Callable[[int, int, int], bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class TileName:
    """One tile or entry bundle. `level` is None for an entry bundle; `width` 1 to 256."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Its path below the log's prefix."""
        return (
            entries_path(self.index, self.width)
            if self.level is None
            else tile_path(self.level, self.index, self.width)
        )


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """`tile/<L>/<N>[.p/<W>]`. Raises InvalidValue where a number is out of range."""
    if not 0 <= level <= MAX_TILE_LEVEL:
        raise InvalidValue(f"tiles have levels 0 to {MAX_TILE_LEVEL}, not {level}")
    return f"tile/{level}/{_numbered(index, width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """`tile/entries/<N>[.p/<W>]`. Raises InvalidValue where a number is out of range."""
    return f"tile/entries/{_numbered(index, width)}"


def parse_tile_path(path: str) -> TileName:
    """Read what `tile_path` or `entries_path` wrote. Raises InvalidValue."""
    match = _TILE_PATH.fullmatch(path)
    if match is None:
        raise InvalidValue(f"not the path of a tile: {path[:80]!r}")
    kind, high, low, width = match.groups()
    index = int("".join(char for char in high if char.isdigit()) + low)
    name = TileName(
        level=None if kind == "entries" else int(kind), index=index, width=int(width) if width else TILE_WIDTH
    )
    if (width and name.width >= TILE_WIDTH) or name.path != path:
        raise InvalidValue(f"not the path of a tile: {path[:80]!r}")
    return name


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """An entry bundle: each entry behind its length in two bytes, big-endian. Raises InvalidValue."""
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise InvalidValue(f"a log entry has at most {MAX_ENTRY} bytes, not {len(entry)}")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_entries(data: bytes) -> list[bytes]:
    """Read an entry bundle to its last byte. Raises InvalidValue where it is cut off."""
    entries = []
    at = 0
    while at < len(data):
        start = at + 2
        stop = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or stop > len(data):
            raise InvalidValue(f"an entry bundle that breaks off at byte {at}")
        entries.append(data[start:stop])
        at = stop
    return entries


def hashes_of(tile: bytes, width: int) -> list[bytes]:
    """The hashes in a tile of that width. Raises DamageError where its length is another."""
    if len(tile) != width * HASH_SIZE:
        raise DamageError(f"a tile of width {width} has {width * HASH_SIZE} bytes, not {len(tile)}")
    return [tile[at : at + HASH_SIZE] for at in range(0, len(tile), HASH_SIZE)]


def tiles_of(size: int) -> Iterator[TileName]:
    """The hash tiles of a tree of `size` leaves, lowest level first; none is empty."""
    return new_tiles(0, size)


def new_tiles(old_size: int, new_size: int) -> Iterator[TileName]:
    """The hash tiles of the tree of `new_size` leaves that the tree of `old_size` does not have.

    A partial tile that grew has a new name, so nothing is ever written twice. Raises InvalidValue where the
    tree shrinks.
    """
    for name in new_bundles(old_size, new_size):
        yield TileName(level=0, index=name.index, width=name.width)
    level = 1
    while new_size >> (TILE_HEIGHT * level):
        old, new = old_size >> (TILE_HEIGHT * level), new_size >> (TILE_HEIGHT * level)
        for name in new_bundles(old, new):
            yield TileName(level=level, index=name.index, width=name.width)
        level += 1


def new_bundles(old_size: int, new_size: int) -> Iterator[TileName]:
    """The entry bundles of a log of `new_size` entries that the log of `old_size` does not have.

    Raises InvalidValue.
    """
    if not 0 <= old_size <= new_size:
        raise InvalidValue(f"a log does not shrink from {old_size} to {new_size} entries")
    if old_size == new_size:
        return
    for index in range(old_size // TILE_WIDTH, (new_size - 1) // TILE_WIDTH + 1):
        yield TileName(level=None, index=index, width=min(TILE_WIDTH, new_size - index * TILE_WIDTH))


def tile_width(level: int, index: int, size: int) -> int:
    """How many hashes the tile has in a tree of `size` leaves: 0 (there is none) to 256."""
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH))


def hash_reader(size: int, get_tile: GetTile) -> GetHash:
    """A `get_hash(level, index)` for `merkle` that reads the tiles of a tree of `size` leaves.

    `get_tile` is asked for the widths of exactly that tree. Raises InvalidValue for a subtree that is not in
    the tree.
    """

    def get_hash(level: int, index: int) -> bytes:
        if (index + 1) << level > size:
            raise InvalidValue(f"subtree ({level}, {index}) is not complete in a tree of {size}")
        tile_level, inside = divmod(level, TILE_HEIGHT)
        first = index << inside
        tile_index, offset = divmod(first, TILE_WIDTH)
        width = tile_width(tile_level, tile_index, size)
        hashes = hashes_of(get_tile(tile_level, tile_index, width), width)[offset : offset + (1 << inside)]
        while len(hashes) > 1:
            hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
        return hashes[0]

    return get_hash


def _numbered(index: int, width: int) -> str:
    if index < 0 or not 1 <= width <= TILE_WIDTH:
        raise InvalidValue(f"no tile has index {index} and width {width}")
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return path if width == TILE_WIDTH else f"{path}.p/{width}"

"""The right edge of a tiled Merkle tree: all that is needed to append to it and to know its root.

For a tree of size s, level l keeps the hashes of the partial tile there: floor(s / 256^l) mod 256 of them,
each the root of a complete subtree of 256^l leaves (C2SP tlog-tiles, "Partial Tiles"). Pure; which tiles
are read and written is left to `storage.log.tree`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from schemas.merkle import EMPTY_ROOT, root_of
from schemas.tiles import TILE_WIDTH, TileName, hashes_of


@dataclass(kw_only=True, slots=True)
class Edge:
    """The partial tiles of a tree, lowest level first; grows in place."""

    size: int = 0
    levels: list[list[bytes]] = field(default_factory=list)

    @classmethod
    def restore(cls, size: int, read_tile: Callable[[TileName], bytes]) -> Edge:
        """The edge of a stored tree of `size` leaves, from its partial tiles.

        Raises DamageError where a tile has another length than its width asks for, and whatever `read_tile`
        raises.
        """
        edge = cls(size=size)
        count = size
        level = 0
        while count:
            width = count % TILE_WIDTH
            hashes: list[bytes] = []
            if width:
                hashes = hashes_of(read_tile(TileName(level=level, index=count // TILE_WIDTH, width=width)), width)
            edge.levels.append(hashes)
            count //= TILE_WIDTH
            level += 1
        return edge

    def copy(self) -> Edge:
        """An edge that grows apart from this one."""
        return Edge(size=self.size, levels=[list(hashes) for hashes in self.levels])

    def extend(self, leaves: Iterable[bytes]) -> Iterator[tuple[TileName, bytes]]:
        """Append leaf hashes; gives each tile that becomes full, with its bytes. To be exhausted."""
        for leaf in leaves:
            self.size += 1
            carried, level = leaf, 0
            while True:
                if level == len(self.levels):
                    self.levels.append([])
                hashes = self.levels[level]
                hashes.append(carried)
                if len(hashes) < TILE_WIDTH:
                    break
                # The tile's end, counted in its own hashes, is a multiple of 256: this is the one before it.
                index = self.size // TILE_WIDTH ** (level + 1) - 1
                yield TileName(level=level, index=index, width=TILE_WIDTH), b"".join(hashes)
                carried = root_of(hashes)
                hashes.clear()
                level += 1

    def partials(self) -> Iterator[tuple[TileName, bytes]]:
        """The partial tiles of the tree as it stands, with their bytes; empty ones are no tiles."""
        for level, hashes in enumerate(self.levels):
            if hashes:
                index = self.size // TILE_WIDTH ** (level + 1)
                yield TileName(level=level, index=index, width=len(hashes)), b"".join(hashes)

    def root(self) -> bytes:
        """The Merkle tree hash of all leaves (RFC 6962 2.1); that of the empty tree for size 0.

        A level's hashes and the root of all that lies right of them form a tree of their own: it splits at
        the largest power of two below its length, as the whole tree does.
        """
        right: bytes | None = None
        for hashes in self.levels:
            row = hashes if right is None else [*hashes, right]
            if row:
                right = root_of(row)
        return EMPTY_ROOT if right is None else right

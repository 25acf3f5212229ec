"""The right edge of the tree against the plain definition of the tree."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import DamageError
from schemas.merkle import EMPTY_ROOT, leaf_hash, root_of
from schemas.tiles import TileName, hash_reader, tiles_of
from storage.log.edge import Edge


def leaves(start: int, stop: int) -> list[bytes]:
    return [leaf_hash(b"%d" % n) for n in range(start, stop)]


def grow(edge: Edge, new: list[bytes]) -> dict[str, bytes]:
    """The tiles that appending writes, by path."""
    written = {name.path: data for name, data in edge.extend(new)}
    return written | {name.path: data for name, data in edge.partials()}


def test_an_empty_tree_has_the_empty_root_and_no_tiles() -> None:
    edge = Edge()
    assert edge.root() == EMPTY_ROOT == hashlib.sha256(b"").digest()
    assert list(edge.partials()) == []


def test_the_specifications_example_of_70000_leaves() -> None:
    edge = Edge()
    written = [name for name, _ in edge.extend(leaves(0, 70_000))]
    assert sum(name.level == 0 for name in written) == 273
    assert [name for name in written if name.level] == [TileName(level=1, index=0)]
    partial = [(name.level, name.index, name.width) for name, _ in edge.partials()]
    assert partial == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert edge.root() == root_of(leaves(0, 70_000))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537])
def test_the_tiles_of_a_tree_are_exactly_those_that_the_specification_names(size: int) -> None:
    tiles = grow(Edge(), leaves(0, size))
    assert set(tiles) == {name.path for name in tiles_of(size)}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=4))
def test_growing_in_steps_and_restoring_between_them_is_growing_at_once(steps: list[int]) -> None:
    tiles: dict[str, bytes] = {}
    edge, size = Edge(), 0
    for step in steps:
        for path, data in grow(edge, leaves(size, size + step)).items():
            assert tiles.setdefault(path, data) == data  # put once: a name never stands for two contents
        size += step
        assert edge.root() == root_of(leaves(0, size))
        edge = Edge.restore(size, lambda name: tiles[name.path])
    assert edge.size == size
    assert edge.root() == root_of(leaves(0, size))
    read = hash_reader(size, lambda level, index, width: tiles[TileName(level=level, index=index, width=width).path])
    for index in range(0, size, 97):
        assert read(0, index) == leaves(index, index + 1)[0]


def test_a_copy_grows_apart() -> None:
    edge = Edge()
    list(edge.extend(leaves(0, 300)))
    other = edge.copy()
    list(other.extend(leaves(300, 600)))
    assert (edge.size, other.size) == (300, 600)
    assert edge.root() == root_of(leaves(0, 300))


def test_a_short_tile_is_damage() -> None:
    with pytest.raises(DamageError, match="64 bytes, not 63"):
        Edge.restore(2, lambda name: b"x" * 63)

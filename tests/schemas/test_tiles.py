"""tlog-tiles: paths, bundles, and which tiles a tree has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import DamageError, InvalidValue
from schemas.merkle import HASH_SIZE, CompactRange, inclusion_path, leaf_hash, verify_inclusion
from schemas.tiles import (
    MAX_ENTRY,
    TileName,
    decode_entries,
    encode_entries,
    entries_path,
    hash_reader,
    hashes_of,
    new_bundles,
    new_tiles,
    parse_tile_path,
    tile_path,
    tile_width,
    tiles_of,
)


@given(st.none() | st.integers(0, 63), st.integers(0, 2**48), st.integers(1, 256))
def test_a_path_reads_back(level: int | None, index: int, width: int) -> None:
    name = TileName(level=level, index=index, width=width)
    assert parse_tile_path(name.path) == name


def test_the_examples_of_the_specification() -> None:
    assert tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert entries_path(0, 1) == "tile/entries/000.p/1"
    paths = [name.path for name in tiles_of(70_000)]
    assert len(paths) == 273 + 1 + 1 + 1 + 1
    assert paths[-5:] == ["tile/0/272", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert [name.path for name in tiles_of(256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert list(tiles_of(0)) == []


@pytest.mark.parametrize(
    "path",
    [
        "", "tile/0", "tile/0/0", "tile/0/0000", "tile/00/000", "tile/64/000", "tile/0/x000/001", "tile/0/001/002",
        "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/entries/x01/000", "tile/-1/000", "/tile/0/000",
        "tile/0/000\n", "tile/0/٠٠٠", "tile/0/x000/x000/001",
    ],
)  # fmt: skip
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(InvalidValue):
        parse_tile_path(path)


@pytest.mark.parametrize(("level", "index", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_tiles_that_cannot_be_are_not_named(level: int, index: int, width: int) -> None:
    with pytest.raises(InvalidValue):
        tile_path(level, index, width)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_an_entry_bundle_reads_back(entries: list[bytes]) -> None:
    data = encode_entries(entries)
    assert decode_entries(data) == entries
    if entries:
        with pytest.raises(InvalidValue):
            decode_entries(data[:-1] if entries[-1] else data + b"\0")


def test_entries_have_a_largest_size() -> None:
    assert decode_entries(encode_entries([b"x" * MAX_ENTRY])) == [b"x" * MAX_ENTRY]
    with pytest.raises(InvalidValue):
        encode_entries([b"x" * (MAX_ENTRY + 1)])


@given(st.integers(0, 200_000), st.integers(0, 3_000))
def test_new_tiles_are_the_difference(old: int, growth: int) -> None:
    new = old + growth
    before, after = set(tiles_of(old)), set(tiles_of(new))
    assert set(new_tiles(old, new)) == after - before
    bundles = {(name.index, name.width) for name in new_bundles(old, new)}
    assert bundles == {(name.index, name.width) for name in after - before if name.level == 0}
    for name in after:
        assert name.level is not None
        assert tile_width(name.level, name.index, new) == name.width


def test_a_tree_does_not_shrink() -> None:
    with pytest.raises(InvalidValue):
        list(new_tiles(2, 1))


def test_proofs_are_read_from_tiles() -> None:
    size = 70_000 // 100
    leaves = [leaf_hash(number.to_bytes(4, "big")) for number in range(size)]
    tree, nodes = CompactRange(), {}
    for leaf in leaves:
        nodes.update({(level, index): value for level, index, value in tree.append(leaf)})
    tiles = {}
    for name in tiles_of(size):
        assert name.level is not None
        first = name.index * 256
        hashes = [nodes[name.level * 8, first + offset] for offset in range(name.width)]
        tiles[name.level, name.index, name.width] = b"".join(hashes)
    get_hash = hash_reader(size, lambda level, index, width: tiles[level, index, width])
    for index in (0, 1, 255, 256, 511, 512, size - 1):
        verify_inclusion(index, size, leaves[index], inclusion_path(index, size, get_hash), tree.root())
    with pytest.raises(InvalidValue):
        get_hash(0, size)


def test_a_tile_of_another_length_is_damage() -> None:
    assert hashes_of(bytes(2 * HASH_SIZE), 2) == [bytes(HASH_SIZE)] * 2
    with pytest.raises(DamageError):
        hashes_of(bytes(2 * HASH_SIZE), 3)

"""The trace index: catalog, folded segments, merges and removals all give the same answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import DamageError
from storage import fingerprints
from storage.archive import Archive
from storage.fingerprints import index as indexing
from storage.fingerprints import index_version, letters, selected
from storage.fingerprints import segments as files
from storage.fingerprints.grams import KEY_BITS, pack, unpack
from storage.fingerprints.index import PREFIX
from tests.support.archives import settings

KEYS = st.lists(st.integers(0, (1 << KEY_BITS) - 1) | st.integers(0, 40), max_size=40)


@pytest.fixture(params=["folder", pytest.param("services", marks=[pytest.mark.postgres, pytest.mark.s3])])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    given = settings(tmp_path)
    if request.param == "services":
        catalog = request.getfixturevalue("postgres_url")
        given = settings(tmp_path, catalog=catalog, objects=request.getfixturevalue("s3_bucket").url)
    with Archive.create(given) as made:
        yield made


def prose(seed: int, words: int = 150) -> str:
    source = random.Random(seed)
    return " ".join("".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=source.randint(2, 9))) for _ in range(words))


def add(archive: Archive, first: int, last: int) -> None:
    with archive.catalog.begin() as tx:
        for row_id in range(first, last):
            index_version(tx, row_id, prose(row_id))


def found(archive: Archive, row_id: int) -> list[int]:
    with archive.catalog.read() as tx:
        asked = archive.traces.candidates(tx, letters(prose(row_id)[200:320]), 5, least=2)
    return [candidate.row_id for candidate in asked.found]


def held(archive: Archive) -> tuple[int, list[int]]:
    with archive.catalog.read() as tx:
        return tx.fingerprints.count(), [row.documents for row in tx.fingerprints.segments()]


# -- keys and files --------------------------------------------------------------------------------------------------


@given(KEYS)
def test_keys_as_bytes(values: list[int]) -> None:
    keys = np.array(values, np.uint64)
    assert unpack(pack(keys)).tolist() == values


@given(st.lists(KEYS, min_size=1, max_size=12), KEYS, st.sampled_from([0, 1, 3, 64]))
def test_a_segment_finds_what_was_put_in(texts: list[list[int]], others: list[int], read: int) -> None:
    """Buckets are read whole up to a size, and searched above it."""
    keys = [np.unique(np.array(some, np.uint64)) for some in texts]
    segment = files.build([10 + number for number in range(len(texts))], keys)
    wanted = [*sorted({value for some in texts for value in some}), *others]
    with mock.patch.object(files, "_READ", read):
        begins, ends = segment.find(np.array(wanted, np.uint64))
    for value, begin, end in zip(wanted, begins, ends, strict=True):
        rows = segment.rows[segment.documents_at(begin[None], end[None])].tolist()
        assert rows == [10 + number for number, some in enumerate(texts) if value in some]


@given(st.lists(st.lists(KEYS, min_size=1, max_size=6), min_size=1, max_size=4), st.sets(st.integers(0, 12)))
def test_a_merge_is_as_if_built_at_once(parts: list[list[list[int]]], gone: set[int]) -> None:
    keys = [[np.unique(np.array(some, np.uint64)) for some in part] for part in parts]
    rows, number = [], 0
    for part in parts:
        rows.append(list(range(number, number + len(part))))
        number += len(part)
    built = [files.build(some, texts) for some, texts in zip(rows, keys, strict=True)]
    kept = [(row, k) for some, ks in zip(rows, keys, strict=True) for row, k in zip(some, ks, strict=True)]
    whole = files.build(*zip(*kept, strict=True))
    joined = files.joined(built)
    assert joined.rows.tolist() == whole.rows.tolist()
    assert joined.postings.tolist() == whole.postings.tolist()
    kept = [(row, k) for row, k in kept if row not in gone]
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "merged"
        assert files.merge(path, built, gone) == len(kept)
        merged = files.read(path)
        expected = files.build([row for row, _ in kept], [k for _, k in kept])
        for name in ("rows", "fanout", "postings"):
            assert getattr(merged, name).tolist() == getattr(expected, name).tolist(), name


def test_a_file_that_is_cut_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    files.write(path, files.build([1], [selected(letters(prose(1)))]))
    whole = path.read_bytes()
    for broken in (b"", whole[:40], whole[:-1], b"X" + whole[1:], whole + b"\0"):
        path.write_bytes(broken)
        with pytest.raises(DamageError, match="rebuild"):
            files.read(path)


@pytest.mark.parametrize("part", ["fanout", "postings"])
def test_a_segment_that_leads_out_of_itself_is_damage(tmp_path: Path, part: str) -> None:
    """Its length is right, so that it is opened."""
    with Archive.create(settings(tmp_path)) as archive:
        add(archive, 1, 9)
        archive.traces.fold(1)
        (path,) = (tmp_path / "objects" / "fingerprints").iterdir()
        whole = files.read(path)
        data = bytearray(path.read_bytes())
        if part == "fanout":
            begin = len(data) - 4 * (len(whole.postings) + len(whole.fanout))
            data[begin : len(data) - 4 * len(whole.postings)] = b"\xf0" * (4 * len(whole.fanout))
        else:  # the same keys, of documents that there are not
            begin = len(data) - 4 * len(whole.postings)
            for at in range(begin, len(data), 4):
                data[at] |= (1 << whole.bits) - 1
        path.write_bytes(data)
    with Archive.open(settings(tmp_path)) as archive, pytest.raises(DamageError, match="rebuild"):
        found(archive, 3)


# -- the life of an index --------------------------------------------------------------------------------------------


def test_versions_are_found_wherever_they_lie(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "FOLD", 10)
    add(archive, 1, 26)
    assert [found(archive, row_id) for row_id in (1, 25)] == [[1], [25]]
    monkeypatch.setattr(indexing, "BULK", 10)
    assert archive.traces.fold(10) == 20
    assert held(archive) == (5, [10, 10])
    add(archive, 26, 30)
    assert [found(archive, row_id) for row_id in (1, 11, 21, 25, 29)] == [[1], [11], [21], [25], [29]]
    assert found(archive, 30) == []
    monkeypatch.setattr(indexing, "BULK", 100)
    assert archive.traces.fold(1) == 9
    archive.traces.compact()
    assert held(archive) == (0, [29])
    assert all(found(archive, row_id) == [row_id] for row_id in range(1, 30))
    assert [*archive.store.list(PREFIX)] == [PREFIX + row.name for row in _segments(archive)]


def _segments(archive: Archive) -> list[fingerprints.index.FingerprintSegment]:
    with archive.catalog.read() as tx:
        return tx.fingerprints.segments()


def test_segments_of_like_size_are_merged(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "FOLD", 4)
    for first in range(1, 33, 4):
        add(archive, first, first + 4)
        assert archive.traces.fold(4) == 4
    assert sum(held(archive)[1]) == 32
    assert len(held(archive)[1]) < 5
    assert all(found(archive, row_id) == [row_id] for row_id in range(1, 33))


def test_what_is_removed_is_found_nowhere_and_stands_in_no_file(archive: Archive) -> None:
    add(archive, 1, 21)
    archive.traces.fold(1)
    add(archive, 21, 26)
    assert found(archive, 7) == [7]
    old = [*archive.store.list(PREFIX)]
    assert archive.traces.remove([7, 8, 23]) == 3
    assert [found(archive, row_id) for row_id in (7, 8, 23, 6, 24)] == [[], [], [], [6], [24]]
    assert not set(old) & set(archive.store.list(PREFIX))
    (segment,) = _segments(archive)
    assert not {7, 8} & set(archive.traces._open(segment).rows.tolist())
    assert archive.traces.remove([7, 8, 23]) == 0
    assert archive.traces.remove(range(1, 26)) == 22
    assert held(archive) == (0, [])
    assert [*archive.store.list(PREFIX)] == []


def test_a_second_process_sees_what_the_first_changed(tmp_path: Path) -> None:
    given = settings(tmp_path)
    with Archive.create(given) as writer, Archive.open(given) as reader:
        add(writer, 1, 5)
        assert found(reader, 3) == [3]
        writer.traces.fold(1)
        assert found(reader, 3) == [3]
        add(writer, 5, 7)
        assert found(reader, 6) == [6]
        writer.traces.remove([3, 6])
        assert [found(reader, row_id) for row_id in (3, 6, 5)] == [[], [], [5]]


def test_two_folds_at_once_count_a_version_once(tmp_path: Path) -> None:
    given = settings(tmp_path)
    with Archive.create(given) as one, Archive.open(given) as other:
        add(one, 1, 9)
        with one.catalog.read() as tx:
            rows = list(tx.fingerprints.after(0, 100))
        assert other.traces.fold(1) == 8
        assert not one.traces._seal(rows)
        assert held(one) == (0, [8])
        assert len([*one.store.list(PREFIX)]) == 1
        assert found(one, 4) == [4]


def test_an_object_that_nobody_names_is_swept(archive: Archive) -> None:
    add(archive, 1, 5)
    archive.traces.fold(1)
    archive.store.put(PREFIX + "20200101000000-aa", b"left by a killed process")
    archive.store.put(PREFIX + "20990101000000-bb", b"being made just now")
    assert archive.traces.sweep(older=3600) == 1
    assert PREFIX + "20990101000000-bb" in set(archive.store.list(PREFIX))
    assert found(archive, 2) == [2]


def test_many_are_filled_in_at_once(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "BULK", 7)
    with archive.traces.filling() as put:
        for row_id in range(1, 31):
            put(row_id, selected(letters(prose(row_id))))
    assert held(archive) == (0, [30])
    assert all(found(archive, row_id) == [row_id] for row_id in range(1, 31))

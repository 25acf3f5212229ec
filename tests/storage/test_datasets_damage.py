"""Datasets that were changed behind our back: every kind of damage is told. Rows and lists of files read back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.digests import Digest
from schemas.errors import DamageError, InvalidValue
from schemas.instants import from_micros, rfc3339
from schemas.manifests import ROW_NONCE
from storage.archive import Archive
from storage.catalog import SnapshotRow
from storage.datasets import Selection, build, diff, verify
from storage.datasets.describe import File, files_json, read_files_json
from storage.datasets.parquet import Writer, read_rows
from storage.datasets.rows import columns, precision, without_text
from storage.rebuild import rebuild
from storage.segments import object_key
from tests.storage.sealed import DAY, NAMES, SHARD, flip, keep, manifest_of, rows_of, spoil, take
from tests.support.archives import START, fill, page, settings


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Archive]:
    """Three articles in a folder."""
    with Archive.create(settings(tmp_path)) as made:
        fill(made)
        yield made



@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_byte_in_any_file_is_told(small: Archive, name: str) -> None:
    row = build(small, "n", Selection())
    small.integrate()
    spoil(small, row.prefix + name, flip)
    problems = verify(small, "n")
    assert problems
    # A flip within files.json may hit a digest there: then the file whose digest it is seems to be damaged.
    assert name == "files.json" or any(problem.startswith(name) for problem in problems), problems


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_told(small: Archive, name: str) -> None:
    row = build(small, "n", Selection())
    small.integrate()
    path = small.store.local_path(row.prefix + name)
    assert path is not None
    path.unlink()
    assert f"{name} is missing" in verify(small, "n")


def test_a_file_too_many_is_told(small: Archive) -> None:
    row = build(small, "n", Selection())
    small.integrate()
    small.store.put(row.prefix + "data/articles-00001.parquet", b"x")
    assert verify(small, "n") == ["data/articles-00001.parquet is not listed in files.json"]


def forge(archive: Archive, row: SnapshotRow, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Other rows in a valid file, and files.json set right: what somebody does who can write to the store."""
    cols = manifest_of(archive, row).columns
    folder = archive.directory / "forged"
    folder.mkdir()
    held = folder / "held.parquet"
    held.write_bytes(archive.store.get(row.prefix + SHARD))
    writer = Writer(folder, cols)
    for value in change(list(read_rows(held, cols))):
        writer.add(value)
    writer.close()
    data = writer.files[0].read_bytes()
    spoil(archive, row.prefix + SHARD, lambda _: data)
    spoil(
        archive, row.prefix + "files.json",
        lambda old: files_json(
            [File(name=f.name, length=len(data), sha256=str(Digest.sha256(data))) if f.name == SHARD else f
             for f in read_files_json(old)]
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: rows[1:], "2 rows, the manifest says 3"),
        (lambda rows: [*rows, rows[-1]], "out of order"),
        (lambda rows: [rows[1], rows[0], rows[2]], "out of order"),
        (lambda rows: [rows[0] | {"title": "Ferry sinks"}, *rows[1:]], "says otherwise of title"),
        (lambda rows: [rows[0] | {"text": "It sank."}, *rows[1:]], "its text is not its paragraphs"),
        (lambda rows: [rows[0] | {ROW_NONCE: None}, *rows[1:]], "says otherwise of row_nonce"),
        (lambda rows: [rows[0] | {"capture_offset": 7}, *rows[1:]], "its capture record"),
        (lambda rows: [rows[0] | {"conversion_id": "urn:uuid:0"}, *rows[1:]], "its conversion record"),
        (lambda rows: [rows[0] | {"log_index": 99}, *rows[1:]], "not below the tree size"),
        (lambda rows: [rows[0] | {"last_seen": "2030-01-01T00:00:00Z"}, *rows[1:]], "lead to the root"),
        (lambda rows: [rows[0] | {"log_index": None}, *rows[1:]], "holds rows that no build writes"),
        (lambda rows: [], "0 rows, the manifest says 3"),
    ],
)  # fmt: skip
def test_forged_rows_are_told(
    small: Archive, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], sentence: str
) -> None:
    row = build(small, "n", Selection())
    small.integrate()
    forge(small, row, change)
    problems = verify(small, "n")
    assert any(sentence in problem for problem in problems), problems
    if sentence != "its text is not its paragraphs":
        assert any("lead to the root" in problem for problem in problems)


def test_a_shard_of_other_columns_is_told(small: Archive) -> None:
    row = build(small, "n", Selection())
    other = build(small, "bare", Selection(with_text=False))
    small.integrate()
    data = small.store.get(other.prefix + SHARD)
    spoil(small, row.prefix + SHARD, lambda _: data)
    listed = small.store.get(other.prefix + "files.json")
    spoil(small, row.prefix + "files.json", lambda _: listed)
    assert any("other columns than the manifest" in problem for problem in verify(small, "n"))
    with pytest.raises(DamageError):
        list(diff(small, "n", "bare"))


def test_another_manifest_is_told(small: Archive) -> None:
    row = build(small, "n", Selection())
    small.integrate()
    spoil(small, row.prefix + "manifest.json", lambda data: data.replace(b'"rows":3', b'"rows":4'))
    problems = verify(small, "n")
    assert any("not the one that was sealed" in problem for problem in problems)
    assert any("the catalog disagree" in problem for problem in problems)


def test_a_damaged_article_record_is_told(small: Archive) -> None:
    row = build(small, "n", Selection())
    small.seal()
    value = rows_of(small, row)[0]
    start, end = value["conversion_offset"], value["conversion_offset"] + value["conversion_length"]
    key = object_key(value["conversion_segment"])
    spoil(small, key, lambda data: data[:start] + flip(data[start:end]) + data[end:])
    (problem,) = verify(small, "n")
    assert problem.startswith(f"row 1 ({value['article_id']}, version 1): ")


def test_a_snapshot_that_is_not_under_a_checkpoint_yet_says_so(small: Archive) -> None:
    build(small, "n", Selection())
    (problem,) = verify(small, "n")
    assert "does not commit to this snapshot yet" in problem


def test_a_rebuilt_catalog_knows_its_snapshots(small: Archive) -> None:
    build(small, "n", Selection())
    keep(small, take(small, "/9", page(9), START + DAY))
    last = build(small, "n", Selection())
    small.seal()
    given = small.settings
    small.close()
    for path in given.directory.glob("catalog.sqlite*"):
        path.unlink()
    report = rebuild(given)
    assert (report.snapshots, report.lost) == (2, 0)
    with Archive.open(given) as archive:
        with archive.catalog.read() as tx:
            found = tx.snapshots.get("n")
        assert found is not None
        assert replace(found, created=0) == replace(last, created=0)
        assert verify(archive, "n") == verify(archive, "n", "1.0.0") == []
        assert build(archive, "n", Selection()) == found


# -- rows and files, there and back ----------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
TEXTS = st.lists(TEXT, max_size=3)
INSTANT = st.integers(0, 4_000_000_000_000_000).map(lambda micros: rfc3339(from_micros(micros)))
RIGHT = st.none() | st.fixed_dictionaries({"value": TEXT, "source": TEXT, "observed": TEXT})
VALUES = {
    "string": st.none() | TEXT,
    "integer": st.none() | st.integers(-(2**53) + 1, 2**53 - 1),
    "strings": st.none() | TEXTS,
    "instant": st.none() | INSTANT,
    "rights": st.fixed_dictionaries(dict.fromkeys(("robots", "tdm_reservation", "license", "copyright_notice"), RIGHT)),
    "photos": st.lists(
        st.fixed_dictionaries(
            {
                **dict.fromkeys(("url", "caption", "alt", "credit"), st.none() | TEXT),
                **dict.fromkeys(("photographers", "agencies"), TEXTS), "position": st.integers(0, 9),
            }
        ),
        max_size=2,
    ),
}  # fmt: skip
ROWS = st.lists(st.fixed_dictionaries({c.name: VALUES[c.type] for c in columns(with_text=True)}), max_size=3)


@given(ROWS, st.booleans())
def test_rows_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], with_text: bool) -> None:
    folder = tmp_path_factory.mktemp("rows")
    rows = rows if with_text else [without_text(row) for row in rows]
    cols = columns(with_text=with_text)
    writer = Writer(folder, cols)
    for row in rows:
        writer.add(row)
    writer.close()
    assert [row for path in writer.files for row in read_rows(path, cols)] == rows
    shutil.rmtree(folder)


def test_many_rows_are_several_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.datasets.parquet.GROUP_ROWS", 2)
    monkeypatch.setattr("storage.datasets.parquet.SHARD_ROWS", 4)
    cols = columns(with_text=False)[:2]
    writer = Writer(tmp_path, cols)
    rows = [{cols[0].name: f"{n}", cols[1].name: None} for n in range(9)]
    for row in rows:
        writer.add(row)
    writer.close()
    assert [path.name for path in writer.files] == [f"articles-0000{n}.parquet" for n in range(3)]
    assert [row for path in writer.files for row in read_rows(path, cols)] == rows


SHA256 = st.binary(min_size=32, max_size=32).map(lambda digest: f"sha256:{digest.hex()}")
FILES = st.lists(
    st.builds(File, name=TEXT, length=st.integers(0, 2**50), sha256=SHA256),
    max_size=4, unique_by=lambda file: file.name,
)  # fmt: skip


@given(FILES)
def test_files_json_reads_back(files: list[File]) -> None:
    assert read_files_json(files_json(files)) == sorted(files, key=lambda file: file.name)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"files":[],"format":"pressmark-files/2"}', b'{"files":[{}],"format":"pressmark-files/1"}',
     b'{"files":5,"format":"pressmark-files/1"}', b'{"files":[],"format":"pressmark-files/1","more":1}',
     b'{"files":[{"bytes":"5","name":"a","sha256":"b"}],"format":"pressmark-files/1"}',
     b'{"files":[{"bytes":1,"name":"a","sha256":"b"},{"bytes":1,"name":"a","sha256":"b"}],"format":"pressmark-files/1"}'],
)  # fmt: skip
def test_what_is_no_list_of_files_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidValue):
        read_files_json(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None), ("2026-11-02", "day"), ("2026-11-02T10:00", "local"), ("2026-11-02T10:00:00", "local"),
        ("2026-11-02T10:00:00Z", "instant"), ("2026-11-02T10:00:00+05:30", "instant"),
        ("2026-11-02T10:00-08:00", "instant"),
    ],
)  # fmt: skip
def test_how_exactly_a_page_dates_itself(text: str | None, expected: str | None) -> None:
    assert precision(text) == expected

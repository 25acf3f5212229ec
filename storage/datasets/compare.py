"""Two datasets told apart, row by row, in one pass over both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.errors import DamageError, InvalidValue, NotFound
from schemas.manifests import ROW_NONCE
from storage.archive import Archive
from storage.catalog.values import SnapshotRow
from storage.datasets.describe import DATA, read_files_json
from storage.datasets.parquet import read_rows
from storage.datasets.places import FILES, find_whole, local, read_manifest
from storage.datasets.rows import Row

_Keyed = tuple[tuple[Any, ...], Row]


def diff(archive: Archive, a: str, b: str) -> Iterator[str]:
    """Lines about rows that two snapshots (NAME or NAME/VERSION) do not share.

    `-` only in a, `+` only in b, `~` in both with other values, in these columns. Raises NotFound for an unknown
    snapshot, DamageError.
    """
    left, right = find_whole(archive, a), find_whole(archive, b)
    return _merge(_rows(archive, left), _rows(archive, right))


def _merge(left: Iterator[_Keyed], right: Iterator[_Keyed]) -> Iterator[str]:
    """Both come in the order of their keys."""
    mine, theirs = next(left, None), next(right, None)
    while mine is not None or theirs is not None:
        if theirs is None or (mine is not None and mine[0] < theirs[0]):
            assert mine is not None
            yield _line("-", mine[1])
            mine = next(left, None)
        elif mine is None or theirs[0] < mine[0]:
            yield _line("+", theirs[1])
            theirs = next(right, None)
        else:
            names = _differing(mine[1], theirs[1])
            if names:
                yield f"{_line('~', theirs[1])}: {names}"
            mine, theirs = next(left, None), next(right, None)


def _rows(archive: Archive, snapshot: SnapshotRow) -> Iterator[_Keyed]:
    columns = read_manifest(archive, snapshot).columns
    key = snapshot.prefix + FILES
    try:
        files = read_files_json(archive.store.get(key))
        for file in files:
            if not file.name.startswith(DATA):
                continue
            with local(archive, snapshot.prefix + file.name) as path:
                for row in read_rows(path, columns):
                    yield (row["outlet_id"], row["article_id"], row["version"], row["log_index"]), row
    except (NotFound, InvalidValue) as error:
        raise DamageError(
            f"the files of {snapshot.name}/{snapshot.version} are damaged: {error.message}",
            remedy=f"run `pressmark snapshot verify {snapshot.name}`",
        ) from error


def _line(sign: str, row: Row) -> str:
    return f"{sign} {row['outlet_id']} {row['article_id']}@{row['version']} {row['title'] or row['url']}"


def _differing(mine: Row, theirs: Row) -> str:
    """Names of the columns that both have and that differ; the nonce follows from the others."""
    names = [name for name in mine if name in theirs and name != ROW_NONCE and mine[name] != theirs[name]]
    return ", ".join(names)

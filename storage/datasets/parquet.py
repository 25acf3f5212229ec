"""Rows in Parquet files and back: the one module that knows pyarrow.

Nothing in a file tells when or by whom it was written, so that one pyarrow version writes the same rows as the same
bytes. What the columns mean is left to `rows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import DamageError, DiskError
from schemas.instants import from_micros, parse_rfc3339, rfc3339, to_micros
from schemas.manifests import Column

#: Rows of a row group: what is held in memory at once, some ten MB of articles.
GROUP_ROWS: Final = 2_000
#: Rows of a shard: a hundred or two MB compressed, a size that readers like.
SHARD_ROWS: Final = 100_000
#: Zstandard's own default: beyond it, time grows faster than files shrink.
ZSTD_LEVEL: Final = 3

_RIGHT: Final = pa.struct([("value", pa.string()), ("source", pa.string()), ("observed", pa.string())])
_PHOTO: Final = (
    *(("url", pa.string()), ("caption", pa.string()), ("alt", pa.string()), ("credit", pa.string())),
    *(("photographers", pa.list_(pa.string())), ("agencies", pa.list_(pa.string())), ("position", pa.int64())),
)
_INSTANT: Final = pa.timestamp("us", tz="UTC")
_TYPES: Final = {
    "string": pa.string(),
    "integer": pa.int64(),
    "strings": pa.list_(pa.string()),
    "instant": _INSTANT,
    "rights": pa.struct([(n, _RIGHT) for n in ("robots", "tdm_reservation", "license", "copyright_notice")]),
    "photos": pa.list_(pa.struct(_PHOTO)),
    "photos-without-text": pa.list_(pa.struct([field for field in _PHOTO if field[0] not in ("caption", "alt")])),
}

Row = dict[str, Any]


class Writer:
    """Writes rows in the order given into shards `articles-NNNNN.parquet` of a folder. Raises DiskError."""

    def __init__(self, folder: Path, columns: Sequence[Column]) -> None:
        self._folder, self._schema = folder, _schema(columns)
        self._instants = [column.name for column in columns if column.type == "instant"]
        self._rows: list[Row] = []
        self._shard: pq.ParquetWriter | None = None
        self._left = 0  # rows that the shard still takes
        self.files: list[Path] = []

    def add(self, row: Row) -> None:
        """Add one row, with all columns; instants as RFC 3339 texts."""
        self._rows.append(row | {name: _micros(row[name]) for name in self._instants})
        if len(self._rows) >= GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left; a dataset has one shard at least."""
        if self._rows or not self.files:
            self._flush()
        self._end()

    def _flush(self) -> None:
        try:
            if self._shard is None:
                path = self._folder / f"articles-{len(self.files):05d}.parquet"
                self._shard, self._left = _writer(path, self._schema), SHARD_ROWS
                self.files.append(path)
            self._shard.write_table(pa.Table.from_pylist(self._rows, schema=self._schema), row_group_size=GROUP_ROWS)
        except OSError as error:
            raise _disk_error(self._folder, error) from error
        self._left -= len(self._rows)
        self._rows = []
        if self._left <= 0:
            self._end()

    def _end(self) -> None:
        shard, self._shard = self._shard, None
        if shard is not None:
            try:
                shard.close()
            except OSError as error:
                raise _disk_error(self._folder, error) from error


def write_table(path: Path, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """A small table as one file. Raises DiskError."""
    try:
        with _writer(path, _schema(columns)) as writer:
            writer.write_table(pa.Table.from_pylist(list(rows), schema=_schema(columns)))
    except OSError as error:
        raise _disk_error(path, error) from error


def read_rows(path: Path, columns: Sequence[Column]) -> Iterator[Row]:
    """The rows of a file, as `Writer` was given them. Raises DamageError where it holds no such rows."""
    schema = _schema(columns)
    instants = [column.name for column in columns if column.type == "instant"]
    try:
        with pq.ParquetFile(path) as source:
            if not source.schema_arrow.equals(schema):
                raise DamageError(f"{path.name} has other columns than the manifest")
            for batch in source.iter_batches(batch_size=GROUP_ROWS):
                for row in _plain(batch, instants).to_pylist():
                    for name in instants:
                        row[name] = None if row[name] is None else rfc3339(from_micros(row[name]))
                    yield row
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DamageError(f"{path.name} cannot be read as Parquet: {_line(error)}") from error


def column_values(path: Path, name: str) -> Iterator[Any]:
    """The values of one column, in the order of the rows. Raises DamageError."""
    try:
        with pq.ParquetFile(path) as source:
            for batch in source.iter_batches(batch_size=GROUP_ROWS, columns=[name]):
                yield from batch.column(0).to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DamageError(f"{path.name} cannot be read as Parquet: {_line(error)}") from error


def _plain(batch: Any, instants: Sequence[str]) -> Any:
    """The batch with instants as integers: Python's own conversion would ask for a zone database."""
    for name in instants:
        at = batch.schema.get_field_index(name)
        batch = batch.set_column(at, name, batch.column(at).cast(pa.int64()))
    return batch


def _schema(columns: Sequence[Column]) -> Any:
    try:
        return pa.schema([(column.name, _TYPES[column.type]) for column in columns])
    except KeyError as error:
        raise DamageError(f"the manifest has a column of the unknown type {error}") from error


def _writer(path: Path, schema: Any) -> Any:
    return pq.ParquetWriter(
        path,
        schema,
        version="2.6",
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        write_statistics=True,
        use_dictionary=True,
    )


def _micros(text: str | None) -> int | None:
    return None if text is None else to_micros(parse_rfc3339(text))


def _disk_error(path: Path, error: OSError) -> DiskError:
    return DiskError(f"cannot write {path}: {_line(error)}", remedy="free or mend the disk and run the command again")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]

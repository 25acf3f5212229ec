"""What the query classes share: ON CONFLICT, batches, JSON columns, and text made fit to store."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Compiled, Connection, Select, Table, bindparam, exc, insert

from schemas import canonical

T = TypeVar("T")

_NAMED: Final = re.compile(r"%\([a-z_]+\)s")  # psycopg's parameters by name, in the order of the columns

#: Values in one IN list or rows in one look-up: far below SQLite's 32,766 variables, few round trips.
BATCH: Final = 500


class Queries:
    """Named queries over one transaction's connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _insert(self, table: Table) -> Any:
        """An INSERT that knows ON CONFLICT; both databases spell it alike, SQLAlchemy keeps two classes."""
        # Each dialect is a large import, and only one of them is ever needed.
        if self._connection.dialect.name == "postgresql":
            from sqlalchemy.dialects import postgresql

            return postgresql.insert(table)
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)


class RowInsert:
    """Inserts whole rows of a table, as tuples in the order of its columns.

    The statement is compiled once for each database and given to the driver as it is: SQLAlchemy would put every row
    through a dictionary of bind parameters, which costs more than the insert. For columns whose values the drivers
    take as they are: texts, integers, bytes.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._texts: dict[str, str] = {}  # by dialect

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert all rows; none is fine."""
        if not rows:
            return
        dialect = connection.dialect
        text = self._texts.get(dialect.name)
        if text is None:
            text = _NAMED.sub("%s", str(insert(self._table).compile(dialect=dialect)))
            self._texts[dialect.name] = text
        connection.exec_driver_sql(text, list(rows))


class Prepared:
    """A query that is asked often: compiled once for each database, and given to the driver as it is.

    SQLAlchemy finds a statement that it compiled before by a key made anew each time, and makes a result that knows its
    columns by name and type, which takes longer than the look-up itself. For columns whose values the drivers give as
    they are: texts, integers, bytes. One of its values may be a list, whose length is rounded up to a power of two.
    """

    def __init__(self, query: Callable[[Sequence[Any]], Select[*tuple[Any, ...]]]) -> None:
        """`query` makes the statement, given the parameters that stand for the list's values."""
        self._query = query
        self._compiled: dict[tuple[str, int], Compiled] = {}

    def run(self, connection: Connection, listed: Sequence[Any] = (), **values: Any) -> list[tuple[Any, ...]]:
        """Ask; where the query takes a list, with 1 to BATCH values of it. The rows, in the order of the columns.

        Raises DBAPIError for what the driver raises, as SQLAlchemy does.
        """
        size = 1 << (len(listed) - 1).bit_length() if listed else 0
        compiled = self._compiled.get((connection.dialect.name, size))
        if compiled is None:
            statement = self._query([bindparam(f"listed_{n}") for n in range(size)])
            compiled = self._compiled[connection.dialect.name, size] = statement.compile(dialect=connection.dialect)
        given = {**compiled.params, **values}
        for n in range(size):
            given[f"listed_{n}"] = listed[min(n, len(listed) - 1)]
        order = getattr(compiled, "positiontup", None)
        return _rows(connection, str(compiled), given if order is None else tuple([given[n] for n in order]))


def _rows(connection: Connection, statement: str, parameters: Any) -> list[tuple[Any, ...]]:
    """What the driver gives. Raises DBAPIError."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
    except connection.dialect.loaded_dbapi.Error as error:
        raise exc.DBAPIError(statement, None, error) from error
    finally:
        cursor.close()


def batches(values: Sequence[T], size: int = BATCH) -> Iterator[list[T]]:
    """The values in runs of at most `size`."""
    rest = iter(values)
    while run := list(islice(rest, size)):
        yield run


def clean(text: str | None) -> str | None:
    """A stranger's text fit to store: NUL (which PostgreSQL refuses) and lone surrogates become U+FFFD.

    The bytes as they came are in the record; a column is for finding them.
    """
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def words(pairs: Mapping[str, str]) -> str:
    """A flat mapping of texts as canonical JSON. Raises InvalidValue for a key that is not ASCII."""
    if not pairs:
        return "{}"
    return canonical.dumps({key: clean(value) for key, value in pairs.items()}).decode()


def from_words(text: str) -> dict[str, str]:
    """Read what `words` wrote."""
    return dict(json.loads(text))


def key_list(keys: Sequence[str]) -> str:
    """A list of texts as canonical JSON."""
    return canonical.dumps([clean(key) for key in keys]).decode()


def from_key_list(text: str) -> tuple[str, ...]:
    """Read what `key_list` wrote."""
    return tuple(json.loads(text))

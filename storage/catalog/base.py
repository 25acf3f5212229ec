"""What the query classes share: ON CONFLICT, batches, JSON columns, and text made fit to store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from schemas import canonical

T = TypeVar("T")

#: Values in one IN list or rows in one look-up: far below SQLite's 32,766 variables, few round trips.
BATCH: Final = 500


class Queries:
    """Named queries over one transaction's connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _insert(self, table: Table) -> Any:
        """An INSERT that knows ON CONFLICT; both databases spell it alike, SQLAlchemy keeps two classes."""
        module = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        return module.insert(table)


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

"""Key and value: what an archive notes of itself once (its origin, when the last audit ended)."""

from __future__ import annotations

from sqlalchemy import select

from storage.catalog.base import Queries
from storage.catalog.tables import meta


class Meta(Queries):
    """Key and value."""

    __slots__ = ()

    def get(self, key: str) -> str | None:
        """The value noted under a key."""
        value: str | None = self._connection.scalar(select(meta.c.value).where(meta.c.key == key))
        return value

    def starting(self, prefix: str) -> dict[str, str]:
        """All values whose key begins with a prefix, by key."""
        query = select(meta.c.key, meta.c.value).where(meta.c.key.startswith(prefix, autoescape=True))
        return {row[0]: row[1] for row in self._connection.execute(query.order_by(meta.c.key))}

    def first(self, prefix: str, start: str) -> tuple[str, str] | None:
        """The first key, and its value, that begins with `prefix` and is not below `start`."""
        query = select(meta.c.key, meta.c.value).where(meta.c.key >= start).order_by(meta.c.key).limit(1)
        row = self._connection.execute(query).first()
        return (row[0], row[1]) if row is not None and row[0].startswith(prefix) else None

    def last(self, prefix: str) -> tuple[str, str] | None:
        """The last key, and its value, that begins with `prefix`, which ends in an ASCII character."""
        above = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        query = select(meta.c.key, meta.c.value).where(meta.c.key >= prefix, meta.c.key < above)
        row = self._connection.execute(query.order_by(meta.c.key.desc()).limit(1)).first()
        return None if row is None else (row[0], row[1])

    def set(self, key: str, value: str) -> None:
        """Note a value under a key, in place of an older one."""
        insert = self._insert(meta)
        self._connection.execute(
            insert.on_conflict_do_update(index_elements=[meta.c.key], set_={"value": insert.excluded.value}),
            {"key": key, "value": value},
        )

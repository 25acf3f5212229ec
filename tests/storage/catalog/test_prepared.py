"""Queries compiled once give what the same ones give when SQLAlchemy runs them."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, literal_column, select

from schemas.errors import PressmarkError
from storage.catalog import Catalog
from storage.catalog.base import BATCH, Prepared
from storage.catalog.tables import meta

NAMED = Prepared(lambda keys: select(meta.c.key, meta.c.value).where(meta.c.key.in_(keys)).order_by(meta.c.key))
FROM = Prepared(
    lambda _: select(meta.c.key).where(meta.c.key >= bindparam("first"), meta.c.value != "no 3%").order_by(meta.c.key)
)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 64, BATCH])
def test_a_list_of_any_length(catalog: Catalog, count: int) -> None:
    keys = [f"key {n:03}" for n in range(BATCH)]
    with catalog.begin() as tx:
        for key in keys:
            tx.meta.set(key, key.upper())
        found = NAMED.run(tx._connection, [*keys[:count]])
    assert [tuple(row) for row in found] == [(key, key.upper()) for key in keys[:count]]


def test_values_by_name_and_those_of_the_statement(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        for n in range(2, 6):
            tx.meta.set(f"z{n}", f"no {n}%")
        for first, expected in (("z3", ["z4", "z5"]), ("z5", ["z5"]), ("z9", [])):
            assert [row[0] for row in FROM.run(tx._connection, first=first)] == expected


def test_what_the_driver_raises_is_told_as_the_catalogs_error(catalog: Catalog) -> None:
    wrong = Prepared(lambda _: select(meta.c.key).where(literal_column("no_such_column") == bindparam("first")))
    with pytest.raises(PressmarkError), catalog.read() as tx:
        wrong.run(tx._connection, first=1)
    with catalog.read() as tx:  # the connection is of use as before
        assert FROM.run(tx._connection, first="z9") == []

"""A catalog on each database that Pressmark runs on: real SQLite, real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.catalog import Catalog

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=DATABASES)
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a catalog that is not there yet."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite:///{tmp_path}/catalog.sqlite"


@pytest.fixture
def catalog(catalog_url: str) -> Iterator[Catalog]:
    """A new catalog."""
    with Catalog.create(catalog_url) as made:
        yield made


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a SQLite catalog that is not there yet."""
    return f"sqlite:///{tmp_path}/catalog.sqlite"

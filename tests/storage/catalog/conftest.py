"""A catalog on each database that Pressmark runs on: real SQLite, real PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.catalog import Catalog
from tests.support.services import Postgres

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=DATABASES)
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a catalog that is not there yet."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite:///{tmp_path}/catalog.sqlite"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a SQLite catalog that is not there yet."""
    return f"sqlite:///{tmp_path}/catalog.sqlite"


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite catalog, to copy: making one takes longer than most tests here."""
    path = tmp_path_factory.mktemp("empty") / "catalog.sqlite"
    Catalog.create(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def server_url(postgres_server: Postgres) -> Iterator[str]:
    """An empty catalog on PostgreSQL, for one test after the other."""
    with postgres_server.database() as url:
        Catalog.create(url).close()
        yield url


@pytest.fixture(params=DATABASES)
def made_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty catalog."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("server_url")
        with Catalog.open(url) as used, used.begin() as tx:
            tx.clear()
        return url
    shutil.copy(request.getfixturevalue("empty_file"), tmp_path / "catalog.sqlite")
    return f"sqlite:///{tmp_path}/catalog.sqlite"


@pytest.fixture
def catalog(made_url: str) -> Iterator[Catalog]:
    """An empty catalog."""
    with Catalog.open(made_url) as opened:
        yield opened

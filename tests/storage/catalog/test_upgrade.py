"""A catalog of an older Pressmark is brought up to date, with what is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, insert, text

from storage.archive import system_clock
from storage.catalog import Catalog, ImageRow, migrate
from storage.catalog.migrations.versions import v0001_first, v0002_images
from storage.fingerprints import TraceIndex, letters
from storage.stores import open_store
from tests.storage.catalog import make

WORDS = "from the northern quay of the old harbour"


@contextmanager
def at_revision(url: str, revision: str) -> Iterator[Connection]:
    """A new catalog as an older Pressmark made it."""
    from alembic import command
    from alembic.config import Config

    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(make.ROOT / "storage" / "catalog" / "migrations"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        yield connection
    engine.dispose()


def add_version(connection: Connection, number: int, block: str) -> None:
    row = make.version("a", number, block=block)
    fields = row._asdict() | {"row_id": number}
    connection.execute(insert(v0001_first.metadata.tables["versions"]), fields)


def test_photos_of_known_versions_get_their_rows(catalog_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v0002_images, "_RUN", 2)
    photos = [
        {"url": "https://lantern.example/quay.jpg", "position": 0},
        {"url": None, "position": 1},
        {"url": "https://LANTERN.example/a b.jpg", "position": 2},
    ]
    with at_revision(catalog_url, "0001") as connection:
        for number in range(1, 6):
            add_version(connection, number, json.dumps({"photos": photos}))
    quay = ImageRow("urn:1", "r", "https://lantern.example/quay.jpg", 5, "sha256:1", None, "{}")
    spaced = ImageRow("urn:2", "r", "https://lantern.example/a%20b.jpg", 5, "sha256:2", None, "{}")
    with Catalog.open(catalog_url) as catalog:
        with catalog.begin() as tx:
            tx.images.add(quay)
            tx.images.add(spaced)
        with catalog.read() as tx:
            assert [m.row_id for m in tx.images.by_payload("sha256:1")] == [1, 2, 3, 4, 5]
            assert tx.images.for_version(4) == [(0, quay), (2, spaced)]
    assert migrate.HEAD >= "0002"


def test_an_index_that_took_brackets_for_tags_is_made_anew(catalog_url: str, tmp_path: Path) -> None:
    """Old keys and old segments go; the next start that writes fills the index from the versions."""
    with at_revision(catalog_url, "0004") as connection:
        for number in (1, 2):
            paragraph = f"{WORDS} <the caller {WORDS}> number {number}."
            add_version(connection, number, json.dumps({"paragraphs": [paragraph]}))
            connection.execute(
                text("INSERT INTO fingerprints (row_id, grams) VALUES (:row, :keys)"), {"row": number, "keys": b""}
            )
        connection.execute(text("INSERT INTO fingerprint_segments VALUES ('old', 1, 10, 'sha256:0')"))
        connection.execute(text("INSERT INTO meta VALUES ('trace changes', '7')"))
    with Catalog.open(catalog_url) as catalog:
        with catalog.read() as tx:
            assert tx.fingerprints.state() == (0, 8)  # a reader that goes on looks anew
        index = TraceIndex(catalog, open_store(str(tmp_path / "objects")), tmp_path / "traces", system_clock)
        assert index.refill() == 2
        assert index.refill() == 0
        with catalog.read() as tx:
            assert tx.fingerprints.segments() == []
            found = index.candidates(tx, letters(f"caller {WORDS} numb"), 5).found
        assert {candidate.row_id for candidate in found} == {1, 2}

"""A catalog of an older Pressmark is brought up to date, with what is in it."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import create_engine, insert

from storage.catalog import Catalog, ImageRow, migrate
from storage.catalog.migrations.versions import v0001_first, v0002_images
from tests.storage.catalog import make


def test_photos_of_known_versions_get_their_rows(catalog_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v0002_images, "_RUN", 2)
    photos = [
        {"url": "https://lantern.example/quay.jpg", "position": 0},
        {"url": None, "position": 1},
        {"url": "https://LANTERN.example/a b.jpg", "position": 2},
    ]
    engine = create_engine(catalog_url)
    with engine.begin() as connection:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(make.ROOT / "storage" / "catalog" / "migrations"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for number in range(1, 6):
            row = make.version("a", number, block=json.dumps({"photos": photos}))
            fields = {name: getattr(row, name) for name in row.__dataclass_fields__} | {"row_id": number}
            connection.execute(insert(v0001_first.metadata.tables["versions"]), fields)
    engine.dispose()
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

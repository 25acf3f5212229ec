"""The migrations make the tables that `tables` describes, on both databases."""

from __future__ import annotations

import re
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from storage.catalog import Catalog, migrate, tables
from storage.catalog.checks import schema_digest, schema_of_today


def test_head_is_the_last_step() -> None:
    script = ScriptDirectory(str(Path(migrate.__file__).with_name("migrations")))
    assert script.get_current_head() == migrate.HEAD
    assert [step.revision for step in script.walk_revisions()] == sorted(
        (f"{n:04d}" for n in range(1, int(migrate.HEAD) + 1)), reverse=True
    )


def test_nothing_is_left_for_a_migration_to_do(catalog: Catalog) -> None:
    with catalog._engines.read.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": migrate.VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, tables.metadata) == []


def test_migrated_and_described_tables_are_the_same_to_the_letter(sqlite_url: str, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/described.sqlite")
    tables.metadata.create_all(engine)
    with (
        Catalog.create(sqlite_url) as catalog,
        catalog._engines.read.connect() as migrated,
        engine.connect() as described,
    ):
        query = text("SELECT name, sql FROM sqlite_master WHERE tbl_name <> 'schema_version' ORDER BY name")
        wanted = [tuple(row) for row in described.execute(query)]
        assert [tuple(row) for row in migrated.execute(query)] == wanted
    engine.dispose()
    assert len(wanted) > 30


def test_no_lease_column_is_in_an_index() -> None:
    for table in (tables.hosts, tables.leases):
        assert not table.indexes
        assert [column.name for column in table.primary_key] in (["host"], ["name"])


def test_text_sorts_by_bytes_on_both(catalog: Catalog) -> None:
    names = ["b", "B", "a-1", "a1", "a 1", "ä", "Z", "_"]
    with catalog.begin() as tx:
        for name in names:
            tx.segments.add(name, "warc", "w", 1)
    with catalog.read() as tx:
        assert [row.name for row in tx.segments.all()] == sorted(names, key=str.encode)


def test_opening_a_catalog_of_today_waits_for_no_writer(catalog_url: str) -> None:
    with Catalog.create(catalog_url) as catalog, catalog.begin() as tx:
        tx.meta.set("a", "1")
        with Catalog.open(catalog_url, busy_seconds=0.1) as opened, opened.read() as other:
            assert other.meta.get("a") is None


def test_migrations_name_nothing_of_the_living_tables() -> None:
    folder = Path(migrate.__file__).with_name("migrations") / "versions"
    for step in folder.glob("v*.py"):
        assert not re.search(r"^\s*(?:from|import) storage", step.read_text(), re.MULTILINE), step.name


def test_the_digest_of_the_schema_is_that_of_its_migrations() -> None:
    """An audit compares with it; where it is wrong, each audit makes the schema anew."""
    assert schema_digest(schema_of_today()) == migrate.SCHEMA

"""Opening, beginning, ending; what happens where it cannot."""

from __future__ import annotations

import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event

from schemas.errors import (
    ArchiveMissing,
    CatalogError,
    CatalogNewer,
    DamageError,
    DiskError,
    ServiceError,
    SettingsError,
    UsageError,
)
from storage.catalog import Catalog, migrate, swap_in
from tests.storage.catalog import make


def test_what_was_committed_is_there_after_opening_again(catalog_url: str) -> None:
    with Catalog.create(catalog_url) as made, made.begin() as tx:
        tx.meta.set("origin", "pressmark.invalid/1")
    with Catalog.open(catalog_url) as opened, opened.read() as tx:
        assert tx.meta.get("origin") == "pressmark.invalid/1"
        assert tx.meta.get("other") is None


def test_an_error_in_the_body_undoes_the_transaction(catalog: Catalog) -> None:
    with pytest.raises(ZeroDivisionError), catalog.begin() as tx:
        make.undone(tx.meta.set("a", "1"), tx.log.append("capture", b"{}", bytes(32), None))
    with catalog.read() as tx:
        assert tx.meta.get("a") is None
        assert tx.log.state().next_index == 0


def test_a_key_takes_a_new_value(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        tx.meta.set("a", "1")
        tx.meta.set("a", "2")
        assert tx.meta.get("a") == "2"


def test_a_second_catalog_is_not_made_over_the_first(catalog: Catalog, made_url: str) -> None:
    with catalog.begin() as tx:
        tx.meta.set("a", "1")
    with pytest.raises(UsageError, match="already"):
        Catalog.create(made_url)
    with catalog.read() as tx:
        assert tx.meta.get("a") == "1"


def test_dialect_and_path(catalog: Catalog, tmp_path: Path) -> None:
    if catalog.dialect == "sqlite":
        assert catalog.path == tmp_path / "catalog.sqlite"
    else:
        assert (catalog.dialect, catalog.path) == ("postgresql", None)


def test_missing(catalog_url: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveMissing, match="no catalog"):
        Catalog.open(catalog_url)
    assert list(tmp_path.iterdir()) == [], "looking for a catalog made one"


def test_an_empty_file_is_no_catalog(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").touch()
    with pytest.raises(ArchiveMissing):
        Catalog.open(f"sqlite:///{tmp_path}/catalog.sqlite")


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ArchiveMissing, match="init"):
        Catalog.create(f"sqlite:///{tmp_path}/none/catalog.sqlite")


@pytest.mark.parametrize("url", ["", "catalog.sqlite", "mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_urls_that_name_no_catalog(url: str) -> None:
    with pytest.raises(SettingsError):
        Catalog.open(url)


@pytest.mark.parametrize("name", ["with space.sqlite", "per%20cent.sqlite", "frage?.sqlite", "häfen.sqlite"])
def test_paths_with_odd_characters(tmp_path: Path, name: str) -> None:
    url = f"sqlite:///{tmp_path}/{name.replace('?', '%3F') if '?' in name else name}"
    with Catalog.create(url) as made:
        assert made.path is not None
        assert made.path.is_file()
        assert [p for p in tmp_path.iterdir() if p.suffix == ".sqlite"] == [made.path]


def test_a_newer_catalog_is_refused(catalog_url: str) -> None:
    Catalog.create(catalog_url).close()
    known = int(migrate.HEAD)
    _set_version(catalog_url, f"{known + 1:04d}")
    with pytest.raises(CatalogNewer, match=rf"schema {known + 1}, this Pressmark knows {known}; install"):
        Catalog.open(catalog_url)


def test_a_version_that_is_none_is_damage(catalog_url: str) -> None:
    Catalog.create(catalog_url).close()
    _set_version(catalog_url, "abc")
    with pytest.raises(DamageError, match="rebuild"):
        Catalog.open(catalog_url)


def _set_version(url: str, version: str) -> None:
    change = "UPDATE schema_version SET version_num = "
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute(change + "?", (version,))
        connection.close()
    else:
        with psycopg.connect(url.replace("+psycopg", "")) as server:
            server.execute(change.encode() + b"%s", (version,))


def test_a_read_sees_one_snapshot_and_blocks_no_writer(catalog: Catalog) -> None:
    with catalog.read() as before:
        assert before.meta.get("a") is None
        with catalog.begin() as tx:
            tx.meta.set("a", "1")
        assert before.meta.get("a") is None
        with catalog.read() as now:
            assert now.meta.get("a") == "1"
        assert before.meta.get("a") is None


def test_a_read_cannot_write(catalog: Catalog) -> None:
    with pytest.raises(ServiceError), catalog.read() as tx:
        tx.meta.set("a", "1")
    with catalog.begin() as tx:
        assert tx.meta.get("a") is None


def test_a_locked_catalog_is_told_of(sqlite_url: str) -> None:
    Catalog.create(sqlite_url).close()
    path = sqlite_url.removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Catalog.open(sqlite_url, busy_seconds=0.05) as catalog:
        with pytest.raises(CatalogError, match="stayed locked"), catalog.begin():
            pass
        with catalog.read() as tx:
            assert tx.meta.get("a") is None
        other.execute("COMMIT")
        other.close()
        with catalog.begin() as tx:
            tx.meta.set("a", "1")


def test_a_writer_within_a_writer_is_told_of(sqlite_url: str) -> None:
    with (
        Catalog.create(sqlite_url, busy_seconds=0.05) as catalog,
        catalog.begin(),
        pytest.raises(CatalogError, match="stayed locked"),
        catalog.begin(),
    ):
        pass


def test_a_second_row_of_one_id_is_refused_without_foreign_errors(catalog: Catalog) -> None:
    row = make.record()
    with catalog.begin() as tx:
        tx.records.add([row])
    with pytest.raises(CatalogError) as caught, catalog.begin() as tx:
        tx.records.add([row])
    assert "\n" not in str(caught.value)
    with catalog.read() as tx:
        assert tx.records.count() == 1


def test_a_full_disk(sqlite_url: str) -> None:
    with Catalog.create(sqlite_url) as catalog:
        catalog.close()
        with _full(catalog), pytest.raises(DiskError, match="is full"), catalog.begin() as tx:
            tx.meta.set("a", "x" * 10_000_000)
        with catalog.begin() as tx:
            assert tx.meta.get("a") is None


@contextmanager
def _full(catalog: Catalog) -> Iterator[None]:
    """No page more for new connections: SQLite answers as on a full disk."""

    def limit(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA max_page_count=100")

    engine = catalog._engines.write
    event.listen(engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(engine, "connect", limit)
        catalog.close()


def test_a_disk_that_fails(sqlite_url: str) -> None:
    Catalog.create(sqlite_url).close()
    code = (
        "import resource, signal, sys\n"
        "from storage.catalog import Catalog\n"
        "from schemas.errors import DiskError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, {resource.RLIM_INFINITY}))\n"
        "with Catalog.open(sys.argv[1]) as catalog:\n"
        "    try:\n"
        "        with catalog.begin() as tx: tx.meta.set('a', 'x' * 1_000_000)\n"
        "    except DiskError as error: print(error)\n"
    )
    with make.program(code, sqlite_url) as process:
        said, _ = process.communicate()
    assert "disk" in said
    with Catalog.open(sqlite_url) as catalog, catalog.begin() as tx:
        assert tx.meta.get("a") is None
        tx.meta.set("a", "1")


def test_a_file_that_is_no_database_is_damage(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"not a database at all" * 500)
    with pytest.raises(DamageError, match="rebuild"):
        Catalog.open(f"sqlite:///{tmp_path}/catalog.sqlite")


def test_damaged_pages_are_damage(sqlite_url: str) -> None:
    with Catalog.create(sqlite_url) as catalog, catalog.begin() as tx:
        for number in range(300):
            tx.meta.set(f"key {number}", "x" * 500)
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    pages = bytearray(path.read_bytes())
    for start in range(8192, len(pages), 4096):
        pages[start : start + 8] = b"\xff" * 8
    path.write_bytes(pages)
    with pytest.raises(DamageError), Catalog.open(sqlite_url) as catalog, catalog.read() as tx:
        tx.meta.get("key 250")


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(CatalogError) as caught:
        Catalog.open("postgresql+psycopg://someone:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)


KILLED = """
import sys
from storage.catalog import Catalog
catalog = Catalog.open(sys.argv[1])
with catalog.begin() as tx:
    tx.log.append("capture", b"first", bytes(32), None)
with catalog.begin() as tx:
    for n in range(2000):
        tx.log.append("capture", b"second" * 200, bytes(32), None)
        tx.meta.set(f"key {n}", "x" * 500)
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_kill_9_within_a_transaction_leaves_what_was_committed(catalog: Catalog, made_url: str) -> None:
    with make.program(KILLED, made_url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
    with Catalog.open(made_url) as opened:
        with opened.begin() as tx:
            assert [entry.body for entry in tx.log.entries()] == [b"first"]
            assert tx.meta.get("key 0") is None
            assert tx.log.append("capture", b"third", bytes(32), None) == 1
        with opened.read() as tx:
            assert tx.log.bodies(0, 2) == [b"first", b"third"]


def test_sqlite_is_as_durable_as_promised(sqlite_url: str) -> None:
    with Catalog.create(sqlite_url) as catalog:
        for engine, query_only in ((catalog._engines.write, 0), (catalog._engines.read, 1)):
            with engine.connect() as connection:
                found = {
                    name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                    for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only")
                }
            assert found == {
                "journal_mode": "wal",
                "synchronous": 2,
                "foreign_keys": 1,
                "busy_timeout": 30_000,
                "query_only": query_only,
            }


def test_clear_empties_every_table_and_begins_a_new_log(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        tx.outlets.put(make.outlet())
        tx.captures.add(make.capture())
        tx.articles.add_version(make.version("a", tx.log.append("article", b"{}", bytes(32), "s")))
        tx.leases.acquire("sequencer", holder="me", now=0, until=10)
        tx.log.commit_tree(size=1, root=b"r" * 32, epoch=1)
    with catalog.begin() as tx:
        tx.clear()
    with catalog.begin() as tx:
        assert tx.outlets.all(removed=True) == []
        assert (tx.captures.count(), tx.articles.count(), tx.log.count()) == (0, 0, 0)
        assert tx.log.state().size == 0
        assert tx.captures.add(make.capture()).seq == 1
        assert tx.log.append("article", b"{}", bytes(32), "s") == 0


def test_swap_in_puts_the_new_one_in_place_without_the_old_ones_log(tmp_path: Path) -> None:
    old, new = tmp_path / "catalog.sqlite", tmp_path / "catalog.new"
    Catalog.create(f"sqlite:///{old}").close()
    with make.program(KILLED, f"sqlite:///{old}") as process:  # leaves a write-ahead log behind
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    assert Path(f"{old}-wal").stat().st_size > 0
    with Catalog.create(f"sqlite:///{new}") as made:
        with made.begin() as tx:
            tx.meta.set("a", "new")
        with pytest.raises(CatalogError, match="still open"):
            swap_in(new, old)
    swap_in(new, old)
    with Catalog.open(f"sqlite:///{old}") as opened, opened.read() as tx:
        assert tx.meta.get("a") == "new"
        assert tx.log.state().next_index == 0
    assert [p.name for p in tmp_path.iterdir()] == ["catalog.sqlite"]


def test_writers_of_many_threads_take_turns(catalog: Catalog) -> None:
    def write() -> None:
        for _ in range(20):
            with catalog.begin() as tx:
                tx.meta.set("n", str(int(tx.meta.get("n") or 0) + 1))
                tx.log.append("capture", b"{}", bytes(32), None)

    # The counter is read before it is written; only the log's row lock makes that safe on PostgreSQL, so take it first.
    def write_after_lock() -> None:
        for _ in range(20):
            with catalog.begin() as tx:
                tx.log.append("capture", b"{}", bytes(32), None)
                tx.meta.set("n", str(int(tx.meta.get("n") or 0) + 1))

    work = write if catalog.dialect == "sqlite" else write_after_lock
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with catalog.read() as tx:
        assert tx.meta.get("n") == "120"
        assert tx.log.state().next_index == 120

"""Connections: engines for SQLite and PostgreSQL, how transactions begin, and what their failures are called.

Two engines a catalog: one whose transactions may write, one whose transactions see one snapshot and cannot
write. What is asked within a transaction is left to the query classes. The sqlite3 driver's own transaction
control is switched off and BEGIN is sent here, as SQLAlchemy's documentation of the SQLite dialect advises.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, exc, make_url

from schemas.errors import ArchiveMissing, CatalogError, DamageError, DiskError, PressmarkError, SettingsError

#: Seconds that a writer waits for its turn: longer than any transaction of ours takes, shorter than patience.
BUSY_SECONDS: Final = 30.0
#: Seconds to reach a PostgreSQL server; one that is down should be told of, not waited for.
CONNECT_SECONDS: Final = 10
#: KiB of pages that each SQLite connection keeps; the default of 2 MiB re-reads the indexes of a large
#: catalog.
CACHE_KIB: Final = 16384
#: Prepared statements a SQLite connection keeps: all that this package sends.
STATEMENTS: Final = 512
#: Connections at once beyond the kept ones: a web view asks from forty threads.
OVERFLOW: Final = 45

# SQLite primary result codes, https://www.sqlite.org/rescode.html
_SQLITE_DISK: Final = {
    8: "is read-only",
    10: "gave an input/output error",
    13: "is full",
    14: "cannot be opened",
}
#: What the sqlite3 driver raises.
SQLITE_ERROR: Final = sqlite3.Error
_SQLITE_BUSY: Final = frozenset({5, 6})
_SQLITE_DAMAGED: Final = frozenset({11, 26})
#: How errors begin that only a damaged schema or text can give: the queries are fixed, and the schema's version is
#: looked at before.
_SQLITE_ODD: Final = ("no such table", "no such column", "no such index", "Could not decode to UTF-8", "malformed")
# PostgreSQL error codes, appendix A of its manual.
_PG_DISK: Final = {"53100": "is full", "58030": "gave an input/output error"}
_PG_BUSY: Final = frozenset({"55P03", "40001", "40P01"})
_PG_DAMAGED: Final = frozenset({"XX001", "XX002"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Engines:
    """How one catalog is reached."""

    url: URL
    write: Engine
    read: Engine
    busy_seconds: float
    # SQLite has one writer: threads of one process queue here, for its own busy handler only polls.
    turn: threading.Lock | None = field(default=None, compare=False)

    @property
    def where(self) -> str:
        """The catalog's place, without a password."""
        return self.url.render_as_string(hide_password=True)

    def dispose(self) -> None:
        """Close all connections."""
        self.write.dispose()
        self.read.dispose()


def parse_url(url: str) -> URL:
    """A catalog URL: `sqlite:///path` or `postgresql+psycopg://…`. Raises SettingsError."""
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        raise SettingsError(
            f"not a catalog URL: {url[:80]!r}",
            remedy="use sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME",
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise SettingsError(
            f"no catalog can be kept with {parsed.drivername!r}",
            remedy="use sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME",
        )
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise SettingsError("a catalog needs a file", remedy="use sqlite:///PATH")
    return parsed


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite catalog; None for a server's."""
    return Path(url.database or "") if url.drivername == "sqlite" else None


def make_engines(url: URL, *, busy_seconds: float = BUSY_SECONDS) -> Engines:
    """Engines for a catalog. Nothing is opened yet."""
    if url.drivername == "sqlite":
        write, read = (_sqlite(url, busy_seconds, writes=writes) for writes in (True, False))
        return Engines(url=url, write=write, read=read, busy_seconds=busy_seconds, turn=threading.Lock())
    write = _postgresql(url, busy_seconds)
    read = write.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Engines(url=url, write=write, read=read, busy_seconds=busy_seconds)


def _sqlite(url: URL, busy_seconds: float, *, writes: bool) -> Engine:
    # mode=rw: a file that is gone is missing, not a new and empty catalog.
    path = Path(url.database or "").absolute().as_uri() + "?mode=rw"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            path,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=busy_seconds,
            cached_statements=STATEMENTS,
        )

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, max_overflow=OVERFLOW)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        cursor.execute("PRAGMA secure_delete=ON")  # what a redaction deletes must not stay in free pages
        if not writes:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

    @event.listens_for(engine, "begin")
    def do_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgresql(url: URL, busy_seconds: float) -> Engine:
    arguments: dict[str, Any] = {}
    if "connect_timeout" not in url.query:
        arguments["connect_timeout"] = CONNECT_SECONDS
    if "options" not in url.query:
        arguments["options"] = f"-c lock_timeout={int(busy_seconds * 1000)}"
    return create_engine(url, connect_args=arguments, pool_pre_ping=True, max_overflow=OVERFLOW)


@contextmanager
def transaction(engines: Engines, *, writes: bool) -> Iterator[Connection]:
    """One transaction: committed at the end, rolled back where the body raises.

    Raises CatalogError, DiskError or DamageError for what the database does; errors of the body pass through.
    """
    engine = engines.write if writes else engines.read
    with turn(engines, writes):
        try:
            with _connected(engine, engines.where) as connection, connection.begin():
                yield connection
        except exc.SQLAlchemyError as error:
            raise translate(error, engines.where) from error


def _connected(engine: Engine, where: str) -> Connection:
    try:
        return engine.connect()
    except UnicodeDecodeError as error:  # SQLite quotes what is damaged in its schema, and the driver cannot read it
        raise DamageError(f"the catalog {where} is damaged ({error})", remedy="run `pressmark rebuild`") from error


@contextmanager
def turn(engines: Engines, writes: bool) -> Iterator[None]:
    """The one writer's turn among the threads of this process. Raises CatalogError."""
    if not writes or engines.turn is None:
        yield
        return
    if not engines.turn.acquire(timeout=engines.busy_seconds):
        raise _busy(engines.where)
    try:
        yield
    finally:
        engines.turn.release()


def translate(error: exc.SQLAlchemyError, where: str) -> PressmarkError:
    """What the database's error is called in this house."""
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    words = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code in _SQLITE_BUSY:
            return _busy(where)
        disk, damaged = _SQLITE_DISK.get(code), code in _SQLITE_DAMAGED or words.startswith(_SQLITE_ODD)
    else:
        state = str(getattr(cause, "sqlstate", None) or "")
        if state in _PG_BUSY:
            return _busy(where)
        disk, damaged = _PG_DISK.get(state), state in _PG_DAMAGED
    if disk:
        return DiskError(
            f"the disk of the catalog {where} {disk} ({words})",
            remedy="make room or mend the disk, then run the command again",
        )
    if damaged:
        return DamageError(f"the catalog {where} is damaged ({words})", remedy="run `pressmark rebuild`")
    return CatalogError(f"the catalog {where} failed: {words}", remedy="run `pressmark doctor`")


def _busy(where: str) -> CatalogError:
    return CatalogError(
        f"the catalog {where} stayed locked by another process",
        remedy="wait for it to end, then run the command again",
    )


def touch(path: Path) -> None:
    """Make an empty file for a new SQLite catalog, its name durable. Raises ArchiveMissing, DiskError."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644))
        sync_folder(path.parent)
    except FileNotFoundError as error:
        raise ArchiveMissing(f"there is no folder {path.parent}", remedy="run `pressmark init`") from error
    except OSError as error:
        raise DiskError(f"cannot make the catalog {path}: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Writing a database's files anew, so that what was deleted is gone from them, too.

Sources: https://www.sqlite.org/lang_vacuum.html, https://www.sqlite.org/fts5.html (optimize),
https://www.sqlite.org/pragma.html (secure_delete, wal_checkpoint); PostgreSQL's manual, VACUUM. What a server keeps
elsewhere (archived write-ahead logs, replicas, backups) is out of reach from here and said.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import exc, text

from schemas.errors import CatalogError
from storage.catalog import engine as _engine
from storage.catalog.tables import metadata

#: What a rebuild that was stopped may have left beside a SQLite catalog: whole older catalogs.
_LEFT: Final = tuple(f".{what}{suffix}" for what in ("replaced", "rebuilding") for suffix in ("", "-wal", "-shm"))
#: Answers of PostgreSQL to who may not do it: then the operator must.
_DENIED: Final = frozenset({"42501", "0A000"})


def purge(engines: _engine.Engines) -> list[str]:
    """See `Catalog.purge`."""
    path = _engine.sqlite_path(engines.url)
    return _postgresql(engines) if path is None else _sqlite(engines, path)


def _sqlite(engines: _engine.Engines, path: Path) -> list[str]:
    with suppress(OSError):
        for suffix in _LEFT:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    with _engine.turn(engines, writes=True):
        try:
            raw: Any = engines.write.raw_connection()
            try:
                cursor = raw.cursor()
                cursor.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%fts5%'")
                for (name,) in cursor.fetchall():
                    cursor.execute(f'INSERT INTO "{name}"("{name}") VALUES (\'optimize\')')  # noqa: S608 -- our table
                cursor.execute("VACUUM")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                busy = cursor.fetchone()[0]
                cursor.close()
            finally:
                raw.close()
        except exc.SQLAlchemyError as error:
            raise _engine.translate(error, engines.where) from error
        except _engine.SQLITE_ERROR as error:
            raise _engine.translate(exc.DBAPIError("VACUUM", None, error), engines.where) from error
    if busy:
        raise CatalogError(
            f"the write-ahead log of the catalog {engines.where} could not be emptied: another process reads it",
            remedy="run `pressmark redact --resume` once no other command runs",
        )
    return []


def _postgresql(engines: _engine.Engines) -> list[str]:
    notes = []
    try:
        with engines.write.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SET lock_timeout = '60s'"))
            for name in sorted(metadata.tables):
                connection.execute(text(f'VACUUM (FULL, ANALYZE) "{name}"'))
            # Statistics hold the most common values of a column. What no process may do without rights is said.
            for statement, what in (
                ("VACUUM FULL pg_catalog.pg_statistic", "old statistics of the planner (VACUUM FULL pg_statistic)"),
                ("CHECKPOINT", "files of the tables as they were before, until the server's next CHECKPOINT"),
            ):
                try:
                    connection.execute(text(statement))
                except exc.DBAPIError as error:
                    if getattr(error.orig, "sqlstate", None) not in _DENIED:
                        raise
                    notes.append(f"this role may not purge {what}")
    except exc.SQLAlchemyError as error:
        raise _engine.translate(error, engines.where) from error
    return notes

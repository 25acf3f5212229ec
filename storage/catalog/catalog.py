"""The catalog: where everything derived is found again. Opens, begins, ends.

All that it holds but leases and back-off can be made anew from the evidence (`storage.rebuild`). What is
asked of it are the named queries of `Tx`; how they reach a database is in `engine`, how its tables change
in `migrate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from schemas.errors import ArchiveMissing, CatalogError, DiskError, UsageError
from storage.catalog import engine as _engine
from storage.catalog import migrate
from storage.catalog import purge as _purge
from storage.catalog.checks import file_faults
from storage.catalog.tx import Tx


class Catalog:
    """An open catalog. Safe to share between threads; not between processes after a fork."""

    def __init__(self, engines: _engine.Engines) -> None:
        self._engines = engines

    @classmethod
    def create(cls, url: str, *, busy_seconds: float = _engine.BUSY_SECONDS) -> Catalog:
        """Make the tables of a new catalog, all or none, and open it.

        Raises SettingsError (the URL), UsageError (a catalog is there already), ArchiveMissing (no such
        folder), CatalogError, DiskError.
        """
        parsed = _engine.parse_url(url)
        path = _engine.sqlite_path(parsed)
        if path is not None:
            _engine.touch(path)
        engines = _engine.make_engines(parsed, busy_seconds=busy_seconds)
        try:
            with _engine.transaction(engines, writes=True) as connection:
                if migrate.version_of(connection) is not None:
                    raise UsageError(f"there is a catalog at {engines.where} already")
                migrate.upgrade(connection)
        except BaseException:
            engines.dispose()
            raise
        return cls(engines)

    @classmethod
    def open(cls, url: str, *, busy_seconds: float = _engine.BUSY_SECONDS) -> Catalog:
        """Open a catalog; one of an older schema is brought up to date first.

        Raises SettingsError (the URL), ArchiveMissing (no catalog there), CatalogNewer, CatalogError,
        DiskError, DamageError.
        """
        parsed = _engine.parse_url(url)
        path = _engine.sqlite_path(parsed)
        if path is not None and not path.is_file():
            raise _missing(str(path))
        engines = _engine.make_engines(parsed, busy_seconds=busy_seconds)
        try:
            with _engine.transaction(engines, writes=False) as connection:
                version = migrate.version_of(connection)
            if version is None:
                raise _missing(engines.where)
            migrate.check(version, engines.where)
            if version != migrate.HEAD:
                with _engine.transaction(engines, writes=True) as connection:
                    migrate.upgrade(connection)
        except BaseException:
            engines.dispose()
            raise
        return cls(engines)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engines.write.dialect.name

    @property
    def path(self) -> Path | None:
        """The file of a SQLite catalog; None for PostgreSQL."""
        return _engine.sqlite_path(self._engines.url)

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """A transaction that may write: committed and durable at the end, undone where the body raises.

        Waits for its turn up to 30 seconds. On SQLite it holds the one write lock from its start; on
        PostgreSQL it is READ COMMITTED. Never begin a second one inside it. Raises CatalogError, DiskError,
        DamageError.
        """
        with _engine.transaction(self._engines, writes=True) as connection:
            yield Tx(connection)

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A transaction that sees one snapshot, taken at its first query, and cannot write. Blocks no writer.

        Raises CatalogError, DiskError, DamageError.
        """
        with _engine.transaction(self._engines, writes=False) as connection:
            yield Tx(connection)

    def file_faults(self) -> list[str]:
        """What SQLite finds wrong in its own file, in sentences: pages, indexes, references; none for PostgreSQL.

        Raises CatalogError, DiskError, DamageError where the file cannot even be looked through.
        """
        with _engine.transaction(self._engines, writes=False) as connection:
            return file_faults(connection)

    def purge(self) -> list[str]:
        """Let nothing of deleted rows be left in files of the database; sentences on what is left to the operator.

        SQLite: full-text indexes are merged, the file is written anew and the write-ahead log emptied. PostgreSQL:
        every table, and the planner's statistics, are written anew. May be run again at any time. Raises CatalogError
        where another process holds a transaction open.
        """
        return _purge.purge(self._engines)

    def close(self) -> None:
        """Close all connections; the last of a SQLite catalog folds its write-ahead log into the file."""
        self._engines.dispose()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def swap_in(new: Path, path: Path) -> None:
    """Put a finished SQLite catalog in another's place; both must be closed everywhere.

    A write-ahead log that the old one left (its process was killed) would be replayed into the new file, so
    the old one steps aside first; a crash just then leaves no catalog, and `rebuild` runs again. Else it is
    one rename. Raises CatalogError (the new one is still open), DiskError.
    """
    if Path(f"{new}-wal").exists():
        raise CatalogError(
            f"the new catalog {new} is still open", remedy="close it before it is put in place"
        )
    aside = path.with_name(path.name + ".replaced")
    try:
        if Path(f"{path}-wal").exists():
            path.rename(aside)
            for suffix in ("-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            _engine.sync_folder(path.parent)
        new.replace(path)
        _engine.sync_folder(path.parent)
        aside.unlink(missing_ok=True)
    except OSError as error:
        raise DiskError(
            f"cannot put the new catalog in place of {path}: {error.strerror}",
            remedy="mend the disk, then run `pressmark rebuild` again",
        ) from error


def _missing(where: str) -> ArchiveMissing:
    return ArchiveMissing(
        f"there is no catalog at {where}",
        remedy="run `pressmark init`, or `pressmark rebuild` where the archive's objects are left",
    )

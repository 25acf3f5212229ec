"""Bring a catalog's tables to this version of Pressmark.

Alembic's version row (table `schema_version`) is the only note of where a catalog stands; revisions are
numbered `0001`, `0002`, … so that an older program can tell a newer catalog from a damaged one. The steps
are in `migrations/versions`; the tables as they are now in `tables`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from schemas.errors import CatalogNewer, DamageError

#: The revision that `tables` describes.
HEAD: Final = "0005"
#: SHA-256 of its schema on SQLite as `checks` writes it, so that an audit need not make it anew; a test holds it true.
SCHEMA: Final = "a897094f6ee190f22ad10dc65f4606e741baac626866de98fd9c1fa84d2bf31b"
VERSION_TABLE: Final = "schema_version"


def version_of(connection: Connection) -> str | None:
    """The revision that a database holds; None where it holds no catalog."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    row = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).first()  # noqa: S608 -- constant
    return str(row[0]) if row else None


def check(version: str, where: str) -> None:
    """Raises CatalogNewer for a later revision than HEAD, DamageError for one that is none."""
    if not (version.isascii() and version.isdigit()):
        raise DamageError(
            f"the catalog {where} holds no schema version but {version[:20]!r}",
            remedy="run `pressmark rebuild`",
        )
    if int(version) > int(HEAD):
        raise CatalogNewer(
            f"the catalog {where} has schema {int(version)}, this Pressmark knows {int(HEAD)}",
            remedy="install the newer Pressmark that wrote it",
        )


def upgrade(connection: Connection) -> None:
    """Take all steps up to HEAD within the connection's transaction: all of them or none."""
    # Imported here: Alembic takes a tenth of a second, and nearly every start finds HEAD already.
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

"""Photos of versions by address, and what was read in captured images.

A copy of `tables` as it stood at this revision: never changed once a Pressmark with it was released.
"""

from __future__ import annotations

import json
from typing import Any, Final

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    column,
    insert,
    select,
    table,
)

from schemas.errors import InvalidValue
from schemas.urls import normalize

revision = "0002"
down_revision = "0001"

#: Rows of versions read at once: a block is tens of KB.
_RUN: Final = 200

TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

#: What the foreign key names; made by the first revision.
Table("versions", metadata, Column("row_id", BigInteger, primary_key=True))

# Which addresses the photos of a version have, in normal form; one that is none has no row.
photos = Table(
    "photos",
    metadata,
    Column("row_id", BigInteger, ForeignKey("versions.row_id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("url", TEXT, nullable=False),
    Index("ix_photos_url", "url", postgresql_using="hash"),
    sqlite_with_rowid=False,
)

# What was read in a captured image; it belongs to the photos with its URL. The bands are the four parts of the hash:
# near hashes share one of them, or nearly.
images = Table(
    "images",
    metadata,
    Column("capture_id", TEXT, primary_key=True),
    Column("reader", TEXT, primary_key=True),
    Column("url", TEXT, nullable=False),
    Column("date", BigInteger, nullable=False),
    Column("payload_digest", TEXT, nullable=False),
    Column("phash", TEXT),
    Column("band0", Integer),
    Column("band1", Integer),
    Column("band2", Integer),
    Column("band3", Integer),
    Column("reading", TEXT, nullable=False),
    Index("ix_images_url", "url", postgresql_using="hash"),
    Index("ix_images_payload_digest", "payload_digest"),
    Index("ix_images_band0", "band0"),
    Index("ix_images_band1", "band1"),
    Index("ix_images_band2", "band2"),
    Index("ix_images_band3", "band3"),
)


def upgrade() -> None:
    """Make the tables and fill `photos` from the versions that are there."""
    connection = op.get_bind()
    metadata.create_all(connection, tables=[photos, images], checkfirst=False)
    versions = table("versions", column("row_id"), column("block"))
    after = 0
    while True:
        query = select(versions.c.row_id, versions.c.block).where(versions.c.row_id > after)
        run = connection.execute(query.order_by(versions.c.row_id).limit(_RUN)).all()
        if not run:
            return
        rows = [row for row_id, block in run for row in _rows(row_id, block)]
        if rows:
            connection.execute(insert(photos), rows)
        after = run[-1][0]


def _rows(row_id: int, block: str) -> list[dict[str, Any]]:
    found = []
    for photo in json.loads(block).get("photos", ()):
        try:
            found.append({"row_id": row_id, "position": photo["position"], "url": normalize(photo["url"] or "")})
        except InvalidValue:
            continue
    return found

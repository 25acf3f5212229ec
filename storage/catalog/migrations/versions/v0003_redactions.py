"""What was redacted, what must not come back, what is restricted; which snapshot took another's place.

Never changed once a Pressmark with it was released.
"""

from __future__ import annotations

from typing import Final

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text

revision = "0003"
down_revision = "0002"

TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
ROW_ID: Final = BigInteger().with_variant(Integer(), "sqlite")

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

Table(
    "supersedings",
    metadata,
    Column("manifest", TEXT, primary_key=True),
    Column("log_index", BigInteger, nullable=False),
)
Table(
    "redactions",
    metadata,
    Column("log_index", ROW_ID, primary_key=True, autoincrement=False),
    Column("state", TEXT, nullable=False),
    Column("code", TEXT, nullable=False),
    Column("authority", TEXT, nullable=False),
    Column("scope", TEXT),
)
Table(
    "erased",
    metadata,
    Column("digest", TEXT, primary_key=True),
    Column("log_index", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("record_id", TEXT),
    Column("role", TEXT),
    Column("entry", BigInteger),
    Index("ix_erased_record_id", "record_id"),
    Index("ix_erased_log_index", "log_index", "place"),
)
Table(
    "blocked",
    metadata,
    Column("mark", TEXT, primary_key=True),
    Column("log_index", BigInteger, nullable=False),
)
Table(
    "restrictions",
    metadata,
    Column("subject", TEXT, primary_key=True),
    Column("log_index", BigInteger, nullable=False),
    Column("code", TEXT),
    Column("until", BigInteger),
)


def upgrade() -> None:
    """Five new tables."""
    metadata.create_all(op.get_bind(), checkfirst=False)

"""The trace index of versions and segments, in place of one row a fingerprint.

The old rows cannot be turned into the new ones; `storage.fingerprints` fills the table from the versions at the next
start that writes, which the note in `meta` asks for.
"""

from __future__ import annotations

from typing import Final

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

revision = "0004"
down_revision = "0003"

TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
ROW_ID: Final = BigInteger().with_variant(Integer(), "sqlite")

metadata: Final = MetaData(naming_convention={"pk": "pk_%(table_name)s"})

fingerprints = Table(
    "fingerprints",
    metadata,
    Column("row_id", ROW_ID, primary_key=True, autoincrement=False),
    Column("grams", LargeBinary, nullable=False),
)

fingerprint_segments = Table(
    "fingerprint_segments",
    metadata,
    Column("name", TEXT, primary_key=True),
    Column("documents", Integer, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("sha256", TEXT, nullable=False),
)


def upgrade() -> None:
    """Drop the old table, make the new ones."""
    op.drop_table("fingerprints")
    metadata.create_all(op.get_bind(), checkfirst=False)
    op.create_index("ix_versions_text_sha256", "versions", ["text_sha256"], postgresql_using="hash")
    op.execute("INSERT INTO meta (key, value) SELECT 'trace stale', '1' WHERE EXISTS (SELECT 1 FROM versions)")

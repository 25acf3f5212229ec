"""The trace index anew: words in angle brackets are letters of a text now, where they were taken for tags.

`storage.fingerprints` fills it from the versions at the next start that writes, which the note in `meta` asks for; the
old segments, which nobody names any more, are swept from the store.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0005"
down_revision = "0004"

_CHANGES = "trace changes"  # readers that go on hold what they know of the index against it


def upgrade() -> None:
    """Empty the index and ask for a new one."""
    op.execute("DELETE FROM fingerprints")
    op.execute("DELETE FROM fingerprint_segments")
    op.execute("DELETE FROM meta WHERE key = 'trace stale'")
    op.execute("INSERT INTO meta (key, value) SELECT 'trace stale', '1' WHERE EXISTS (SELECT 1 FROM versions)")
    connection = op.get_bind()
    changes = connection.scalar(text("SELECT value FROM meta WHERE key = :key"), {"key": _CHANGES})
    connection.execute(text("DELETE FROM meta WHERE key = :key"), {"key": _CHANGES})
    connection.execute(
        text("INSERT INTO meta (key, value) VALUES (:key, :value)"),
        {"key": _CHANGES, "value": str(int(changes or 0) + 1)},
    )

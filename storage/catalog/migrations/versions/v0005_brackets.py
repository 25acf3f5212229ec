"""The trace index anew: words in angle brackets are letters of a text now, where they were taken for tags.

`storage.fingerprints` fills it from the versions at the next start that writes, which the note in `meta` asks for; the
old segments, which nobody names any more, are swept from the store.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0005"
down_revision = "0004"

_STALE = "trace stale"
_CHANGES = "trace changes"  # readers that go on hold what they know of the index against it


def upgrade() -> None:
    """Empty the index and ask for a new one, where there is anything to index."""
    connection = op.get_bind()
    if connection.scalar(text("SELECT 1 FROM versions LIMIT 1")) is None:
        return
    connection.execute(text("DELETE FROM fingerprints"))
    connection.execute(text("DELETE FROM fingerprint_segments"))
    changes = connection.scalar(text("SELECT value FROM meta WHERE key = :key"), {"key": _CHANGES})
    for key, value in ((_STALE, "1"), (_CHANGES, str(int(changes or 0) + 1))):
        connection.execute(text("DELETE FROM meta WHERE key = :key"), {"key": key})
        connection.execute(text("INSERT INTO meta (key, value) VALUES (:key, :value)"), {"key": key, "value": value})

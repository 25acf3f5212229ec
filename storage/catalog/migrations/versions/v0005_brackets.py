"""The trace index anew: words in angle brackets are letters of a text now, where they were taken for tags.

`storage.fingerprints` fills it from the versions at the next start that writes, which the note in `meta` asks for; the
old segments, which nobody names any more, are swept from the store.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Empty the index and ask for a new one."""
    op.execute("DELETE FROM fingerprints")
    op.execute("DELETE FROM fingerprint_segments")
    op.execute("DELETE FROM meta WHERE key = 'trace stale'")
    op.execute("INSERT INTO meta (key, value) SELECT 'trace stale', '1' WHERE EXISTS (SELECT 1 FROM versions)")

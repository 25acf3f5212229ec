"""The catalog: named queries over SQLite or PostgreSQL that return values, never rows.

The only room of SQLAlchemy and Alembic.
"""

from storage.catalog.catalog import Catalog, swap_in
from storage.catalog.tx import Tx
from storage.catalog.values import (
    EntryRow,
    ErasedRow,
    ExtractionRow,
    HostState,
    ImageRow,
    LogState,
    PhotoMatch,
    RecordRow,
    RedactionRow,
    RestrictionRow,
    SegmentRow,
    SnapshotRow,
    TallyRow,
    VersionRow,
)

__all__ = [
    "Catalog",
    "EntryRow",
    "ErasedRow",
    "ExtractionRow",
    "HostState",
    "ImageRow",
    "LogState",
    "PhotoMatch",
    "RecordRow",
    "RedactionRow",
    "RestrictionRow",
    "SegmentRow",
    "SnapshotRow",
    "TallyRow",
    "Tx",
    "VersionRow",
    "swap_in",
]

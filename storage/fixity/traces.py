"""The trace index: its segments against the digests that the catalog has of them, and how many versions it holds.

All of it is derived; what is damaged or missing here is made anew by `rebuild`, and no evidence is touched.
"""

from __future__ import annotations

from schemas.errors import NotFound
from storage.archive import Archive
from storage.catalog.values import FingerprintSegment
from storage.fingerprints import PREFIX
from storage.fixity.findings import DAMAGED, MISSING, Findings
from storage.segments import hash_stream

_REMEDY = "`pressmark rebuild` makes it anew"


class TraceAudit:
    """Checks the trace index. `keys` holds the objects that belong to it."""

    def __init__(self, archive: Archive, findings: Findings) -> None:
        self._archive, self._findings = archive, findings
        self.keys: set[str] = set()

    def check(self) -> None:
        """Every segment, then the count, but while a redaction or the filling of a new index goes on.

        Raises StoreError, CatalogError, DiskError.
        """
        with self._archive.catalog.read() as tx:
            rows, held = tx.fingerprints.segments(), tx.fingerprints.count()
            versions = tx.articles.count(versions_too=True)
            unsettled = tx.fingerprints.stale() or bool(tx.redactions.all("pending"))
        for row in rows:
            self._check_segment(row)
        held += sum(row.documents for row in rows)
        if held != versions and not unsettled:
            message = f"it holds {held} of {versions} article versions; {_REMEDY}"
            self._findings.add(MISSING if held < versions else DAMAGED, "trace index", message)

    def _check_segment(self, row: FingerprintSegment) -> None:
        key = PREFIX + row.name
        self.keys.add(key)
        try:
            with self._archive.store.open(key) as stream:
                found = hash_stream(stream)
        except NotFound:
            if self._is_named(row):  # else another process merged it just now
                self._findings.add(MISSING, key, f"a segment of the trace index is gone; {_REMEDY}")
            return
        if found != (row.sha256, row.length):
            self._findings.add(DAMAGED, key, f"its bytes are not those that were sealed; {_REMEDY}")

    def _is_named(self, row: FingerprintSegment) -> bool:
        with self._archive.catalog.read() as tx:
            return row in tx.fingerprints.segments()

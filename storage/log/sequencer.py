"""Giving an entry its place in the log, durably, in the transaction that makes what it speaks of known.

The index is final once that transaction commits: tiles and checkpoints follow later (`storage.log.tree`),
so a crash between the two leaves an entry waiting, never a gap and never two entries for one index.
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.entries import Entry
from schemas.merkle import leaf_hash
from storage.catalog import Tx


def put_many(tx: Tx, first: int, entries: Sequence[tuple[Entry, str | None]]) -> None:
    """Append entries with their subjects, as `append` does one, at the indices from `first` on, reserved before."""
    bodies = [(entry.type, entry.encode(), subject) for entry, subject in entries]
    tx.log.put(first, [(kind, body, leaf_hash(body), subject) for kind, body, subject in bodies])


def append(tx: Tx, entry: Entry, *, subject: str | None) -> int:
    """Append an entry within a write transaction; its index, from 0 and without gaps.

    `subject` is what the entry can be found by later (a record id, segment or snapshot name). The leaf is
    the RFC 6962 2.1 leaf hash of the entry's canonical bytes. Raises InvalidValue where the entry is longer
    than a tile's entry bundle allows.
    """
    body = entry.encode()
    return tx.log.append(entry.type, body, leaf_hash(body), subject)

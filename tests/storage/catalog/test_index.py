"""The trace index, and the sealed datasets."""

from __future__ import annotations

from dataclasses import replace

from storage.catalog import Catalog, SnapshotRow
from storage.catalog.values import FingerprintSegment


def test_the_trace_index_says_what_changed(catalog: Catalog) -> None:
    segment = FingerprintSegment(name="20260101000000-aa", documents=2, length=10, sha256="sha256:ab")
    with catalog.begin() as tx:
        assert tx.fingerprints.state() == (0, 0)
        tx.fingerprints.add(1, b"one")
        tx.fingerprints.add(7, b"seven")
        tx.fingerprints.add(7, b"again")
        tx.fingerprints.add_many([(9, b"nine"), (8, b"")])
        assert tx.fingerprints.state() == (9, 0)
        assert list(tx.fingerprints.after(1, 2)) == [(7, b"seven"), (8, b"")]
        assert tx.fingerprints.count() == 4
        assert tx.fingerprints.remove([9, 7, 5]) == 2
        assert tx.fingerprints.state() == (8, 1)
        tx.fingerprints.add_segment(segment)
        assert tx.fingerprints.segments() == [segment]
        assert tx.fingerprints.state() == (8, 2)
        assert tx.fingerprints.drop_segment(segment.name)
        assert not tx.fingerprints.drop_segment(segment.name)
        assert tx.fingerprints.segments() == []


def test_more_versions_than_one_statement_takes(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        tx.fingerprints.add_many([(number, b"x") for number in range(1, 3001)])
        assert tx.fingerprints.remove(range(1, 3001)) == 3000


def test_snapshots(catalog: Catalog) -> None:
    first = SnapshotRow(name="n", version="1.9.0", tree_size=10, root="ab", manifest_sha256="cd", rows=3, created=5,
                        log_index=4, prefix="snapshots/n/1.9.0")  # fmt: skip
    second = replace(first, version="1.10.0", log_index=9)
    other = replace(first, name="m", log_index=7)
    with catalog.begin() as tx:
        for row in (second, first, other):
            tx.snapshots.add(row)
        assert tx.snapshots.get("n") == second
        assert tx.snapshots.get("n", "1.9.0") == first
        assert tx.snapshots.get("n", "2.0.0") is None
        assert tx.snapshots.get("o") is None
        assert tx.snapshots.all() == [first, other, second]

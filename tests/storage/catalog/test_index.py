"""The trace index, and the sealed datasets."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from storage.catalog import Catalog, SnapshotRow


def test_fingerprints_are_found_by_hash(catalog: Catalog) -> None:
    low, high = -(2**63), 2**63 - 1
    with catalog.begin() as tx:
        tx.fingerprints.add(1, [(low, 0), (high, 5), (7, 9), (7, 3)])
        tx.fingerprints.add(2, [(7, 1), (high, 5)])
        tx.fingerprints.add(2, [(7, 1)])
        tx.fingerprints.add(3, [])
        assert tx.fingerprints.count() == 6
        assert tx.fingerprints.lookup([7, 7, 8, high]) == [
            (7, 1, 3),
            (7, 1, 9),
            (7, 2, 1),
            (high, 1, 5),
            (high, 2, 5),
        ]
        assert tx.fingerprints.lookup([low]) == [(low, 1, 0)]
        assert tx.fingerprints.lookup([]) == []
        tx.fingerprints.remove(1)
        assert tx.fingerprints.lookup([low, 7, high]) == [(7, 2, 1), (high, 2, 5)]


def test_more_hashes_than_one_statement_takes(catalog: Catalog) -> None:
    random = Random(5)
    pairs = [(random.getrandbits(64) - 2**63, position) for position in range(3000)]
    with catalog.begin() as tx:
        tx.fingerprints.add(1, pairs)
        assert tx.fingerprints.lookup([value for value, _ in pairs]) == sorted((h, 1, p) for h, p in pairs)


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

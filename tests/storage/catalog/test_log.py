"""Log entries, the tree's state, and the leases that guard it."""

from __future__ import annotations

import hashlib
import threading

import pytest

from schemas.errors import CatalogError, DamageError, InvalidValue, LeaseLost, LogForkRisk
from storage.catalog import Catalog, EntryRow, LogState
from tests.storage.catalog import make

EMPTY = LogState(next_index=0, size=0, root=hashlib.sha256(b"").digest(), checkpoint=None, epoch=0, origin="")
ROOT = bytes(range(32))


def append(catalog: Catalog, count: int) -> None:
    with catalog.begin() as tx:
        for number in range(count):
            tx.log.append("capture", b"body %d" % number, b"%032d" % number, f"s{number}")


def test_an_empty_log(catalog: Catalog) -> None:
    with catalog.read() as tx:
        assert tx.log.state() == EMPTY
        assert tx.log.entry(0) is None
        assert tx.log.bodies(0, 0) == []
        assert list(tx.log.entries()) == []


def test_entries_are_numbered_without_a_gap(catalog: Catalog) -> None:
    append(catalog, 3)
    with pytest.raises(ZeroDivisionError), catalog.begin() as tx:
        make.undone(tx.log.append("capture", b"undone", bytes(32), None))
    with catalog.begin() as tx:
        assert tx.log.append("segment", b"\x00\xff", bytes(32), None) == 3
        assert tx.log.state().next_index == 4
        last = EntryRow(index=3, type="segment", body=b"\x00\xff", leaf=bytes(32), subject=None)
        assert tx.log.entry(3) == last
        assert [row.index for row in tx.log.entries()] == [0, 1, 2, 3]
        assert list(tx.log.entries(3)) == [last]
        assert [row.body for row in tx.log.entries(1, 3)] == [b"body 1", b"body 2"]
        assert tx.log.bodies(0, 2) == [b"body 0", b"body 1"]
        assert tx.log.leaves(1, 3) == [b"%032d" % 1, b"%032d" % 2]
        assert tx.log.count() == 4


def test_the_latest_entry_about_a_subject(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        for type_ in ("capture", "repair", "capture"):
            tx.log.append(type_, type_.encode(), bytes(32), "urn:1")
        newest, repair = tx.log.find("urn:1"), tx.log.find("urn:1", "repair")
        assert newest is not None
        assert newest.index == 2
        assert repair is not None
        assert repair.index == 1
        assert tx.log.find("urn:2") is None
        assert tx.log.find("urn:1", "article") is None


def test_a_missing_entry_is_damage(catalog: Catalog) -> None:
    append(catalog, 2)
    with catalog.begin() as tx:
        for read in (tx.log.bodies, tx.log.leaves):
            with pytest.raises(DamageError, match="rebuild"):
                read(0, 3)


def test_more_entries_than_one_run(catalog: Catalog) -> None:
    append(catalog, 1100)
    with catalog.read() as tx:
        assert [row.index for row in tx.log.entries()] == list(range(1100))
        assert len(tx.log.bodies(0, 1100)) == 1100


WRITER = """
import sys
from storage.catalog import Catalog
catalog = Catalog.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for n in range(60):
    with catalog.begin() as tx:
        first = tx.log.append("capture", b"%s %d" % (sys.argv[2].encode(), n), bytes(32), None)
        second = tx.log.append("capture", b"%s %d again" % (sys.argv[2].encode(), n), bytes(32), None)
        assert second == first + 1
catalog.close()
"""


def test_two_processes_leave_no_gap_and_no_duplicate(catalog: Catalog, made_url: str) -> None:
    writers = [make.program(WRITER, made_url, name) for name in ("one", "two")]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    with catalog.read() as tx:
        assert tx.log.state().next_index == 240
        bodies = tx.log.bodies(0, 240)
    for name in ("one", "two"):
        mine = [body.decode() for body in bodies if body.startswith(name.encode())]
        assert mine == [f"{name} {n}{end}" for n in range(60) for end in ("", " again")]


def test_an_index_is_committed_before_the_next_is_given(catalog: Catalog) -> None:
    """Else a reader at the higher one would never see the lower."""
    begun = threading.Event()
    second: list[int] = []

    def other() -> None:
        begun.set()
        with catalog.begin() as tx:
            second.append(tx.log.append("capture", b"other", bytes(32), None))

    with catalog.begin() as tx:
        assert tx.log.append("capture", b"first", bytes(32), None) == 0
        thread = threading.Thread(target=other)
        thread.start()
        begun.wait()
        thread.join(0.2)
        assert second == []
        assert tx.log.append("capture", b"first", bytes(32), None) == 1
    thread.join()
    assert second == [2]


def test_who_looks_under_the_lock_finds_what_others_logged(catalog: Catalog) -> None:
    def add_once() -> None:
        with catalog.begin() as tx:
            tx.log.lock()
            if tx.log.find("urn:1") is None:
                tx.log.append("article", b"{}", bytes(32), "urn:1")

    threads = [threading.Thread(target=add_once) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with catalog.read() as tx:
        assert tx.log.state().next_index == 1


# --- rebuild


def test_load_puts_entries_back_where_they_were(catalog: Catalog) -> None:
    rows = [
        EntryRow(index=n, type="capture", body=b"%d" % n, leaf=b"%032d" % n, subject=None) for n in range(5)
    ]
    with catalog.begin() as tx:
        tx.log.load_many(rows[:3])
        tx.log.load(3, "capture", b"3", b"%032d" % 3, None)
        tx.log.load_many(rows[4:])
        tx.log.load_many([])
        assert list(tx.log.entries()) == rows
        assert tx.log.append("capture", b"new", bytes(32), None) == 5
    with pytest.raises(CatalogError), catalog.begin() as tx:
        tx.log.load(2, "capture", b"2", bytes(32), None)


# --- the tree


def _lease(catalog: Catalog, holder: str, now: int, until: int) -> int | None:
    with catalog.begin() as tx:
        return tx.leases.acquire("sequencer", holder=holder, now=now, until=until)


def test_a_tree_is_committed_under_the_lease(catalog: Catalog) -> None:
    append(catalog, 5)
    assert _lease(catalog, "a", 0, 10) == 1
    with catalog.begin() as tx:
        tx.log.set_origin("pressmark.invalid/1")
        tx.log.commit_tree(size=3, root=ROOT, epoch=1)
        tx.log.commit_tree(size=3, root=ROOT, epoch=1)
        tx.log.set_checkpoint("note 3", 3)
        assert tx.log.state() == LogState(
            next_index=5, size=3, root=ROOT, checkpoint="note 3", epoch=1, origin="pressmark.invalid/1")  # fmt: skip


def test_who_lost_the_lease_commits_nothing(catalog: Catalog) -> None:
    append(catalog, 5)
    assert _lease(catalog, "a", 0, 10) == 1
    assert _lease(catalog, "b", 10, 20) == 2
    with pytest.raises(LeaseLost), catalog.begin() as tx:
        _ = tx.meta.set("a", "1"), tx.log.commit_tree(size=3, root=ROOT, epoch=1)
    with catalog.begin() as tx:
        assert tx.meta.get("a") is None
        tx.log.commit_tree(size=3, root=ROOT, epoch=2)
    with pytest.raises(LeaseLost), catalog.begin() as tx:
        tx.log.commit_tree(size=4, root=ROOT, epoch=1)
    with catalog.read() as tx:
        assert (tx.log.state().size, tx.log.state().epoch) == (3, 2)


def test_a_tree_never_shrinks_and_never_forks(catalog: Catalog) -> None:
    append(catalog, 5)
    with catalog.begin() as tx:
        tx.log.commit_tree(size=3, root=ROOT, epoch=0)  # no lease was ever taken: a rebuild
        with pytest.raises(LeaseLost):
            tx.log.commit_tree(size=2, root=ROOT, epoch=0)
        with pytest.raises(LogForkRisk, match="rebuild"):
            tx.log.commit_tree(size=3, root=bytes(32), epoch=0)
        with pytest.raises(InvalidValue, match="5 are assigned"):
            tx.log.commit_tree(size=6, root=ROOT, epoch=0)
        with pytest.raises(LeaseLost):
            tx.log.commit_tree(size=4, root=ROOT, epoch=1)


def test_the_newest_checkpoint_stays(catalog: Catalog) -> None:
    append(catalog, 5)
    with catalog.begin() as tx:
        tx.log.commit_tree(size=4, root=ROOT, epoch=0)
        tx.log.set_checkpoint("note 4", 4)
        tx.log.set_checkpoint("note 3", 3)
        assert tx.log.state().checkpoint == "note 4"
        tx.log.set_checkpoint("note 4, cosigned", 4)
        assert tx.log.state().checkpoint == "note 4, cosigned"
        with pytest.raises(InvalidValue):
            tx.log.set_checkpoint("note 5", 5)


# --- leases


def test_leases(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        assert tx.leases.acquire("x", holder="a", now=0, until=10) == 1
        assert tx.leases.acquire("x", holder="b", now=9, until=19) is None
        assert tx.leases.acquire("y", holder="b", now=9, until=19) == 1
        assert tx.leases.acquire("x", holder="a", now=9, until=19) == 1
        assert tx.leases.renew("x", holder="a", epoch=1, until=29)
        assert tx.leases.acquire("x", holder="b", now=28, until=39) is None
        assert tx.leases.acquire("x", holder="b", now=29, until=39) == 2
        assert not tx.leases.renew("x", holder="a", epoch=1, until=99)
        tx.leases.release("x", holder="a")
        assert tx.leases.acquire("x", holder="c", now=30, until=50) is None
        tx.leases.release("x", holder="b")
        assert tx.leases.acquire("x", holder="c", now=30, until=50) == 3
        assert tx.leases.acquire("x", holder="b", now=51, until=60) == 4
        assert not tx.leases.renew("none", holder="a", epoch=1, until=99)


def test_one_of_many_gets_the_lease(catalog: Catalog) -> None:
    got: list[int | None] = []
    start = threading.Barrier(6)

    def ask(holder: str) -> None:
        start.wait()
        got.append(_lease(catalog, holder, 0, 10))

    threads = [threading.Thread(target=ask, args=(str(n),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got, key=str) == [1, *[None] * 5]

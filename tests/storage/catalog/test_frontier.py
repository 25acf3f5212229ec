"""Sources, items and hosts."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.frontier import Item, ItemState
from storage.catalog import Catalog, HostState
from storage.catalog.base import clean
from storage.catalog.claims import is_better, is_news
from tests.storage.catalog import make

HOUR = 3_600_000_000


def item(number: int, **fields: str | None) -> tuple[str, Item]:
    """An announced item and its key."""
    return f"key-{number}", Item(url=f"https://lantern.example/{number}", **fields)


def add(catalog: Catalog, *numbers: int, outlet: str = "lantern.example", due: int = 0) -> None:
    with catalog.begin() as tx:
        tx.outlets.put(make.outlet(outlet))
        tx.frontier.add_items(outlet, [item(n) for n in numbers], found_in=None, now=1, due=due)


# --- sources


def test_due_sources_longest_overdue_first_of_active_outlets(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        for name, state in (("a.example", "active"), ("b.example", "paused"), ("c.example", "active")):
            tx.outlets.put(make.outlet(name, state=state))
        sources = tx.frontier.all_sources()
        for due, source in zip((30, 10, 0, 0, 20, 99), sources, strict=True):
            tx.frontier.source_polled(source.id, now=0, next_due=due, ok=True, keys=None, gap=False)
        found = tx.frontier.due_sources(50, 10)
        assert [(s.outlet_id, s.next_due) for s in found] == [
            ("a.example", 10), ("c.example", 20), ("a.example", 30)]  # fmt: skip
        assert tx.frontier.due_sources(50, 1) == found[:1]
        assert [s.outlet_id for s in tx.frontier.due_sources(50, 10, ["c.example"])] == ["c.example"]
        assert tx.frontier.due_sources(50, 10, []) == []
        assert tx.frontier.due_sources(9, 10) == []


def test_a_poll_is_noted(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        tx.outlets.put(make.outlet())
        first = tx.frontier.all_sources()[0]
        tx.frontier.source_polled(first.id, now=1, next_due=9, ok=True, keys=["a", "ü"], gap=True, etag='"e"',
                                  last_modified="m", last_capture="c1")  # fmt: skip
        whole = replace(first, next_due=9, last_keys=("a", "ü"), gaps=1, polls=1, etag='"e"', last_modified="m",
                        last_capture="c1")  # fmt: skip
        assert tx.frontier.all_sources()[0] == whole
        tx.frontier.source_polled(first.id, now=2, next_due=10, ok=False, keys=None, gap=False)
        tx.frontier.source_polled(first.id, now=2, next_due=11, ok=False, keys=None, gap=False)
        assert tx.frontier.all_sources()[0] == replace(whole, next_due=11, polls=3, failures=2)
        # A 304 keeps keys and validators; a 200 without validators takes the old ones away.
        tx.frontier.source_polled(first.id, now=3, next_due=12, ok=True, keys=None, gap=False)
        assert tx.frontier.all_sources()[0] == replace(whole, next_due=12, polls=4)
        tx.frontier.source_polled(
            first.id, now=3, next_due=12, ok=True, keys=[], gap=False, last_capture="c2"
        )
        assert tx.frontier.all_sources()[0] == replace(
            whole, next_due=12, polls=5, etag=None, last_modified=None, last_capture="c2", last_keys=())  # fmt: skip


# --- items


def test_new_items_are_told_once(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        tx.outlets.put(make.outlet())
        tx.outlets.put(make.outlet("b.example"))
        given_ = [item(1, title="T", published="P"), item(2), item(1, title="again")]
        urls = tx.frontier.add_items("lantern.example", given_, found_in="urn:x", now=7, due=8)
        assert urls == ["https://lantern.example/1", "https://lantern.example/2"]
        assert tx.frontier.add_items("lantern.example", given_, found_in="urn:y", now=9, due=9) == []
        assert tx.frontier.add_items("b.example", [item(1)], found_in=None, now=9, due=9) != []
        found = tx.frontier.item_for("lantern.example", "key-1")
        assert found is not None
        assert found == ItemState(
            id=found.id, outlet_id="lantern.example", url="https://lantern.example/1", key="key-1", state="new",
            found=7, found_in="urn:x", next_due=8, hints={"title": "T", "published": "P"})  # fmt: skip
        assert tx.frontier.item(found.id) == found
        assert tx.frontier.item(999) is None
        assert tx.frontier.item_for("lantern.example", "key-9") is None


def test_more_items_than_one_statement_takes(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        tx.outlets.put(make.outlet())
        every = [item(n) for n in range(1700)]
        assert tx.frontier.add_items("lantern.example", every[::2], found_in=None, now=1, due=1) == [
            i.url for _, i in every[::2]]  # fmt: skip
        assert tx.frontier.add_items("lantern.example", every, found_in=None, now=1, due=1) == [
            i.url for _, i in every[1::2]]  # fmt: skip
        assert tx.frontier.counts() == {"new": 1700}


def test_two_workers_that_find_the_same_items_do_not_both_tell_them(catalog: Catalog) -> None:
    add(catalog)
    told: list[str] = []

    def announce(order: list[int]) -> None:
        with catalog.begin() as tx:
            pairs = [item(number) for number in order]
            told.extend(tx.frontier.add_items("lantern.example", pairs, found_in=None, now=1, due=1))

    numbers = list(range(700))
    threads = [threading.Thread(target=announce, args=(numbers[:: (-1) ** n],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == sorted(f"https://lantern.example/{number}" for number in numbers)


def test_a_url_longer_than_an_index_page(catalog: Catalog) -> None:
    from random import Random

    long = "https://lantern.example/" + Random(1).randbytes(60_000).hex()
    with catalog.begin() as tx:
        tx.outlets.put(make.outlet())
        assert tx.frontier.add_items("lantern.example", [(long, Item(url=long))], found_in=None, now=1, due=1)
        assert not tx.frontier.add_items(
            "lantern.example", [(long, Item(url=long))], found_in=None, now=1, due=1
        )
        tx.captures.add(make.capture(long))
        assert len(tx.captures.for_url(long)) == 1


def test_text_that_no_database_takes(catalog: Catalog) -> None:
    odd = Item(url="https://x.example/", title="a\0b\ud800c", lastmod="\0")
    with catalog.begin() as tx:
        tx.outlets.put(make.outlet())
        tx.frontier.add_items("lantern.example", [("k", odd)], found_in=None, now=1, due=1)
        found = tx.frontier.item_for("lantern.example", "k")
        assert found is not None
        assert found.hints["title"] == "a�b�c"
        tx.frontier.update_item(found.id, etag='"\0"', hints={"title": "\udfff"})
        capture = tx.captures.add(make.capture(etag='"\0"', media_type="text/\ud83d", hints={"t": "\0"}))
        assert tx.captures.get(capture.id) == replace(
            capture, etag='"�"', media_type="text/�", hints={"t": "�"})  # fmt: skip


@given(st.text(st.characters(codec=None)))
def test_clean_text_can_be_stored_and_sound_text_is_untouched(text: str) -> None:
    found = clean(text)
    assert found is not None
    found.encode()
    assert "\0" not in found
    if "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert found == text


def test_due_items_new_first_outlets_in_turn(catalog: Catalog) -> None:
    add(catalog, 1, 2, 3, outlet="a.example")
    add(catalog, 4, 5, outlet="b.example")
    add(catalog, 6, outlet="c.example", due=99)
    with catalog.begin() as tx:
        old = tx.frontier.item_for("a.example", "key-1")
        assert old is not None
        tx.frontier.update_item(old.id, state="fetched")
        keys = [found.key for found in tx.frontier.due_items(50, 10)]
        assert keys == ["key-2", "key-4", "key-3", "key-5", "key-1"]
        assert [found.key for found in tx.frontier.due_items(50, 3)] == keys[:3]
        assert [found.key for found in tx.frontier.due_items(50, 9, ["b.example"])] == ["key-4", "key-5"]
        tx.outlets.put(make.outlet("b.example", state="paused"))
        assert [found.key for found in tx.frontier.due_items(50, 9)] == ["key-2", "key-3", "key-1"]


def test_an_item_changes(catalog: Catalog) -> None:
    add(catalog, 1)
    with catalog.begin() as tx:
        known = tx.frontier.item_for("lantern.example", "key-1")
        assert known is not None
        changes = {
            "state": "fetched",
            "next_due": None,
            "stage": 2,
            "failures": 1,
            "etag": "e",
            "article_id": "a1",
            "last_modified": "m",
            "last_capture": "c",
            "lastmod": "l",
            "hints": {"title": "t"},
            "url": "u",
        }
        tx.frontier.update_item(known.id, **changes)
        assert tx.frontier.item(known.id) == replace(known, **changes)  # type: ignore[arg-type]
        tx.frontier.update_item(known.id)
        for name in ("id", "outlet_id", "key", "nonsense"):
            with pytest.raises(TypeError, match=name):
                tx.frontier.update_item(known.id, **{name: "x"})


def test_next_due_looks_at_what_is_watched(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        assert tx.frontier.next_due() is None
    add(catalog, 1, outlet="a.example", due=40)
    add(catalog, 2, outlet="b.example", due=30)
    with catalog.begin() as tx:
        assert tx.frontier.next_due() == 0
        for number, source in enumerate(tx.frontier.all_sources()):
            tx.frontier.source_polled(source.id, now=1, next_due=50 + number, ok=True, keys=None, gap=False)
        assert tx.frontier.next_due() == 30
        assert tx.frontier.next_due(["a.example"]) == 40
        tx.outlets.put(make.outlet("b.example", state="paused"))
        assert tx.frontier.next_due() == 40
        for key in ("key-1",):
            found = tx.frontier.item_for("a.example", key)
            assert found is not None
            tx.frontier.update_item(found.id, next_due=None)
        assert tx.frontier.next_due() == 50
        assert tx.frontier.next_due([]) is None


def test_counts_by_state(catalog: Catalog) -> None:
    add(catalog, 1, 2, outlet="a.example")
    add(catalog, 3, outlet="b.example")
    with catalog.begin() as tx:
        found = tx.frontier.item_for("a.example", "key-1")
        assert found is not None
        tx.frontier.update_item(found.id, state="gone")
        assert tx.frontier.counts() == {"new": 2, "gone": 1}
        assert tx.frontier.counts("b.example") == {"new": 1}


# --- claims of a change


def _announce(catalog: Catalog, lastmod: str | None, *, due: int = 500, number: int = 1) -> ItemState:
    with catalog.begin() as tx:
        tx.frontier.add_items(
            "lantern.example", [item(number, lastmod=lastmod)], found_in=None, now=9, due=due
        )
        found = tx.frontier.item_for("lantern.example", f"key-{number}")
        assert found is not None
        return found


def _fetched(catalog: Catalog, **fields: object) -> None:
    with catalog.begin() as tx:
        found = tx.frontier.item_for("lantern.example", "key-1")
        assert found is not None
        tx.frontier.update_item(found.id, **{"state": "fetched", "stage": 3, "next_due": 9000, **fields})


def test_a_newer_lastmod_begins_the_checks_anew(catalog: Catalog) -> None:
    add(catalog)
    _announce(catalog, "2026-03-01T10:00:00Z")
    _fetched(catalog)
    same = _announce(catalog, "2026-03-01T10:00:00Z")
    assert (same.stage, same.next_due) == (3, 9000)
    newer = _announce(catalog, "2026-03-01T10:00:01Z")
    assert (newer.stage, newer.next_due, newer.lastmod) == (0, 500, "2026-03-01T10:00:01Z")
    assert newer.hints == {"lastmod": "2026-03-01T10:00:01Z"}
    _fetched(catalog, next_due=100)
    assert _announce(catalog, "2026-03-02").next_due == 100, "what is due earlier stays so"
    _fetched(catalog, next_due=None)
    assert _announce(catalog, "2026-03-03").next_due == 500


def test_two_sources_that_spell_one_change_differently_do_not_quarrel(catalog: Catalog) -> None:
    add(catalog)
    _announce(catalog, "2026-03-01T10:00:00+00:00")
    _fetched(catalog)
    for claim in ("Sun, 01 Mar 2026 10:00:00 GMT", "2026-03-01T11:00:00+01:00", "2026-03-01", None, ""):
        assert (_announce(catalog, claim).stage, _announce(catalog, claim).next_due) == (3, 9000), claim


def test_what_was_not_fetched_is_only_noted(catalog: Catalog) -> None:
    add(catalog, 1, due=7)
    found = _announce(catalog, "2030-01-01")
    assert (found.lastmod, found.next_due, found.state) == ("2030-01-01", 7, "new")


@pytest.mark.parametrize(
    ("known", "claim", "news", "better"),
    [
        (None, "2000-01-01", True, True),  # after the finding at 0
        (None, "1960-01-01", False, True),
        (None, "gestern", False, True),
        ("gestern", "heute", True, True),
        ("heute", "heute", False, False),
        ("2026-01-01", "heute", False, False),
        ("heute", "2026-01-01", True, True),
        ("2026-01-02", "2026-01-01", False, False),
        ("2026-01-01", "9999-99-99", False, False),
        ("2026-01-01", None, False, False),
    ],
)
def test_which_claim_is_news(known: str | None, claim: str | None, news: bool, better: bool) -> None:
    assert (is_news(known, claim, 0), is_better(known, claim, 0)) == (news, better)


# --- hosts


def test_a_host_belongs_to_one_worker_at_a_time(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        assert tx.frontier.host("h") == HostState(host="h")
        assert tx.frontier.claim_host("h", owner="a", now=0, until=10) == HostState(
            host="h", owner="a", until=10
        )
        assert tx.frontier.claim_host("h", owner="b", now=9, until=20) is None
        assert tx.frontier.claim_host("h", owner="a", now=9, until=15) is not None
        tx.frontier.release_host("h", owner="b", next_ok=1, failures=1)
        assert tx.frontier.host("h") == HostState(host="h", owner="a", until=15)
        tx.frontier.release_host("h", owner="a", next_ok=70, failures=2)
        assert tx.frontier.host("h") == HostState(host="h", next_ok=70, failures=2)
        taken = tx.frontier.claim_host("h", owner="b", now=10, until=20)
        assert taken == HostState(host="h", next_ok=70, failures=2, owner="b", until=20)
        assert tx.frontier.claim_host("h", owner="c", now=20, until=30) is not None, "a claim ends by itself"


def test_a_host_is_never_two_workers_under_contention(catalog: Catalog) -> None:
    inside: list[str] = []
    broken: list[list[str]] = []
    fetched = dict.fromkeys("abcd", 0)

    def work(owner: str) -> None:
        while fetched[owner] < 5:
            with catalog.begin() as tx:
                claimed = tx.frontier.claim_host("h", owner=owner, now=0, until=HOUR)
            if claimed is None:
                continue
            inside.append(owner)
            if len(inside) != 1:
                broken.append(list(inside))
            fetched[owner] += 1
            inside.remove(owner)
            with catalog.begin() as tx:
                tx.frontier.release_host("h", owner=owner, next_ok=claimed.next_ok + 1, failures=0)

    threads = [threading.Thread(target=work, args=(owner,)) for owner in fetched]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    with catalog.read() as tx:
        assert tx.frontier.host("h") == HostState(host="h", next_ok=20)


def test_a_claim_in_the_making_does_not_hold_up_another_worker(postgres_url: str) -> None:
    with Catalog.create(postgres_url) as catalog:
        with catalog.begin() as tx:
            tx.frontier.claim_host("h", owner="a", now=0, until=0)
        with catalog.begin() as first, catalog.begin() as second:
            assert first.frontier.claim_host("h", owner="a", now=1, until=10) is not None
            assert second.frontier.claim_host("h", owner="b", now=1, until=10) is None
            assert second.frontier.claim_host("g", owner="b", now=1, until=10) is not None

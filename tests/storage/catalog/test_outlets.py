"""Outlets and their sources."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.errors import InvalidValue, NotFound
from schemas.outlets import Source
from storage.catalog import Catalog
from tests.storage.catalog import make


def test_what_was_put_is_got(catalog: Catalog) -> None:
    plain = make.outlet("plain.example", every=None, sources=(), added=None)
    full = make.outlet("full.example", name="Ĥarbora Lanterno 港")
    with catalog.begin() as tx:
        tx.outlets.put(plain)
        tx.outlets.put(full)
    with catalog.read() as tx:
        assert tx.outlets.get("plain.example") == plain
        assert tx.outlets.get("full.example") == full
        assert tx.outlets.get("none.example") is None
        assert tx.outlets.all() == [full, plain]


def test_removed_ones_are_listed_on_request(catalog: Catalog) -> None:
    gone = make.outlet("gone.example", state="removed")
    with catalog.begin() as tx:
        tx.outlets.put(gone)
        assert tx.outlets.all() == []
        assert tx.outlets.all(removed=True) == [gone]


def test_sources_keep_their_state_and_order_while_others_come_and_go(catalog: Catalog) -> None:
    old = make.outlet()
    feed, sitemap = old.sources
    new = replace(
        old, sources=(Source(url="https://x.example/home", kind="home"), replace(feed, kind="home"))
    )
    with catalog.begin() as tx:
        tx.outlets.put(old)
        known = {state.url: state for state in tx.frontier.all_sources()}
        tx.frontier.source_polled(known[feed.url].id, now=5, next_due=77, ok=True, keys=["k"], gap=False)
        tx.frontier.source_polled(known[sitemap.url].id, now=5, next_due=77, ok=True, keys=["k"], gap=False)
        tx.outlets.put(new)
        assert tx.outlets.get(old.id) == new
        states = tx.frontier.all_sources(old.id)
        assert [(s.url, s.kind, s.next_due, s.last_keys) for s in states] == [
            ("https://x.example/home", "home", 0, ()),
            (feed.url, "home", 77, ("k",)),
        ]
        # A row id that was given out is never another source's.
        assert states[0].id > max(state.id for state in known.values())


def test_a_source_named_twice_is_one(catalog: Catalog) -> None:
    feed = Source(url="https://x.example/feed", kind="feed")
    with catalog.begin() as tx:
        tx.outlets.put(make.outlet(sources=(feed, feed)))
        assert [s.url for s in tx.frontier.all_sources()] == [feed.url]


@pytest.mark.parametrize(
    "text",
    ["lantern.example", "LANTERN.example", "www.lantern.example", "The Lantern", " the lantern ",
     "https://www.lantern.example/", "http://lantern.example", "lantern.example/"],
)  # fmt: skip
def test_found_by_id_url_domain_and_name(catalog: Catalog, text: str) -> None:
    wanted = make.outlet(id="lantern.example")
    with catalog.begin() as tx:
        tx.outlets.put(wanted)
        tx.outlets.put(make.outlet("other.example", name="Other"))
        assert tx.outlets.find(text) == wanted


def test_found_by_what_is_no_id(catalog: Catalog) -> None:
    wanted = make.outlet("o-1", name="Straße", url="https://news.example/en/", domain="news.example")
    with catalog.begin() as tx:
        tx.outlets.put(wanted)
        for text in ("https://www.news.example/en", "NEWS.example", "STRASSE"):
            assert tx.outlets.find(text) == wanted


def test_a_removed_outlet_steps_back(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        tx.outlets.put(make.outlet("a.example", name="Same", state="removed"))
        tx.outlets.put(make.outlet("b.example", name="Same"))
        assert tx.outlets.find("same").id == "b.example"
        assert tx.outlets.find("a.example").state == "removed"


def test_not_found_names_near_ones(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        tx.outlets.put(make.outlet())
        with pytest.raises(NotFound, match=r"did you mean lantern\.example\?"):
            tx.outlets.find("The Lantren")
        with pytest.raises(NotFound, match="outlet list"):
            tx.outlets.find("zzz")


def test_several_that_fit_are_named(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        tx.outlets.put(make.outlet("a.example", name="Same"))
        tx.outlets.put(make.outlet("b.example", name="Same"))
        with pytest.raises(InvalidValue, match=r"name one of a\.example, b\.example"):
            tx.outlets.find("Same")

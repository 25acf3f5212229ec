"""Article versions, sightings, and the search over them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from schemas.frontier import Item
from schemas.urls import article_key
from storage.catalog import Catalog, VersionRow
from tests.storage.catalog import make


def add(catalog: Catalog, *rows: VersionRow) -> list[VersionRow]:
    with catalog.begin() as tx:
        return [tx.articles.add_version(row) for row in rows]


def found(catalog: Catalog, **filters: Any) -> list[int]:
    """Log indices of what a search gives."""
    with catalog.read() as tx:
        return [row.log_index for row in tx.articles.search(**filters)]


def test_versions_of_an_article(catalog: Catalog) -> None:
    one, two, other, derived = add(
        catalog, make.version("a", 1), make.version("a", 3, version=2, truncated="length", wall="login"),
        make.version("b", 2, title=None, published=None, language=None), make.version("a", 4, extractor="e2"),
    )  # fmt: skip
    assert len({row.row_id for row in (one, two, other, derived)}) == 4
    with catalog.read() as tx:
        assert tx.articles.find_version("a", "e1", "a-3") == two
        assert tx.articles.find_version("a", "e2", "a-3") is None
        assert tx.articles.versions("a") == [one, two, derived]
        assert tx.articles.versions("a", "e1") == [one, two]
        assert tx.articles.versions("none") == []
        assert tx.articles.get("a") == derived, "of the extractor used last"
        assert tx.articles.get("a", extractor="e1") == two
        assert tx.articles.get("a", 1, "e1") == one
        assert tx.articles.get("a", 7) is None
        assert tx.articles.by_conversion(two.conversion_id) == two
        assert tx.articles.by_row(other.row_id or 0) == other
        assert (tx.articles.count(), tx.articles.count(versions_too=True)) == (2, 4)


def test_sightings(catalog: Catalog) -> None:
    (row,) = add(catalog, make.version("a", 1, first_seen=100, capture_id="urn:1"))
    assert row.row_id is not None
    with catalog.begin() as tx:
        tx.articles.add_sighting(row.row_id, "urn:3", 300)
        tx.articles.add_sighting(row.row_id, "urn:2", 200)
        tx.articles.add_sighting(row.row_id, "urn:3", 900)
        assert tx.articles.sightings(row.row_id) == ["urn:1", "urn:2", "urn:3"]
        assert tx.articles.get("a") == row._replace(last_seen=300)
        assert tx.articles.for_capture("urn:2") == [row._replace(last_seen=300)]
        assert tx.articles.for_capture("urn:9") == []


def test_by_url(catalog: Catalog) -> None:
    site = "https://lantern.example"
    page = make.capture(f"{site}/final?x=1")
    moved = make.capture(f"{site}/old", status=301, location=f"{site}/older", kind="response")
    again = make.capture(f"{site}/older", status=302, location=page.url)
    loop = make.capture(f"{site}/loop", status=302, location=f"{site}/loop")
    with catalog.begin() as tx:
        for capture in (page, moved, again, loop):
            tx.captures.add(capture)
        tx.outlets.put(make.outlet())
        announced = f"{site}/announced"
        tx.frontier.add_items("lantern.example", [(article_key(announced), Item(url=announced))], found_in=None,
                              now=1, due=1)  # fmt: skip
        item = tx.frontier.item_for("lantern.example", article_key(announced))
        assert item is not None
        tx.frontier.update_item(item.id, article_id="a")
    old, new = add(
        catalog, make.version("a", 1, url=f"{site}/a", canonical_url=f"{site}/c", capture_id=page.id),
        make.version("a", 2, url=f"{site}/a", canonical_url=f"{site}/d"),
    )  # fmt: skip
    with catalog.read() as tx:
        for path in (
            "/a",
            "/c",
            "/d",
            "/final?x=1",
            "/old",
            "/older",
            "/announced",
            "/announced?utm_source=x",
        ):
            assert tx.articles.by_url(site + path) == new, path
        for path in ("/none", "/loop", ""):
            assert tx.articles.by_url(site + path) is None, path
        assert tx.articles.by_url("no url") is None
        assert list(tx.articles.search(url=f"{site}/old")) == [new]
        assert list(tx.articles.search(url=f"{site}/old", latest_only=False)) == [old, new]
        assert list(tx.articles.search(url=f"{site}/none")) == []


def test_search_filters(catalog: Catalog) -> None:
    add(
        catalog,
        make.version("a", 1, first_seen=10, published="2026-03-01T09:00:00+01:00", credits="AP Photo/Ana\nReuters"),
        make.version("b", 2, first_seen=20, published="2026-03-02", outlet_id="b.example", credits="Foto: STRASSE"),
        make.version("c", 3, first_seen=30, published=None, paragraphs=["Das Meer", "ist  WEIT.\nSehr."]),
        make.version("d", 4, first_seen=40, published="2026-03-02T00:00", title="100% \\ 'quoted' \"so\""),
    )  # fmt: skip
    assert found(catalog) == [1, 2, 3, 4]
    assert found(catalog, outlet_id="b.example") == [2]
    assert found(catalog, published_from="2026-03-02") == [2, 4]
    assert found(catalog, published_to="2026-03-02") == [1]
    assert found(catalog, published_from="2026-03-01T09", published_to="2026-03-02T") == [1, 2]
    assert found(catalog, captured_from=20, captured_to=40) == [2, 3]
    assert found(catalog, credit="ana") == [1]
    assert found(catalog, credit="straße") == [2]
    assert found(catalog, text="weit. sehr") == [3]
    assert found(catalog, text="title b") == [2]
    assert found(catalog, text="100% \\ 'QUOTED' \"so\"") == [4]
    assert found(catalog, text="%") == [4]
    assert found(catalog, text="_") == []
    assert found(catalog, text="'; DROP TABLE versions; --") == []
    assert found(catalog, credit="ana", outlet_id="b.example") == []


def test_search_gives_the_latest_of_each_article(catalog: Catalog) -> None:
    add(catalog, make.version("a", 1), make.version("b", 2), make.version("a", 3), make.version("c", 5))
    assert found(catalog) == [2, 3, 5]
    assert found(catalog, latest_only=False) == [1, 2, 3, 5]
    assert found(catalog, text="at 1.") == [], "what was corrected is not the latest"
    assert found(catalog, text="at 1.", latest_only=False) == [1]


def test_search_over_more_than_one_run_with_limit_and_cursor(catalog: Catalog) -> None:
    add(catalog, *(make.version(f"a{n}", n, credits="x" if n % 3 == 0 else "") for n in range(450)))
    assert found(catalog) == list(range(450))
    assert found(catalog, after=100, limit=3) == [101, 102, 103]
    assert found(catalog, limit=0) == []
    assert found(catalog, credit="x", after=300, limit=2) == [303, 306]
    walked: list[int] = []
    while page := found(catalog, after=walked[-1] if walked else None, limit=67):
        walked += page
    assert walked == list(range(450))


@pytest.mark.parametrize("latest_only", [True, False])
def test_the_cursor_misses_nothing_while_others_write(catalog: Catalog, latest_only: bool) -> None:
    """A reader that goes on from the last index it saw meets every article, whoever commits when."""

    def write(name: str) -> None:
        for number in range(25):
            with catalog.begin() as tx:
                index = tx.log.append("article", b"{}", bytes(32), None)
                tx.articles.add_version(make.version(f"{name}{number}", index))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    seen: list[int] = []
    while any(thread.is_alive() for thread in threads):
        seen += found(catalog, after=seen[-1] if seen else None, latest_only=latest_only)
    seen += found(catalog, after=seen[-1] if seen else None, latest_only=latest_only)
    assert seen == list(range(75))

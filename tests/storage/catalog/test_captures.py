"""Captures, their records and their segments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.captures import Capture, Ending, Role
from schemas.errors import InvalidValue, NotFound
from storage.catalog import Catalog, ExtractionRow, TallyRow
from tests.storage.catalog import make

# --- captures


def add(catalog: Catalog, *captures: Capture) -> list[Capture]:
    with catalog.begin() as tx:
        return [tx.captures.add(capture) for capture in captures]


def test_what_was_added_is_got_with_its_sequence(catalog: Catalog) -> None:
    full = make.capture(item_url="https://x.example/?utm_source=a", log_index=3, via="urn:v", wall="bot",
                        location="https://lantern.example/b", date=make.later(1).replace(microsecond=7))  # fmt: skip
    bare = Capture(
        id="urn:bare", seq=99, kind="attempt", url="https://x.example/", date=make.NOON, outlet_id=None,
        role=Role.ROBOTS, ending=Ending.DNS, status=None, media_type=None, location=None, etag=None,
        last_modified=None, payload_digest=None, payload_length=None, refers_to=None, via=None, wall=None,
        log_index=None)  # fmt: skip
    assert add(catalog, full, bare) == [replace(full, seq=1), replace(bare, seq=2)]
    with catalog.read() as tx:
        assert tx.captures.get(full.id) == replace(full, seq=1)
        assert tx.captures.get("urn:bare") == replace(bare, seq=2)
        assert tx.captures.get("urn:none") is None
        assert tx.captures.count() == 2


def test_sequence_has_no_gap_where_a_transaction_was_undone(catalog: Catalog) -> None:
    with pytest.raises(ZeroDivisionError), catalog.begin() as tx:
        make.undone(tx.captures.add(make.capture()))
    assert [c.seq for c in add(catalog, make.capture(), make.capture())] == [1, 2]


def test_captures_of_a_url_newest_first(catalog: Catalog) -> None:
    a, b, c, _ = add(catalog, make.capture(date=make.later(2)), make.capture(date=make.later(1)),
                     make.capture(date=make.later(1)), make.capture("https://lantern.example/other"))  # fmt: skip
    with catalog.read() as tx:
        assert tx.captures.for_url(a.url) == [a, c, b]
        assert tx.captures.for_url(a.url, 2) == [a, c]
        assert tx.captures.for_url("https://none.example/") == []


def test_after_is_a_cursor(catalog: Catalog) -> None:
    roles = [Role.ARTICLE, Role.FEED, Role.ARTICLE, Role.IMAGE, Role.ARTICLE]
    made = add(catalog, *(make.capture(role=role) for role in roles))
    with catalog.read() as tx:
        assert tx.captures.after(0, 100) == made
        assert tx.captures.after(2, 2) == made[2:4]
        assert tx.captures.after(1, 2, roles=["article"]) == [made[2], made[4]]
        assert tx.captures.after(0, 9, roles=[Role.FEED, Role.IMAGE]) == [made[1], made[3]]
        assert tx.captures.after(5, 9) == []


def test_tallies(catalog: Catalog) -> None:
    attempt = {"kind": "attempt", "ending": Ending.DNS, "status": None, "outlet_id": None}
    add(catalog, make.capture(), make.capture(), make.capture(status=404), make.capture(wall="bot"),
        make.capture(**attempt), make.capture(**attempt))  # fmt: skip
    with catalog.read() as tx:
        shared = {"outlet_id": "lantern.example", "role": "article", "kind": "response", "ending": "complete"}
        assert tx.captures.tallies() == [
            TallyRow(**{**shared, "outlet_id": None, "kind": "attempt", "ending": "dns"}, status=None, wall=None,
                     count=2),
            TallyRow(**shared, status=200, wall=None, count=2),
            TallyRow(**shared, status=200, wall="bot", count=1),
            TallyRow(**shared, status=404, wall=None, count=1),
        ]  # fmt: skip


def test_extraction_waits_for_usable_article_pages_only(catalog: Catalog) -> None:
    page, revisit, *others = add(
        catalog, make.capture(), make.capture(kind="revisit", status=304), make.capture(role=Role.FEED),
        make.capture(status=404), make.capture(wall="consent"), make.capture(ending=Ending.LENGTH),
        make.capture(kind="attempt", status=None))  # fmt: skip
    with catalog.begin() as tx:
        assert tx.captures.pending(10) == [page, revisit]
        assert tx.captures.pending(1) == [page]
        assert tx.captures.pending(9, ["other.example"]) == []
        assert tx.captures.pending(9, ["lantern.example"]) == [page, revisit]
        assert tx.captures.extraction(others[0].id) == ExtractionRow(state="none", code=None, extractor=None)
        tx.captures.set_extraction(page.id, "failed", "empty", "e1")
        tx.captures.set_extraction(revisit.id, "done", extractor="e1")
        assert tx.captures.pending(10) == []
        assert tx.captures.extraction(page.id) == ExtractionRow(state="failed", code="empty", extractor="e1")
        assert tx.captures.extractions() == {("failed", "empty"): 1, ("done", None): 1, ("none", None): 4}
        tx.captures.set_extraction(page.id, "pending")
        assert tx.captures.pending(10) == [page]
        assert tx.captures.extraction(page.id) == ExtractionRow(state="pending", code=None, extractor=None)


def test_what_another_extractor_read_is_stale(catalog: Catalog) -> None:
    old, failed, new, waiting, feed = add(
        catalog, *(make.capture() for _ in range(4)), make.capture(role=Role.FEED)
    )
    with catalog.begin() as tx:
        tx.captures.set_extraction(old.id, "done", None, "e1")
        tx.captures.set_extraction(failed.id, "failed", "empty", "e1")
        tx.captures.set_extraction(new.id, "done", None, "e2")
        assert tx.captures.pending(9) == [waiting]
        assert tx.captures.mark_stale("e2") == 2
        assert tx.captures.pending(9) == [old, failed, waiting]
        assert tx.captures.mark_stale("e2") == 0
        assert tx.captures.extraction(feed.id) == ExtractionRow(state="none", code=None, extractor=None)


def test_extraction_of_what_is_not_there(catalog: Catalog) -> None:
    (page,) = add(catalog, make.capture())
    with catalog.begin() as tx:
        with pytest.raises(InvalidValue, match="soon"):
            tx.captures.set_extraction(page.id, "soon")
        with pytest.raises(NotFound, match="urn:none"):
            tx.captures.set_extraction("urn:none", "done")
        assert tx.captures.extraction("urn:none") is None


# --- records


def test_records_by_id_digest_event_and_segment(catalog: Catalog) -> None:
    event = make.new_id()
    rows = [make.record("warc-1", offset, event_id=event) for offset in (0, 700, 2**40)]
    other = make.record("warc-2", 0, type="warcinfo", block_digest=None, payload_digest="sha256:p",
                        target_uri=None, event_id=None)  # fmt: skip
    with catalog.begin() as tx:
        tx.records.add([rows[2], rows[0], other, rows[1]])
        tx.records.add([])
    with catalog.read() as tx:
        assert tx.records.get(other.record_id) == other
        assert tx.records.get("urn:none") is None
        assert tx.records.by_digest(rows[1].digest) == rows[1]
        assert tx.records.by_digest("sha256:none") is None
        assert tx.records.of_event(event) == tx.captures.records_of(event) == rows
        assert list(tx.records.in_segment("warc-1")) == rows
        assert list(tx.records.in_segment("warc-9")) == []
        assert tx.records.count() == 4


def test_a_segment_longer_than_one_run(catalog: Catalog) -> None:
    rows = [make.record("warc-1", offset * 10) for offset in range(1203)]
    with catalog.begin() as tx:
        tx.records.add(rows)
        assert list(tx.records.in_segment("warc-1")) == rows


def test_the_original_of_a_revisit(catalog: Catalog) -> None:
    here, there = "https://lantern.example/a", "https://lantern.example/b"
    same = {"payload_digest": "sha256:p"}
    unfit = [
        make.capture(here, kind="revisit", **same), make.capture(here, status=404, **same),
        make.capture(here, ending=Ending.LENGTH, **same), make.capture(here, payload_length=0, **same),
        make.capture(here, status=301, **same), make.capture(here, payload_digest="sha256:q"),
    ]  # fmt: skip
    add(catalog, *unfit)
    with catalog.read() as tx:
        assert tx.records.original_for("sha256:p", here) is None
    first, second, _ = add(catalog, make.capture(there, **same), make.capture(here, **same),
                           make.capture(here, **same))  # fmt: skip
    with catalog.read() as tx:
        assert tx.records.original_for("sha256:p", here) == second
        assert tx.records.original_for("sha256:p", "https://lantern.example/c") == first


# --- segments


def test_a_segment_is_forgotten_with_its_records(catalog: Catalog) -> None:
    kept = make.record("warc-2")
    with catalog.begin() as tx:
        for name in ("warc-1", "warc-2"):
            tx.segments.add(name, "warc", "w1", 5)
        tx.records.add([make.record("warc-1", type="warcinfo"), kept])
        tx.segments.forget("warc-1")
        assert tx.segments.all() == [make.segment("warc-2")]
        assert tx.records.count() == 1
        assert tx.records.get(kept.record_id) == kept


def test_the_life_of_a_segment(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        tx.segments.add("warc-2", "warc", "w1", 5)
        tx.segments.add("text-1", "text", "w1", 5)
        tx.segments.add("warc-1", "warc", "w1", 5)
        open_ = make.segment("warc-1")
        assert tx.segments.get("warc-1") == open_
        assert tx.segments.get("warc-9") is None
        tx.segments.sealed("warc-1", object_key="warc/2026/x", length=2**33, sha256="sha256:x")
        sealed = replace(open_, state="sealed", object_key="warc/2026/x", length=2**33, sha256="sha256:x")
        assert tx.segments.get("warc-1") == sealed
        tx.segments.lost("warc-2")
        lost = make.segment("warc-2", state="lost")
        assert tx.segments.all() == [make.segment("text-1", kind="text"), sealed, lost]
        assert tx.segments.all("sealed") == [sealed]
        for change in (lambda: tx.segments.lost("warc-9"),
                       lambda: tx.segments.sealed("warc-9", object_key="k", length=1, sha256="s")):  # fmt: skip
            with pytest.raises(NotFound, match="warc-9"):
                change()

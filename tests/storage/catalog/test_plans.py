"""Every query that runs often finds its rows through an index: what was kept does not slow down what comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from schemas.frontier import Item
from storage.catalog import Catalog, Tx, base
from tests.storage.catalog import make

QUERIES: dict[str, Callable[[Tx], Any]] = {
    "a record": lambda tx: tx.records.get("urn:1"),
    "a record by digest": lambda tx: tx.records.by_digest("sha256:1"),
    "records of an event": lambda tx: tx.records.of_event("urn:1"),
    "records of a capture": lambda tx: tx.captures.records_of("urn:1"),
    "records of a segment": lambda tx: list(tx.records.in_segment("warc-1")),
    "a revisit's original": lambda tx: tx.records.original_for("sha256:1", "https://x.example/"),
    "a capture": lambda tx: tx.captures.get("urn:1"),
    "captures of a URL": lambda tx: tx.captures.for_url("https://x.example/"),
    "captures after one": lambda tx: tx.captures.after(1, 10),
    "what waits for extraction": lambda tx: tx.captures.pending(10),
    "an item": lambda tx: tx.frontier.item_for("lantern.example", "key"),
    "known items": lambda tx: tx.frontier.add_items("lantern.example", [("1", Item(url="u"))], found_in=None, now=1,
                                                    due=1),
    "due items": lambda tx: tx.frontier.due_items(5, 10),
    "due items of an outlet": lambda tx: tx.frontier.due_items(5, 10, ["lantern.example"]),
    "when something is due": lambda tx: tx.frontier.next_due(),
    "a host": lambda tx: tx.frontier.claim_host("h", owner="a", now=1, until=2),
    "a known version": lambda tx: tx.articles.find_version("a", "e", "k"),
    "versions of an article": lambda tx: tx.articles.versions("a"),
    "an article": lambda tx: tx.articles.get("a"),
    "an article by URL": lambda tx: tx.articles.by_url("https://x.example/"),
    "articles of a capture": lambda tx: tx.articles.for_capture("urn:1"),
    "sightings": lambda tx: tx.articles.sightings(1),
    "articles after one": lambda tx: list(tx.articles.search(after=5, limit=3)),
    "an entry": lambda tx: tx.log.entry(1),
    "an entry by subject": lambda tx: tx.log.find("urn:1"),
    "entries": lambda tx: list(tx.log.entries(0, 5)),
    "bodies": lambda tx: tx.log.bodies(0, 0),
    "an image's readings": lambda tx: tx.images.get("urn:1"),
    "images of the same bytes": lambda tx: tx.images.same_bytes("sha256:1", "r"),
    "images of a version": lambda tx: tx.images.for_version(1),
    "photos by payload digest": lambda tx: tx.images.by_payload("sha256:1"),
    "photos by look": lambda tx: tx.images.near("0123456789abcdef", 8),
    "versions by row": lambda tx: tx.articles.by_rows([1, 2, 3]),
    "versions with a text": lambda tx: tx.articles.with_text("sha256:1", 5),
    "fingerprints": lambda tx: list(tx.fingerprints.after(5, 10)),
    "the trace index's state": lambda tx: tx.fingerprints.state(),
    "versions out of the index": lambda tx: tx.fingerprints.remove([1, 2, 3]),
}  # fmt: skip

#: Tables that stay small: outlets, their sources, one row of state.
SMALL = ("outlets", "sources", "log_state", "CONSTANT ROW", "captures USING INDEX ix_captures_pending")
#: Few rows each, sorted as they come.
SORTED = (
    "records of an event",
    "records of a capture",
    "a revisit's original",
    "captures of a URL",
    "an article by URL",
    "articles of a capture",
    "sightings",
    "images of a version",
    "versions with a text",
)


@contextmanager
def _seen(catalog: Catalog) -> Iterator[list[tuple[str, Any]]]:
    statements: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.split()[0] in ("SELECT", "UPDATE", "DELETE"):
            statements.append((statement, parameters))

    def given(connection: Any, statement: str, parameters: Any) -> list[tuple[Any, ...]]:
        note(connection, None, statement, parameters, None, False)
        return rows(connection, statement, parameters)

    engine, rows = catalog._engines.write, base._rows
    event.listen(engine, "before_cursor_execute", note)
    try:
        with pytest.MonkeyPatch.context() as patch:  # what is prepared goes past SQLAlchemy
            patch.setattr(base, "_rows", given)
            yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """A catalog with one outlet, for all tests here: plans are looked at, little is written."""
    folder = tmp_path_factory.mktemp("plans")
    with Catalog.create(f"sqlite:///{folder}/catalog.sqlite") as catalog:
        with catalog.begin() as tx:
            tx.outlets.put(make.outlet())
        yield catalog


@pytest.mark.parametrize("name", QUERIES)
def test_no_query_reads_a_whole_table(known: Catalog, name: str) -> None:
    with _seen(known) as statements, known.begin() as tx:
        QUERIES[name](tx)
    assert statements
    with known._engines.read.connect() as connection:
        for statement, parameters in statements:
            plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)
            steps = [str(step[3]) for step in plan]
            scans = [step.removeprefix("SCAN ") for step in steps if step.startswith("SCAN ")]
            assert [scan for scan in scans if not scan.startswith(SMALL)] == [], statement
            assert not any("TEMP B-TREE" in step for step in steps) or name in SORTED, statement

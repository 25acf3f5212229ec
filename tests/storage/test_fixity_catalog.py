"""Bits of the catalog's own file flipped below the API: every one that changes content is found, and called what it is.

Content is what a dump of all tables holds, but for what `storage.fixity.catalog` says is none.
"""

from __future__ import annotations

import random
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.extract import EXTRACTOR
from schemas.captures import Capture, Context, Role
from schemas.errors import PressmarkError
from schemas.frontier import Item
from schemas.images import ImageReading
from schemas.instants import to_micros
from schemas.urls import article_key
from storage.archive import Archive, StorageSettings
from storage.catalog.values import ImageRow
from storage.datasets import Selection, build
from storage.fixity import AuditReport, audit
from storage.redaction import Request, plan, redact, restrict
from tests.storage.keepsake import copy, make
from tests.support.archives import OUTLET, START, exchange, settings

#: What no audit compares, by table: see `storage.fixity.catalog`. None: the whole table.
NOT_CONTENT: dict[str, set[str] | None] = {
    "leases": None,
    "hosts": None,
    "sqlite_sequence": {"seq"},
    "sources": {"next_due", "polled", "etag", "last_modified", "last_keys", "polls", "gaps", "failures"},
    "items": {"found", "next_due", "stage", "failures", "etag", "last_modified", "lastmod", "hints"},
    "captures": {"extraction_code"},
    "segments": {"created", "worker"},
    "snapshots": {"created"},
    "log_state": {"next_seq", "epoch"},
}


def make_rich(archive: Archive) -> None:
    """Something of everything, and what a crawl, images, datasets and take-downs leave in the catalog."""
    make(archive)
    with archive.catalog.read() as tx:
        first = tx.captures.after(0, 1)[0]
    picture = archive.deposit(
        [(exchange("/quay.jpg", b"no picture", at=archive.clock()), Context(outlet_id=OUTLET.id, role=Role.IMAGE))]
    )[0]
    archive.note_image(reading_of(picture))
    items = [Item(url=f"https://lantern.example/{n}", title=f"Ferry {n}") for n in range(6)]
    with archive.catalog.begin() as tx:
        keyed = [(article_key(item.url), item) for item in items]
        tx.frontier.add_items(OUTLET.id, keyed, found_in=first.id, now=to_micros(START), due=to_micros(START))
        tx.frontier.update_item(1, state="fetched", last_capture=first.id)
    build(archive, "lantern", Selection())
    with archive.catalog.read() as tx:
        rows = list(tx.articles.search())
    restrict(archive, rows[0].article_id, code="court", until=archive.clock() + timedelta(days=9))
    wanted = Request(id=rows[-1].article_id, code="court-order", authority="court", keep=("all",), note="asked")
    redact(archive, plan(archive, wanted))
    archive.seal()


def reading_of(capture: Capture) -> ImageRow:
    reader = EXTRACTOR
    reading = ImageReading(
        media_type="image/jpeg", width=640, height=480, phash="0123456789abcdef", claims=(), problems=(), reader=reader
    )
    return ImageRow(
        capture.id, reader.identity, capture.item_url or capture.url, to_micros(capture.date),
        capture.payload_digest or "", reading.phash, reading.dumps(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "archive"
    folder.mkdir()
    with Archive.create(settings(folder)) as archive:
        make_rich(archive)
    return folder


@pytest.fixture
def kept(template: Path, tmp_path: Path) -> StorageSettings:
    return copy(template, tmp_path / "archive")


def catalog_of(kept: StorageSettings) -> Path:
    return kept.directory / "catalog.sqlite"


def put(path: Path, data: bytes) -> None:
    """These bytes as the catalog, with no write-ahead log beside."""
    path.write_bytes(data)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def audited(kept: StorageSettings) -> tuple[bool, str]:
    """(nothing found, all that an audit or the start of it says)."""
    try:
        with Archive.open(kept) as archive:
            report: AuditReport = audit(archive)
    except PressmarkError as error:
        return False, f"{type(error).__name__}: {error.message}"
    return report.ok, "\n".join(f"{f.kind} {f.where}: {f.message}" for f in (*report.damaged, *report.missing))


Row = tuple[Any, ...]


def dump(path: Path) -> dict[str, dict[Row, Row]] | None:
    """Every row of every table by its key, content alone; None where it cannot be read."""
    try:
        with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as raw:
            raw.text_factory = bytes
            found: dict[str, dict[Row, Row]] = {"sqlite_master": {}}
            for kind, name, sql in raw.execute("SELECT type, name, sql FROM sqlite_master"):
                found["sqlite_master"][(kind, name)] = (_flat(sql or b""),)
            names = [row[0].decode() for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                out = NOT_CONTENT.get(name, set())
                if out is None:
                    continue
                columns = [row[1].decode() for row in raw.execute(f'PRAGMA table_info("{name}")')]
                rows = raw.execute(f'SELECT * FROM "{name}" NOT INDEXED').fetchall()
                keep = [n for n, column in enumerate(columns) if column not in out]
                if name == "meta":  # a counter
                    rows = [row for row in rows if row[0] != b"trace changes"]
                found[name] = {(number,): tuple(row[n] for n in keep) for number, row in enumerate(rows)}
            return found
    except (sqlite3.Error, UnicodeDecodeError):
        return None
    finally:
        raw.close()


def _flat(sql: bytes) -> bytes:
    """A statement without the case of its words, which mean the same in any; literals keep theirs."""
    return b"'".join(p if n % 2 else p.lower() for n, p in enumerate(sql.split(b"'")))


def changed(before: dict[str, dict[Row, Row]], after: dict[str, dict[Row, Row]] | None) -> list[tuple[str, Row, Row]]:
    """(table, row before, row after) of what differs; one of no table where nothing can be read."""
    if after is None:
        return [("", (), ())]
    return [
        (table, before.get(table, {}).get(key, ()), after.get(table, {}).get(key, ()))
        for table in before.keys() | after.keys()
        for key in before.get(table, {}).keys() | after.get(table, {}).keys()
        if before.get(table, {}).get(key) != after.get(table, {}).get(key)
    ]


def is_named(words: str, table: str, before: Row, after: Row) -> bool:
    """Whether what was said names the row by something that stands in it, or the catalog itself as damaged."""
    if "catalog" in words.lower() or "database" in words or "ArchiveMissing" in words:
        return True
    if table == "entries":
        return any(f"entry {row[0]}:" in words for row in (before, after) if row)
    if table == "fingerprints":  # keys of a version, whose number alone stands there
        return "article " in words and "keys" in words
    texts = [v.decode("utf-8", "replace") for row in (before, after) for v in row if isinstance(v, bytes)]
    return any(len(text) > 8 and text in words for text in texts) or f"{table[:-1]} {(before or after)[0]}" in words


def test_the_archive_has_rows_in_every_table(kept: StorageSettings) -> None:
    with Archive.open(kept) as archive:
        report = audit(archive)
        assert (report.damaged, report.missing, report.orphans) == ((), (), ())
    found = dump(catalog_of(kept))
    assert found is not None
    assert {name for name, rows in found.items() if not rows} <= {"photos", "fingerprint_segments", "sqlite_stat1"}


#: (flips, seed): `make test-long` makes 500.
FLIPS = [(25, 0), *(pytest.param(100, seed, marks=pytest.mark.slow) for seed in range(1, 6))]


@pytest.mark.parametrize(("count", "seed"), FLIPS)
def test_random_flips_in_the_catalog_that_change_content_are_all_found_and_named(
    kept: StorageSettings, count: int, seed: int
) -> None:
    path = catalog_of(kept)
    with Archive.open(kept):
        pass  # whatever a first start mends
    good, before = path.read_bytes(), dump(path)
    assert before is not None
    chance, met, missed, misnamed = random.Random(seed), 0, [], []
    while met < count:
        data = bytearray(good)
        at, bit = chance.randrange(len(good)), chance.randrange(8)
        data[at] ^= 1 << bit
        put(path, bytes(data))
        differences = changed(before, dump(path))
        if not differences:
            continue  # free bytes, an index alone, or what is no content
        met += 1
        ok, words = audited(kept)
        if ok:
            missed.append((at, bit, differences[:2]))
        elif not any(is_named(words, *difference) for difference in differences):
            misnamed.append((at, bit, differences[:2], words))
    put(path, good)
    assert audited(kept)[0]
    assert (missed, misnamed) == ([], [])


@pytest.mark.parametrize("count", [10, pytest.param(150, marks=pytest.mark.slow)])
def test_flips_that_change_no_content_are_no_damage_of_a_row(kept: StorageSettings, count: int) -> None:
    """In free bytes nothing is found; in an index the file is named, for its rows are whole."""
    path = catalog_of(kept)
    good, before = path.read_bytes(), dump(path)
    chance, met = random.Random(20261102), 0
    while met < count:
        data = bytearray(good)
        data[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
        put(path, bytes(data))
        if dump(path) != before:
            continue
        met += 1
        ok, words = audited(kept)
        assert ok or "catalog" in words
    put(path, good)


# -- rows that only the log, or the catalog itself, explains ---------------------------------------------------------


def sql(kept: StorageSettings, text: str, *values: object) -> None:
    with sqlite3.connect(catalog_of(kept)) as raw:
        assert raw.execute(text, values).rowcount >= 1
    raw.close()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE sightings SET date = date + 1 WHERE row_id = 1", "article "),
        ("UPDATE sightings SET capture_id = 'urn:uuid:x' WHERE row_id = 1", "article "),
        ("UPDATE versions SET last_seen = last_seen + 1 WHERE row_id = 1", "article "),
        ("UPDATE versions SET version = version + 1 WHERE row_id = 1", "article "),
        ("UPDATE captures SET extraction = 'dome' WHERE seq = 1", "capture "),
        ("UPDATE captures SET extractor = 'x' WHERE extraction = 'done'", "capture "),
        ("UPDATE images SET reading = replace(reading, '640', '641 ')", "image "),
        ("UPDATE images SET band0 = band0 + 1", "image "),
        ("UPDATE images SET date = date + 1", "image "),
        ("UPDATE items SET url = url || 'x' WHERE id = 2", "item 2"),
        ("UPDATE items SET state = 'mew' WHERE id = 2", "item 2"),
        ("UPDATE items SET last_capture = 'urn:uuid:x' WHERE id = 1", "item 1"),
        ("UPDATE log_state SET next_index = next_index - 1", "log_state"),
        ("UPDATE log_state SET checkpoint_size = checkpoint_size - 1", "log_state"),
        ("UPDATE log_state SET origin = 'elsewhere.example'", "log_state"),
        ("UPDATE segments SET object_key = object_key || 'x'", "segment "),
        ("UPDATE segments SET state = 'lost'", "segment "),
        ("UPDATE snapshots SET prefix = 'x'", "snapshot lantern/"),
        ("UPDATE supersedings SET log_index = log_index + 1", "entry "),
        ("UPDATE redactions SET code = 'x'", "redaction "),
        ("UPDATE redactions SET state = 'dome'", "redaction "),
        ("UPDATE erased SET role = 'x' WHERE place = 0", "redaction "),
        ("UPDATE erased SET place = 900 WHERE place = 0", "redaction "),
        ("DELETE FROM erased WHERE place = 1", "redaction "),
        ("UPDATE restrictions SET until = until + 1", "restriction of "),
        ("UPDATE restrictions SET subject = 'x'", "restriction of "),
        ("DELETE FROM restrictions", "restriction of "),
        ("UPDATE meta SET key = 'x' WHERE key LIKE 'chain %'", "meta x"),
        ("UPDATE meta SET value = 'urn:uuid:x' WHERE key LIKE 'chain %'", "meta chain "),
    ],
)
def test_a_changed_row_is_named(kept: StorageSettings, change: str, named: str) -> None:
    sql(kept, change)
    ok, words = audited(kept)
    assert not ok
    assert named in words


def test_an_item_of_an_article_that_is_not_here_is_named_where_nothing_was_redacted(tmp_path: Path) -> None:
    with Archive.create(settings(tmp_path)) as archive:
        make(archive)
        item = Item(url="https://lantern.example/1")
        with archive.catalog.begin() as tx:
            tx.frontier.add_items(OUTLET.id, [(article_key(item.url), item)], found_in=None, now=1, due=1)
            tx.frontier.update_item(1, article_id="x")
        assert [f.where for f in audit(archive).damaged] == ["item 1"]

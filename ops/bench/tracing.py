"""From a fragment to its capture: recall, false matches and time, beside SQLite's FTS5 phrases on the same fragments.

    python -m ops.bench.tracing [--articles N] [--each N] [--catalog URL]

Articles come from `ops.bench.texts`. An answer is right where a text that it names holds the passage, letter for
letter, as it was before it was changed: that is looked up in the text itself and asks no index; it is wrong where it
names texts and none is right. FTS5 gets the words of the fragment as phrases of five, any of which may match, best
first; it knows nothing of claims or spans. On SQLite all work is done in this process, so CPU time is told, which what
else the machine does changes little; on PostgreSQL it is the time that passed.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from ingest.trace import article_text, trace
from ops.bench.measure import table
from ops.bench.texts import Press
from schemas.articles import article_id, text_sha256, word_count
from storage.archive import Archive, StorageSettings
from storage.catalog.values import VersionRow
from storage.fingerprints import index_version, letters

#: Characters of the fragments.
LENGTHS: Final = (60, 100, 150, 300, 1000)
#: Articles of one transaction while the archive is made.
GROUP: Final = 200
#: Words of an FTS5 phrase.
PHRASE: Final = 5
#: Matches asked for.
LIMIT: Final = 20
#: Texts that fragments are taken from.
SOURCES: Final = 400
#: A word as FTS5's default tokenizer cuts it.
_WORD: Final = re.compile(r"[^\W_]+")
_DAY: Final = 86_400_000_000  # microseconds

#: Gives the texts that a side names for a fragment.
Find = Callable[[str], list[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fragment:
    """A text to trace, and the passage that it was; None where no article has it."""

    kind: str
    length: int
    text: str
    passage: str | None


@dataclass(kw_only=True, slots=True)
class Cell:
    """How one side answered fragments of one kind and length."""

    asked: int = 0
    right: int = 0
    wrong: int = 0  # answers, none of them right
    times: list[float] = field(default_factory=list)  # ms

    def quantile(self, share: float) -> float:
        """Milliseconds within which that share of the fragments was answered."""
        return sorted(self.times)[min(len(self.times) - 1, int(share * len(self.times)))]


@dataclass(kw_only=True, slots=True)
class Built:
    """What making an index took."""

    seconds: float
    size: int | None  # bytes; None where it cannot be told


def version_row(number: int, paragraphs: Sequence[str]) -> VersionRow:
    """The catalog row of a synthetic article: all that a trace reads of it."""
    url = f"https://bench{number % 97}.example/{number}"
    outlet = f"bench{number % 97}.example"
    block = {"paragraphs": list(paragraphs), "published": None, "modified": None, "authors": [], "photos": []}
    return VersionRow(
        row_id=None,
        article_id=article_id(outlet, url),
        version=1,
        extractor="bench",
        content_key=str(number),
        conversion_id=f"urn:bench:conversion:{number}",
        capture_id=f"urn:bench:capture:{number}",
        first_seen=number * _DAY // 1000,
        last_seen=number * _DAY // 1000,
        log_index=number,
        outlet_id=outlet,
        url=url,
        canonical_url=url,
        title=None,
        published=None,
        modified=None,
        language=None,
        kind="article",
        access="free",
        wall=None,
        text_sha256=text_sha256(paragraphs),
        word_count=word_count(paragraphs),
        truncated=None,
        credits="",
        block=json.dumps({**block, "url": url, "canonical_url": url}, ensure_ascii=False),
    )


class Bench:
    """An archive of synthetic articles with its index, and the same texts in FTS5."""

    def __init__(self, folder: Path, articles: int, catalog: str | None = None) -> None:
        self.press = Press()
        self.count = articles
        self.clock = time.process_time if catalog is None else time.perf_counter
        self._settings = StorageSettings(
            directory=folder,
            catalog_url=catalog or f"sqlite:///{folder / 'catalog.sqlite'}",
            objects_url=str(folder / "objects"),
            origin="pressmark.invalid/bench",
        )
        self._fts_path = folder / "fts.sqlite"
        self.texts: list[str] = []  # some of the articles' texts, to take fragments from
        self.characters = self._fill()
        self.ours = self._index()
        self.fts = self._fill_fts()
        self.archive = Archive.open(self._settings)
        self._connection = sqlite3.connect(self._fts_path)

    def close(self) -> None:
        """Let go of both."""
        self._connection.close()
        self.archive.close()

    # -- making

    def _fill(self) -> int:
        """Rows of all articles, without index; their characters."""
        every, characters, number = max(1, self.count // SOURCES), 0, 0
        articles = self.press.articles(self.count)
        with Archive.create(self._settings) as archive:
            while group := list(islice(articles, GROUP)):
                with archive.catalog.begin() as tx:
                    for paragraphs in group:
                        row = version_row(number, paragraphs)
                        tx.articles.add_version(row)
                        text = article_text(row)
                        characters += len(text)
                        if number % every == 0:
                            self.texts.append(text)
                        number += 1
        return characters

    def _rows(self, archive: Archive) -> Iterator[list[tuple[int, str]]]:
        """(row id, text) of all articles, in groups."""
        with archive.catalog.read() as tx:
            rows = tx.articles.search(latest_only=False)
            while group := [(row.row_id or 0, article_text(row)) for row in islice(rows, GROUP)]:
                yield group

    def _size(self) -> int | None:
        """Bytes of the catalog's file while it is closed; None where it is no file."""
        path = self._settings.directory / "catalog.sqlite"
        return path.stat().st_size if path.is_file() else None

    def _index(self) -> Built:
        before, seconds = self._size(), 0.0
        with Archive.open(self._settings) as archive:
            for group in self._rows(archive):
                started = time.process_time()
                with archive.catalog.begin() as tx:
                    for row_id, text in group:
                        index_version(tx, row_id, text)
                seconds += time.process_time() - started
        after = self._size()
        return Built(seconds=seconds, size=None if before is None or after is None else after - before)

    def _fill_fts(self) -> Built:
        seconds = 0.0
        connection = sqlite3.connect(self._fts_path)
        try:
            connection.execute("CREATE VIRTUAL TABLE texts USING fts5(text, content='')")
            with Archive.open(self._settings) as archive:
                for group in self._rows(archive):
                    started = time.process_time()
                    with connection:
                        connection.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", group)
                    seconds += time.process_time() - started
        finally:
            connection.close()
        return Built(seconds=seconds, size=self._fts_path.stat().st_size)

    # -- asking

    def find(self, fragment: str) -> list[str]:
        """The texts that our trace names."""
        return [article_text(match.version) for match in trace(self.archive, fragment, limit=LIMIT).matches]

    def find_fts(self, fragment: str) -> list[int]:
        """The rows that FTS5 names."""
        words = _WORD.findall(fragment)
        phrases = [" ".join(words[at : at + PHRASE]) for at in range(0, max(1, len(words) - PHRASE + 1), PHRASE)]
        query = " OR ".join(f'"{phrase}"' for phrase in phrases)
        if not words:
            return []
        found = self._connection.execute(
            "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?", (query, LIMIT)
        )
        return [row[0] for row in found]

    def text_of(self, row_id: int) -> str:
        """The text of a row."""
        with self.archive.catalog.read() as tx:
            row = tx.articles.by_row(row_id)
        return "" if row is None else article_text(row)


def fragments(press: Press, texts: Sequence[str], each: int) -> Iterator[Fragment]:
    """So many of each kind and length."""
    kinds: dict[str, Callable[[str, int], str]] = {
        "exact": lambda passage, _: passage,
        "mangled": press.mangled,
        "1 in 20": lambda passage, _: press.changed(passage, 20),
        "1 in 10": lambda passage, _: press.changed(passage, 10),
    }
    for kind, change in kinds.items():
        for length in LENGTHS:
            fitting = [text for text in texts if len(text) >= length]
            for number in range(each if fitting else 0):
                passage = press.passage(press.random.choice(fitting), length) or ""
                yield Fragment(kind=kind, length=length, text=change(passage, number), passage=passage)
    for length in LENGTHS:
        for _ in range(each):
            text = "\n\n".join(press.unseen())
            yield Fragment(kind="unseen", length=length, text=press.passage(text, length) or text, passage=None)


def _judge(cell: Cell, fragment: Fragment, names: Sequence[str]) -> None:
    cell.asked += 1
    wanted = None if fragment.passage is None else letters(fragment.passage)
    right = wanted is not None and any(wanted in letters(text) for text in names)
    cell.right += right
    cell.wrong += bool(names) and not right


def measure(bench: Bench, each: int) -> dict[tuple[str, int], tuple[Cell, Cell]]:
    """Both sides over the same fragments, in turn."""
    cells: dict[tuple[str, int], tuple[Cell, Cell]] = {}
    for fragment in fragments(bench.press, bench.texts, each):
        ours, fts = cells.setdefault((fragment.kind, fragment.length), (Cell(), Cell()))
        started = bench.clock()
        names = bench.find(fragment.text)
        ours.times.append((bench.clock() - started) * 1000)
        _judge(ours, fragment, names)
        started = bench.clock()
        rows = bench.find_fts(fragment.text)
        fts.times.append((bench.clock() - started) * 1000)
        _judge(fts, fragment, [bench.text_of(row) for row in rows])
    return cells


def _bytes(built: Built, bench: Bench) -> tuple[str, str]:
    if built.size is None:
        return "-", "-"
    return f"{built.size / bench.count:.0f}", f"{built.size / bench.characters:.2f}"


def compare(articles: int, each: int, catalog: str | None = None) -> None:
    """Build, ask, print."""
    folder = Path(tempfile.mkdtemp(prefix="pressmark-bench-"))
    try:
        bench = Bench(folder, articles, catalog)
        try:
            cells = measure(bench, each)
        finally:
            bench.close()
    finally:
        shutil.rmtree(folder)
    table(
        f"tracing: {articles} articles of {bench.characters // articles} characters made of {bench.press.what}",
        ("index", "articles/CPU-s", "bytes/article", "of the text"),
        [
            (name, f"{articles / built.seconds:.0f}", *_bytes(built, bench))
            for name, built in (("ours", bench.ours), ("FTS5", bench.fts))
        ],
    )
    table(
        f"tracing: {each} fragments of each kind and length; {'CPU ' if catalog is None else ''}milliseconds",
        ("fragment", "chars", "recall", "wrong", "p50", "p95", "FTS5 recall", "wrong", "p50", "ours is"),
        [
            (
                *(kind, length, _share(ours.right, ours, kind), ours.wrong),
                *(f"{ours.quantile(0.5):.1f}", f"{ours.quantile(0.95):.1f}"),
                *(_share(fts.right, fts, kind), fts.wrong, f"{fts.quantile(0.5):.1f}"),
                f"{fts.quantile(0.5) / ours.quantile(0.5):.2f}x",
            )
            for (kind, length), (ours, fts) in cells.items()
        ],
    )


def _share(right: int, cell: Cell, kind: str) -> str:
    return "-" if kind == "unseen" else f"{right / cell.asked:.3f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.tracing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--articles", type=int, default=2000, help="articles of the archive")
    parser.add_argument("--each", type=int, default=40, help="fragments of each kind and length")
    parser.add_argument("--catalog", help="URL of an empty catalog, PostgreSQL say, instead of SQLite")
    given = parser.parse_args(arguments)
    compare(given.articles, given.each, given.catalog)


if __name__ == "__main__":
    main()

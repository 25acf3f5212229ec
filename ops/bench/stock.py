"""An archive of synthetic articles with its trace index, made fast, and the indexes of rivals over the same texts.

Articles are written and fingerprinted in processes of their own, a lot each; this one puts them into the catalog and
the sorted segments. Rivals: SQLite's FTS5, asked for any of the fragment's phrases, best first; MinHash with locality-
sensitive hashing over word shingles, as one finds near-duplicates with. Both know nothing of claims or spans.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import numpy as np
from sqlalchemy import func, insert, select

from ops.bench.texts import Press
from schemas.articles import BODY_LAYER, article_id, text_sha256, word_count
from storage.archive import Archive, StorageSettings
from storage.catalog import tables
from storage.catalog.values import VersionRow
from storage.fingerprints import letters, selected
from storage.fingerprints.grams import pack, unpack

#: Articles that one process writes at a time.
LOT: Final = 2000
#: Texts that fragments are taken from.
SOURCES: Final = 2000
#: Words of an FTS5 phrase, and of a MinHash shingle.
PHRASE: Final = 5
#: MinHash: so many values in bands of so many; a text of a twentieth in common then meets in a band half of the time.
HASHES: Final = 128
ROWS: Final = 1
#: What else is asked where nothing is said.
RIVALS: Final = ("fts", "lsh")
#: A word as FTS5's default tokenizer cuts it.
_WORD: Final = re.compile(r"[^\W_]+")
_DAY: Final = 86_400_000_000  # microseconds
#: Bytes of a page before its first paragraph, and between two.
_HEAD: Final = 30_000
_BETWEEN: Final = 12
#: Log indexes from here on are those of no entry: the articles are in no log, and others may be put beside them.
_UNLOGGED: Final = 1 << 40


@dataclass(kw_only=True, slots=True)
class Built:
    """What making an index took."""

    seconds: float  # of CPU time
    size: int  # bytes


class Rival(Protocol):
    """Another index over the same texts."""

    def add(self, row_id: int, text: str) -> None:
        """Take a text in."""

    def find(self, fragment: str, limit: int) -> list[int]:
        """The rows that it names for a fragment, the best first."""

    def size(self) -> int:
        """Bytes of the index."""

    def close(self) -> None:
        """Let go of files."""


def version_row(number: int, paragraphs: Sequence[str]) -> VersionRow:
    """The catalog row of a synthetic article: all that a trace reads of it."""
    url = f"https://bench{number % 97}.example/{number}"
    outlet = f"bench{number % 97}.example"
    block = {
        "access": "free", "authors": [], "canonical_url": url, "evidence": _evidence(paragraphs), "modified": None,
        "paragraphs": list(paragraphs), "photos": [], "published": None, "url": url,
    }  # fmt: skip
    return VersionRow(
        row_id=number + 1,
        article_id=article_id(outlet, url),
        version=1,
        extractor="bench",
        content_key=str(number),
        conversion_id=f"urn:bench:conversion:{number}",
        capture_id=f"urn:bench:capture:{number}",
        first_seen=number * _DAY // 1000,
        last_seen=number * _DAY // 1000,
        log_index=_UNLOGGED + number,
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
        block=json.dumps(block, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
    )


def _evidence(paragraphs: Sequence[str]) -> dict[str, Any]:
    """Where the paragraphs stood in the page, as an extractor tells it: a third of a row."""
    found, at = {}, _HEAD
    for number, paragraph in enumerate(paragraphs):
        end = at + len(paragraph.encode())
        span = {"charset": "utf-8", "end": end, "layer": BODY_LAYER, "start": at, "via": "html"}
        path = f"main/article/p[{number + 1}]"
        found[f"paragraphs/{number}"] = {"path": path, "raw": None, "source": "dom", "span": span}
        at = end + _BETWEEN
    return found


_press: list[Press] = []  # of a writing process, which reads the corpus once


def write_lot(lot: int, count: int) -> tuple[list[list[str]], list[bytes], float]:
    """(articles, their packed keys, CPU seconds that the keys took) of one lot, the same whoever writes it."""
    if not _press:
        _press.append(Press())
    articles = list(_press[0].lot(lot, count))
    started = time.process_time()
    keys = [pack(selected(letters("\n\n".join(paragraphs)))) for paragraphs in articles]
    return articles, keys, time.process_time() - started


class Stock:
    """The archive and its rivals, ready to be asked."""

    def __init__(
        self, folder: Path, count: int, *, catalog: str | None = None, rivals: Sequence[str] = (), kept: bool = False
    ) -> None:
        """Make them in a folder; or, where they are `kept` from before, open the archive there."""
        self.press = Press()
        self.count = count
        self.clock = time.process_time if catalog is None else time.perf_counter
        self.texts: list[str] = []  # some of the articles' texts, to take fragments from
        self.characters = self.bytes = 0
        self.rivals: dict[str, Rival] = {name: _RIVALS[name](folder) for name in rivals}
        settings = StorageSettings(
            directory=folder,
            catalog_url=catalog or f"sqlite:///{folder / 'catalog.sqlite'}",
            objects_url=str(folder / "objects"),
            origin="pressmark.invalid/bench",
        )
        self.built: dict[str, Built] = {}
        if kept:
            self.archive = Archive.open(settings)
            self._open()
        else:
            self.archive = Archive.create(settings)
            self.built = self._fill()
        self._warm(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for rival in self.rivals.values():
            rival.close()
        self.archive.close()

    def text_of(self, row_id: int) -> str:
        """The text of a row."""
        with self.archive.catalog.read() as tx:
            row = tx.articles.by_row(row_id)
        return "" if row is None else row.text

    def _open(self) -> None:
        with self.archive.catalog.read() as tx:
            self.count = tx.articles.count(versions_too=True)
        self.texts = [self.text_of(1 + number) for number in range(0, self.count, max(1, self.count // SOURCES))]

    def _warm(self, folder: Path) -> None:
        """Read all once, so that what is timed then waits for no disk, where memory holds it."""
        for path in folder.rglob("*"):
            if path.is_file():
                with path.open("rb", buffering=0) as stream:
                    while stream.read(1 << 20):
                        pass
        with self.archive.catalog.read() as tx:  # a server's files are its own
            tx._connection.execute(select(func.sum(func.length(tables.versions.c.block)))).all()

    def _fill(self) -> dict[str, Built]:
        every, number = max(1, self.count // SOURCES), 0
        seconds = dict.fromkeys(("ours", *self.rivals), 0.0)
        started = time.process_time()
        with self.archive.traces.filling() as add:
            seconds["ours"] -= time.process_time() - started
            for articles, keys, took in _lots(self.count):
                rows = [version_row(number + n, paragraphs) for n, paragraphs in enumerate(articles)]
                with self.archive.catalog.begin() as tx:
                    tx._connection.execute(insert(tables.versions), [row._asdict() for row in rows])
                seconds["ours"] += took
                for row, paragraphs, packed in zip(rows, articles, keys, strict=True):
                    text = "\n\n".join(paragraphs)
                    self.characters += len(text)
                    self.bytes += len(text.encode())
                    if number % every == 0:
                        self.texts.append(text)
                    number += 1
                    started = time.process_time()
                    add(row.row_id or 0, unpack(packed))
                    seconds["ours"] += time.process_time() - started
                    for name, rival in self.rivals.items():
                        started = time.process_time()
                        rival.add(row.row_id or 0, text)
                        seconds[name] += time.process_time() - started
            started = time.process_time()
        seconds["ours"] += time.process_time() - started
        with self.archive.catalog.read() as tx:
            size = sum(row.length for row in tx.fingerprints.segments())
        sizes = {"ours": size, **{name: rival.size() for name, rival in self.rivals.items()}}
        return {name: Built(seconds=seconds[name], size=sizes[name]) for name in seconds}


def _lots(count: int) -> Iterator[tuple[list[list[str]], list[bytes], float]]:
    """All lots in order; few are held at once."""
    sizes = [min(LOT, count - at) for at in range(0, count, LOT)]
    if len(sizes) == 1:
        yield write_lot(0, sizes[0])
        return
    with ProcessPoolExecutor(max_workers=os.cpu_count() or 1, mp_context=get_context("spawn")) as pool:
        waiting: list[Future[tuple[list[list[str]], list[bytes], float]]] = []
        for lot, size in enumerate(sizes):
            waiting.append(pool.submit(write_lot, lot, size))
            if len(waiting) > 6:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


class Fts:
    """SQLite's FTS5, asked for any of the fragment's phrases."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "fts.sqlite"
        self._connection = sqlite3.connect(self._path)
        self._connection.execute("CREATE VIRTUAL TABLE texts USING fts5(text, content='')")

    def add(self, row_id: int, text: str) -> None:
        """See Rival."""
        self._connection.execute("INSERT INTO texts (rowid, text) VALUES (?, ?)", (row_id, text))

    def find(self, fragment: str, limit: int) -> list[int]:
        """See Rival."""
        words = _WORD.findall(fragment)
        phrases = [" ".join(words[at : at + PHRASE]) for at in range(0, max(1, len(words) - PHRASE + 1), PHRASE)]
        if not words:
            return []
        query = " OR ".join(f'"{phrase}"' for phrase in phrases)
        found = self._connection.execute(
            "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?", (query, limit)
        )
        return [row[0] for row in found]

    def size(self) -> int:
        """See Rival."""
        self._connection.commit()
        return self._path.stat().st_size

    def close(self) -> None:
        """See Rival."""
        self._connection.close()


class Lsh:
    """MinHash over word shingles with locality-sensitive hashing: built for near-duplicates, not for fragments."""

    def __init__(self, folder: Path) -> None:
        numbers = np.random.default_rng(1)
        self._factors = numbers.integers(1, 1 << 32, HASHES, dtype=np.uint64) | np.uint64(1)
        self._terms = numbers.integers(0, 1 << 32, HASHES, dtype=np.uint64)
        self._buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
        self._postings = 0

    def _bands(self, text: str) -> Iterator[tuple[int, bytes]]:
        words = [word.casefold() for word in _WORD.findall(text)]
        shingles = {" ".join(words[at : at + PHRASE]) for at in range(max(1, len(words) - PHRASE + 1))}
        hashes = np.fromiter((hash(shingle) & 0xFFFF_FFFF for shingle in shingles), np.uint64, len(shingles))
        mixed = (hashes[:, None] * self._factors + self._terms) >> np.uint64(32)
        least = mixed.min(axis=0).astype("<u4")
        for band in range(0, HASHES, ROWS):
            yield band, least[band : band + ROWS].tobytes()

    def add(self, row_id: int, text: str) -> None:
        """See Rival."""
        for band in self._bands(text):
            self._buckets[band].append(row_id)
            self._postings += 1

    def find(self, fragment: str, limit: int) -> list[int]:
        """See Rival."""
        counts: dict[int, int] = defaultdict(int)
        for band in self._bands(fragment):
            for row_id in self._buckets.get(band, ()):
                counts[row_id] += 1
        return sorted(counts, key=lambda row_id: (-counts[row_id], row_id))[:limit]

    def size(self) -> int:
        """See Rival: as sorted postings of a hash and a row id, 8 bytes each."""
        return 8 * self._postings

    def close(self) -> None:
        """See Rival."""


_RIVALS: Final[dict[str, Callable[[Path], Rival]]] = {"fts": Fts, "lsh": Lsh}

"""From a fragment to its capture: recall, false matches and time, beside other indexes on the same fragments.

    python -m ops.bench.tracing [--articles N] [--each N] [--unseen N] [--rivals fts,lsh] [--catalog URL]
                                [--keep FOLDER | --ask FOLDER]

Articles come from `ops.bench.texts`. An answer is right where a text that it names holds the passage, letter for
letter, as it was before it was changed: that is looked up in the text itself and asks no index; it is wrong where it
names texts and none is right. On SQLite all work is done in this process, so CPU time is told, which what else the
machine does changes little; on PostgreSQL it is the time that passed. Everything was read once before, so no disk is
waited for where memory holds the archive. How it and the rivals' indexes are made is left to `ops.bench.stock`.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ingest.trace import trace
from ops.bench.measure import table
from ops.bench.stock import RIVALS, Stock
from ops.bench.texts import Press
from storage.fingerprints import letters

#: Characters of the fragments.
LENGTHS: Final = (60, 100, 150, 300, 1000)
#: Matches asked for.
LIMIT: Final = 20
#: Fragments asked before any is timed, so that the index is warm, as in a process that goes on.
WARM_UP: Final = 300


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


#: By kind and length of the fragment, then by side; "ours" is the first.
Cells = dict[tuple[str, int], dict[str, Cell]]


def fragments(press: Press, texts: Sequence[str], each: int, unseen: int) -> Iterator[Fragment]:
    """So many of each kind and length; so many of each length that no article has."""
    kinds: dict[str, Callable[[str, int], str]] = {
        "exact": lambda passage, _: passage,
        "mangled": press.mangled,
        "scraped": press.scraped,
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
        for _ in range(unseen):
            text = "\n\n".join(press.unseen())
            yield Fragment(kind="unseen", length=length, text=press.passage(text, length) or text, passage=None)


def judge(cell: Cell, fragment: Fragment, names: Sequence[str]) -> None:
    """Note an answer, given as the texts that it names."""
    cell.asked += 1
    wanted = None if fragment.passage is None else letters(fragment.passage)
    right = wanted is not None and any(wanted in letters(text) for text in names)
    cell.right += right
    cell.wrong += bool(names) and not right


def measure(stock: Stock, asked: Iterator[Fragment]) -> Cells:
    """All sides over the same fragments, in turn."""
    cells: Cells = {}
    for text in stock.texts[:WARM_UP]:
        _ours(stock, text[:300])
    for fragment in asked:
        sides = cells.setdefault((fragment.kind, fragment.length), {n: Cell() for n in ("ours", *stock.rivals)})
        started = stock.clock()
        names = _ours(stock, fragment.text)
        sides["ours"].times.append((stock.clock() - started) * 1000)
        judge(sides["ours"], fragment, names)
        for name, rival in stock.rivals.items():
            started = stock.clock()
            rows = rival.find(fragment.text, LIMIT)
            sides[name].times.append((stock.clock() - started) * 1000)
            judge(sides[name], fragment, [stock.text_of(row) for row in rows])
    return cells


def _ours(stock: Stock, fragment: str) -> list[str]:
    return [match.version.text for match in trace(stock.archive, fragment, limit=LIMIT).matches]


def compare(
    articles: int,
    each: int,
    unseen: int,
    rivals: Sequence[str],
    catalog: str | None = None,
    keep: Path | None = None,
    ask: Path | None = None,
) -> None:
    """Build, ask, print; the archive stays where `keep` names a folder for it, and is asked again as `ask`."""
    folder = ask or keep or Path(tempfile.mkdtemp(prefix="pressmark-bench-"))
    try:
        with Stock(folder, articles, catalog=catalog, rivals=rivals, kept=ask is not None) as stock:
            cells = measure(stock, fragments(stock.press, stock.texts, each, unseen))
            if stock.built:
                _print_built(stock)
            else:
                print(f"tracing: an archive of {stock.count} articles that was kept")
            _print_cells(stock, cells)
    finally:
        if folder not in (keep, ask):
            shutil.rmtree(folder)
    print(f"memory of this process at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


def _print_built(stock: Stock) -> None:
    table(
        f"tracing: {stock.count} articles of {stock.characters // stock.count} characters "
        f"({stock.bytes // stock.count} bytes) made of {stock.press.what}",
        ("index", "articles/CPU-s", "bytes/article", "of the text"),
        [
            (name, f"{stock.count / built.seconds:.0f}", f"{built.size / stock.count:.0f}",
             f"{built.size / stock.characters:.2f}")
            for name, built in stock.built.items()
        ],
    )  # fmt: skip


def _print_cells(stock: Stock, cells: Cells) -> None:
    times = "CPU milliseconds" if stock.clock is time.process_time else "milliseconds"
    columns = ["fragment", "chars", "asked", "recall", "wrong", "p50", "p95"]
    for name in stock.rivals:
        columns += [f"{name} recall", "wrong", "p50", "ours is"]
    rows = []
    for (kind, length), sides in cells.items():
        ours = sides["ours"]
        row = [kind, length, ours.asked, _share(ours, kind), ours.wrong, *_times(ours, 0.5, 0.95)]
        for name in stock.rivals:
            other = sides[name]
            row += [_share(other, kind), other.wrong, *_times(other, 0.5)]
            row.append(f"{other.quantile(0.5) / ours.quantile(0.5):.2f}x")
        rows.append(tuple(row))
    table(f"tracing: fragments of each kind and length; {times}", tuple(columns), rows)
    for name, kinds in (
        ("all fragments", set(cells)),
        ("those that an article has", {cell for cell in cells if cell[0] != "unseen"}),
    ):
        some = Cell(times=[ms for cell in kinds for ms in cells[cell]["ours"].times])
        print(f"{name}: {len(some.times)}, p50 {some.quantile(0.5):.1f} ms, p95 {some.quantile(0.95):.1f} ms")


def _times(cell: Cell, *shares: float) -> list[str]:
    return [f"{cell.quantile(share):.1f}" for share in shares]


def _share(cell: Cell, kind: str) -> str:
    return "-" if kind == "unseen" else f"{cell.right / cell.asked:.3f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.tracing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--articles", type=int, default=2000, help="articles of the archive")
    parser.add_argument("--each", type=int, default=40, help="fragments of each kind and length")
    parser.add_argument("--unseen", type=int, help="fragments of each length that no article has; else as --each")
    parser.add_argument("--rivals", default=",".join(RIVALS), help="what else is asked: fts, lsh, or nothing")
    parser.add_argument("--catalog", help="URL of an empty catalog instead of SQLite")
    parser.add_argument("--keep", type=Path, help="a new folder in which the archive is made, and left")
    parser.add_argument("--ask", type=Path, help="a folder in which such an archive was left: it is asked as it is")
    given = parser.parse_args(arguments)
    if given.ask is not None:
        given.rivals = ""
    unseen = given.each if given.unseen is None else given.unseen
    rivals = [name for name in given.rivals.split(",") if name]
    compare(given.articles, given.each, unseen, rivals, given.catalog, given.keep, given.ask)


if __name__ == "__main__":
    main()

"""How right extraction is, beside other extractors: score.py's figures on the newsrooms, 4-gram F1 on the benchmark.

    python -m ops.bench.accuracy [--pages N] [--split SEED]

`corpus/score.py` of the data folder is run as it stands, so that there is one judge. The article-extraction-benchmark's
metric is defined by its authors (scrapinghub/article-extraction-benchmark, evaluate.py); `shingle_score` follows that
definition. Extractors that do not resolve together with ours run in the environment that `make test-interop` makes.
`--split` also judges the outlets in two parts, drawn at random by the seed: rules are made with the first in sight,
the second is looked at as figures alone, and what holds must hold on both.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import trafilatura

from ingest.extract import extract
from ops.bench.measure import table
from ops.bench.pages import shared_folder
from schemas.errors import ExtractionError

#: Words of a shingle, as both metrics have it.
SHINGLE: Final = 4
#: The figures printed, in score.py's names and order.
FIGURES: Final = (
    *("text_f1", "paragraph_f1", "title", "published", "published_date"),
    *("authors_f1", "credit_f1", "credit_precision", "caption_f1"),
)
#: When the benchmark's pages were fetched, roughly; a bound for dates, which its metric does not look at.
AEB_FETCHED: Final = datetime(2019, 12, 31, tzinfo=UTC)

_WORD: Final = re.compile(r"\w+")
_ROOT: Final = Path(__file__).resolve().parents[2]
Prediction = dict[str, Any]
Reader = Callable[[bytes, str, datetime], Prediction]


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One page of a corpus."""

    id: str
    path: Path  # gzipped HTML
    url: str
    fetched: datetime
    outlet: str = ""

    @property
    def html(self) -> bytes:
        """Its bytes."""
        return gzip.decompress(self.path.read_bytes())


# -- the metric of the article-extraction-benchmark -------------------------------------------------------------------


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """The 4-grams of a text's words as they are written; a shorter text is one shingle, an empty one has none."""
    words = _WORD.findall(text)
    count = max(1, len(words) - SHINGLE + 1) if words else 0
    return Counter(tuple(words[i : i + SHINGLE]) for i in range(count))


def shingle_score(pairs: Iterable[tuple[str, str]]) -> tuple[float, float, float]:
    """(F1, precision, recall) over (true, found) texts: means over the pages, F1 of the two means.

    A page where nothing was found has no precision, one where nothing is to be found no recall.
    """
    precisions: list[float] = []
    recalls: list[float] = []
    for true, found in pairs:
        wanted, got = shingles(true), shingles(found)
        right = (wanted & got).total()
        if got:
            precisions.append(right / got.total())
        if wanted:
            recalls.append(right / wanted.total())
    precision = fmean(precisions) if precisions else 0.0
    recall = fmean(recalls) if recalls else 0.0
    both = precision + recall
    return (2 * precision * recall / both if both else 0.0), precision, recall


# -- the extractors ---------------------------------------------------------------------------------------------------


def _ours(body: bytes, url: str, fetched: datetime) -> Prediction:
    try:
        article = extract(body=body, url=url, captured=fetched, content_type="text/html")
    except ExtractionError:
        return {}
    return article.to_json()


def _trafilatura(**options: Any) -> Reader:
    def read(body: bytes, url: str, fetched: datetime) -> Prediction:
        found = trafilatura.bare_extraction(body, url=url, with_metadata=True, **options)
        if found is None:
            return {}
        value = found if isinstance(found, dict) else found.as_dict()
        return {
            "title": value["title"],
            "authors": [name for name in (value["author"] or "").split("; ") if name],
            "published": value["date"],
            "paragraphs": (value["text"] or "").split("\n"),
        }

    return read


HERE: Final[Mapping[str, Reader]] = {
    "ours": _ours,
    "trafilatura": _trafilatura(),
    "trafilatura fast": _trafilatura(fast=True),
    "trafilatura precision": _trafilatura(favor_precision=True),
}

#: Programs for the other environment: pages as JSON lines on stdin, predictions on stdout. Network is never used.
_PRELUDE: Final = """
import gzip, json, sys, warnings
warnings.simplefilter("ignore")
def each(read):
    for line in sys.stdin:
        page = json.loads(line)
        data = gzip.open(page["path"]).read()
        try:
            found = read(data, page["url"])
        except Exception as error:  # whatever a rival raises is an empty answer
            print(f"{page['id']}: {error!r}", file=sys.stderr)
            found = {}
        print(json.dumps({"id": page["id"], **found}))
def lines(text):
    return [part.strip() for part in text.split("\\n") if part.strip()]
"""
AWAY: Final[Mapping[str, str]] = {
    "newspaper4k": """
import newspaper
def read(data, url):
    article = newspaper.Article(url, fetch_images=False)
    article.download(input_html=data.decode("utf-8", "replace"))
    article.parse()
    date = article.publish_date
    return {"title": article.title, "authors": list(article.authors), "paragraphs": lines(article.text),
            "published": date.isoformat() if date else None}
each(read)
""",
    "readability-lxml": """
import readability
from lxml import html
def read(data, url):
    document = readability.Document(data.decode("utf-8", "replace"), url=url)
    tree = html.fromstring(document.summary())
    for element in tree.iter():
        if isinstance(element.tag, str):
            element.text = " ".join((element.text or "").split("\\n"))
        element.tail = " ".join((element.tail or "").split("\\n"))
        if element.tag in ("p", "div", "li", "ul", "ol", "h1", "h2", "h3", "h4", "blockquote", "pre", "br", "td"):
            element.text = "\\n" + (element.text or "")
            element.tail = "\\n" + (element.tail or "")
    return {"title": document.short_title(), "authors": [], "published": None, "paragraphs": lines(tree.text_content())}
each(read)
""",
}


def rivals_python() -> Path | None:
    """The Python of the environment of the other extractors; None where it was not made."""
    python = Path(os.environ.get("PRESSMARK_INTEROP", _ROOT)) / ".venv-interop-extract" / "bin" / "python"
    return python if python.exists() else None


def _away(python: Path, program: str, pages: Sequence[Page]) -> dict[str, Prediction]:
    asked = "".join(json.dumps({"id": p.id, "path": str(p.path), "url": p.url}) + "\n" for p in pages)
    done = subprocess.run(
        [python, "-c", _PRELUDE + program], input=asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, check=True,
    )  # fmt: skip
    return {value["id"]: value for value in map(json.loads, done.stdout.splitlines())}


def predictions(pages: Sequence[Page]) -> dict[str, dict[str, Prediction]]:
    """What each extractor that is installed says of each page."""
    found: dict[str, dict[str, Prediction]] = {name: {} for name in HERE}
    for page in pages:
        body = page.html
        for name, read in HERE.items():
            found[name][page.id] = {**read(body, page.url, page.fetched), "id": page.id}
    python = rivals_python()
    if python is not None:
        found |= {name: _away(python, program, pages) for name, program in AWAY.items()}
    return found


# -- the corpora ------------------------------------------------------------------------------------------------------


def newsroom_pages(shared: Path) -> list[Page]:
    """The newsrooms' pages."""
    folder = shared / "corpus" / "newsrooms"
    pages = []
    for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        when = datetime.fromisoformat(row["crawled"])
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        path = folder / row["page"]
        pages.append(Page(id=row["id"], path=path, url=row["url"], fetched=when, outlet=row["outlet"]))
    return pages


def benchmark_pages(shared: Path) -> tuple[list[Page], dict[str, str]]:
    """The benchmark's pages, and their bodies by id."""
    folder = shared / "corpus" / "aeb"
    truth = json.loads((folder / "ground-truth.json").read_text(encoding="utf-8"))
    pages = [
        Page(id=name, path=folder / "html" / f"{name}.html.gz", url=row["url"], fetched=AEB_FETCHED)
        for name, row in truth.items()
    ]
    return pages, {name: row["articleBody"] for name, row in truth.items()}


def judged(shared: Path, pages: Sequence[Page], answers: Mapping[str, Prediction]) -> dict[str, float]:
    """What score.py says of the answers about these pages, whatever the order."""
    wanted = {page.id for page in pages}
    truth = (shared / "corpus" / "newsrooms" / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory(prefix="pressmark-bench-") as folder:
        asked, told = Path(folder, "truth.jsonl"), Path(folder, "predictions.jsonl")
        asked.write_text("".join(f"{line}\n" for line in truth if json.loads(line)["id"] in wanted), encoding="utf-8")
        told.write_text("".join(json.dumps(answer) + "\n" for answer in answers.values()), encoding="utf-8")
        command = [sys.executable, str(shared / "corpus" / "score.py"), str(asked), str(told), "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def body_alone(told: Prediction) -> list[str]:
    """An article's paragraphs without the standfirst that they begin with."""
    paragraphs: list[str] = list(told.get("paragraphs") or ())
    return paragraphs[1:] if paragraphs and paragraphs[0] == told.get("standfirst") else paragraphs


def split(pages: Sequence[Page], seed: int) -> tuple[list[Page], list[Page]]:
    """The pages of half of the outlets, drawn at random, and those of the other half; an outlet is never parted."""
    outlets = sorted({page.outlet for page in pages})
    drawn = set(random.Random(seed).sample(outlets, len(outlets) // 2))  # noqa: S311 - no secret
    return [p for p in pages if p.outlet in drawn], [p for p in pages if p.outlet not in drawn]


def compare(limit: int | None = None, *, seed: int | None = None) -> None:
    """Read, judge and print; says so where the data or an extractor is missing."""
    shared = shared_folder()
    if shared is None:
        print("accuracy: no corpus beside the checkout (../shared, or PRESSMARK_SHARED): nothing to judge")
        return
    if rivals_python() is None:
        print(f"{' and '.join(AWAY)} are not installed: `make test-interop` makes an environment for them")
    pages = newsroom_pages(shared)[:limit]
    answers = predictions(pages)
    print_newsrooms(shared, "newsroom pages", pages, answers)
    if seed is not None:
        for name, part in zip("AB", split(pages, seed), strict=True):
            print_newsrooms(shared, f"newsroom pages, part {name} of seed {seed}", part, answers)
    pages, bodies = benchmark_pages(shared)
    pages = pages[:limit]
    scores = []
    read = predictions(pages)
    # The benchmark's bodies leave the standfirst out (in 9 pages of 10); ours begin with it and tell which it is.
    read["ours, body alone"] = {name: {"paragraphs": body_alone(told)} for name, told in read["ours"].items()}
    for name, told in read.items():
        texts = [(bodies[p.id], "\n".join(told[p.id].get("paragraphs") or ())) for p in pages]
        scores.append((name, *(f"{value:.3f}" for value in shingle_score(texts))))
    table(f"accuracy: {len(pages)} benchmark pages, 4-gram", ("side", "F1", "precision", "recall"), scores)


def print_newsrooms(
    shared: Path, what: str, pages: Sequence[Page], answers: Mapping[str, Mapping[str, Prediction]]
) -> None:
    """One table of score.py's figures."""
    if not pages:
        return
    rows = []
    for name, told in answers.items():
        figures = judged(shared, pages, told)
        rows.append((name, *(f"{figures[figure]:.3f}" if figure in figures else "-" for figure in FIGURES)))
    head = ("side", *(figure.replace("paragraph", "para").replace("published", "pub") for figure in FIGURES))
    table(f"accuracy: {len(pages)} {what}, score.py", head, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.accuracy", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pages", type=int, help="only the first N pages of each corpus")
    parser.add_argument("--split", type=int, metavar="SEED", help="also judge two halves of the outlets, drawn by SEED")
    given = parser.parse_args(arguments)
    compare(given.pages, seed=given.split)


if __name__ == "__main__":
    main()

"""A page corpus crawled as if it were the web, from `init` to a snapshot, with kills on the way; what came of it.

    python -m ops.bench.corpus_run --manifest truth.jsonl [--dir DIR] [--kills N] [--seed N] [--score score.py]

The pages stand at their own URLs on loopback (`ops.bench.corpus_server`), every step is a `pressmark` command of its
own. The crawl is killed -9 at N random moments and goes on; the catalog is deleted and rebuilt; everything is audited,
and looked at by FastWARC. Prints the counts; ends with 1 where they are not those of the manifest.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ops.bench.corpus_server import CorpusServer
from ops.bench.measure import table
from ops.demo.messages import Request
from ops.demo.wire import Answer
from schemas.urls import normalize

#: Requests after `init` at least, by outlet: a feed and a sitemap, beside the pages.
SOURCES: Final = 2
#: Seconds after a request within which the crawl is killed.
SOON: Final = 0.2
OPERATOR: Final = '\n[operator]\nname = "Corpus run"\ncontact = "bench@pressmark.invalid"\n'


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What an archive of the corpus holds, counted through its command line."""

    article_captures: int  # answers to requests for pages, each kill may add one
    pages: int  # different pages among them
    other_captures: dict[str, int]  # by role
    articles: int
    named: int  # articles whose outlet's name is the manifest's
    versions: int
    records: int
    entries: int
    objects: int


class CountingServer(CorpusServer):
    """A corpus server that counts its requests."""

    asked = 0

    def _answer(self, request: Request) -> Answer:
        self.asked += 1  # in the server's thread alone
        return super()._answer(request)


class Run:
    """One archive of the corpus, and the commands on it."""

    def __init__(self, manifest: Path, folder: Path) -> None:
        """The archive comes to stand in `folder`, which may hold nothing else."""
        self.manifest, self.folder, self.archive = manifest, folder, folder / "archive"
        self.server = CountingServer(manifest, folder / "server")
        with manifest.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        #: The manifest's rows by URL as an archive has it.
        self.truth: dict[str, dict[str, Any]] = {normalize(row["url"]): row for row in rows}
        self.environment = {**os.environ, "PRESSMARK_ARCHIVE": str(self.archive)}

    def command(self, *words: str | Path) -> list[str]:
        """A `pressmark` command for this Python."""
        return [sys.executable, "-m", "ops.cli", *map(str, words)]

    def tell(self, *words: str | Path) -> str:
        """Run a command; what it prints. RuntimeError where it fails."""
        done = subprocess.run(self.command(*words), env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"pressmark {' '.join(map(str, words))} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def ask(self, *words: str | Path) -> list[Any]:
        """The JSON Lines of a command."""
        return [json.loads(line) for line in self.tell(*words, "--json").splitlines()]

    # -- the story ----------------------------------------------------------------------------------------------

    def init(self) -> None:
        """Make the archive and add every outlet."""
        path = self.folder / "settings.toml"
        path.write_text(OPERATOR + self.server.settings(), encoding="utf-8")
        self.tell("init", "--settings", path)

    def crawl(self) -> dict[str, Any]:
        """Crawl until nothing is due; what the crawl says of itself."""
        (report,) = self.ask("crawl", "--until-idle")
        return dict(report)

    def kill(self, request: int, seconds: float) -> int:
        """Start to crawl, kill -9 so many seconds after the n-th request; the exit code."""
        before = self.server.asked
        process = subprocess.Popen(
            self.command("crawl", "--until-idle"), env=self.environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while self.server.asked - before < request and process.poll() is None:
            time.sleep(0.002)
        time.sleep(seconds)
        process.kill()
        return process.wait()

    def kill_and_go_on(self, kills: int, seed: int) -> list[int]:
        """Kill that many crawls at moments spread over the whole; the requests after which they died."""
        chance = random.Random(seed)  # noqa: S311 - moments that can be had again, no secret
        left = len(self.truth) + SOURCES * len(self.server.sites)
        died = []
        for number in range(kills):
            request = chance.randint(1, max(1, left // (kills - number + 1)))
            self.kill(request, chance.uniform(0, SOON))
            left = max(1, left - request)
            died.append(request)
        return died

    def lose_catalog(self) -> None:
        """Delete the catalog and make it anew from the evidence."""
        for path in self.archive.glob("catalog.sqlite*"):
            path.unlink()
        self.tell("rebuild")

    # -- what came of it ----------------------------------------------------------------------------------------

    def articles(self) -> list[Any]:
        """Every article version, in the log's order."""
        return self.ask("articles", "--after", "-1")

    def identity(self) -> list[tuple[Any, ...]]:
        """What must be the same after a rebuild: every version with its text and its place in the log."""
        found = ((a["id"], a["version"], a["url"], a["text_sha256"], a["log_index"]) for a in self.articles())
        return sorted(found)

    def counts(self) -> Counts:
        """Count, after an audit that finds nothing. RuntimeError where it finds something."""
        summary = self.ask("audit", "--full")[-1]["summary"]
        roles: Counter[str] = Counter()
        for row in self.ask("coverage"):
            roles[row["role"]] += sum(n for ending, n in row["endings"].items() if ending.startswith("HTTP "))
        articles = self.articles()
        named = {a["id"] for a in articles if self._truth_of(a).get("outlet") == a["outlet"]["name"]}
        return Counts(
            article_captures=roles.pop("article"),
            pages=len({a["url"] for a in articles}),
            other_captures=dict(sorted(roles.items())),
            articles=len({a["id"] for a in articles}),
            named=len(named),
            versions=len(articles),
            records=summary["records"],
            entries=summary["entries"],
            objects=summary["objects"],
        )

    def _truth_of(self, article: Any) -> dict[str, Any]:
        return self.truth.get(article["url"], {})

    def segments(self) -> list[Path]:
        """The sealed segments."""
        objects = self.archive / "objects"
        return sorted([*(objects / "warc").rglob("*.warc.gz"), *(objects / "text").rglob("*.warc.gz")])

    def check_segments(self) -> int:
        """Let our validator, then FastWARC look at every segment; how many there are. RuntimeError for a bad one."""
        segments = self.segments()
        self.tell("warc", "check", "--strict", *segments)
        fastwarc = Path(sys.executable).with_name("fastwarc")
        for segment in segments if fastwarc.exists() else []:
            done = subprocess.run([fastwarc, "check", segment], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"fastwarc check {segment}: {done.stdout[-500:]}{done.stderr[-500:]}")
        return len(segments)

    def snapshot(self) -> int:
        """Build and verify a snapshot; its rows."""
        (row,) = self.ask("snapshot", "build", "corpus")
        self.tell("snapshot", "verify", "corpus")
        return int(row["rows"])

    def score(self, program: Path) -> str:
        """What a scoring program makes of the articles as they were crawled."""
        path = self.folder / "predictions.jsonl"
        with path.open("w", encoding="utf-8") as out:
            for article in self.articles():
                out.write(json.dumps({**article, "id": self._truth_of(article).get("id", article["id"])}) + "\n")
        command = [sys.executable, str(program), str(self.manifest), str(path)]
        scored: str = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return scored


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0, 1 where a count is not the manifest's, 2 where a command failed."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.corpus_run", description=__doc__.split("\n\n")[0])
    parser.add_argument("--manifest", type=Path, required=True, help="truth.jsonl of the corpus")
    parser.add_argument("--dir", type=Path, help="a new folder to work in, and to keep; else a temporary one")
    parser.add_argument("--kills", type=int, default=3, help="crawls to kill -9 (default 3)")
    parser.add_argument("--seed", type=int, default=1, help="decides the moments of the kills")
    parser.add_argument("--score", type=Path, help="a program that takes truth and predictions")
    chosen = parser.parse_args(arguments)
    folder = chosen.dir or Path(tempfile.mkdtemp(prefix="pressmark-corpus-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _story(Run(chosen.manifest, folder), chosen.kills, chosen.seed, chosen.score)
    except RuntimeError as error:
        print(f"corpus_run: {error}", file=sys.stderr)
        return 2
    finally:
        if chosen.dir is None:
            shutil.rmtree(folder)


def _story(run: Run, kills: int, seed: int, score: Path | None) -> int:
    began = time.monotonic()
    with run.server:
        run.init()
        died = run.kill_and_go_on(kills, seed)
        report = run.crawl()
    first, identity = run.counts(), run.identity()
    run.lose_catalog()
    again, same = run.counts(), run.identity() == identity
    rows = [(name, value, asdict(again)[name]) for name, value in asdict(first).items()]
    print(f"{len(run.truth)} pages of {len(run.server.sites)} hosts; killed after {died or 'no'} requests")
    print(f"the last crawl: {json.dumps(report)}")
    table("what the archive holds, audited", ("", "crawled", "rebuilt"), rows)
    print(f"\nrebuilt, every article is {'the same' if same else 'NOT the same'}")
    print(f"{run.check_segments()} segments pass `warc check --strict` and `fastwarc check`")
    rows_built = run.snapshot()
    print(f"snapshot of {rows_built} rows verifies; {time.monotonic() - began:.0f} s in all")
    if score is not None:
        print("\n" + run.score(score))
    wanted = len(run.truth)
    held = (first.pages, first.articles, first.named, again.articles, rows_built)
    # A walled or cut-off page is no row of a snapshot unless asked for.
    return 0 if same and held[:-1] == (wanted,) * 4 and 0 < rows_built <= wanted else 1


if __name__ == "__main__":
    sys.exit(main())

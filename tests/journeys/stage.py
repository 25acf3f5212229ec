"""An archive as people use it: commands typed one after the other, each a process of its own.

    stage = Stage(tmp_path / "archive")
    stage.init(paper.settings)
    stage.run("outlet", "add", paper.url)
    stage.run("crawl", "--until-idle")
    assert len(stage.ask("articles")) == 10

Nothing here knows more of an archive than its command line; `opened` looks below it where a story needs to.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import update

from ops.settings import PREFIX, load
from ops.wiring import open_archive
from schemas.captures import Capture
from storage.archive import Archive
from storage.catalog import tables
from storage.warc.check import NOTE, check_files

ROOT = Path(__file__).resolve().parents[2]
CONTACT = "desk@journeys.example"
#: Seconds after which a story that waits has failed; far beyond what the slowest machine needs.
PATIENCE = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def values(self) -> list[Any]:
        """Its JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Stage:
    """One archive folder and the commands on it."""

    def __init__(self, archive: Path, environment: dict[str, str] | None = None) -> None:
        """`environment` is what the commands see beside this process's own, PRESSMARK_* left out."""
        self.archive = archive
        own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environment = {**own, f"{PREFIX}ARCHIVE": str(archive), **(environment or {})}

    def command(self, *words: str | Path) -> list[str]:
        """What is executed."""
        return [sys.executable, "-m", "ops.cli", *map(str, words)]

    @contextmanager
    def start(self, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
        """A command under way; what it says goes into files beside the archive. At the end it is killed if it lives."""
        with self._log("out").open("w") as out, self._log("err").open("w") as err:
            process = subprocess.Popen(
                self.command(*words), env=self.environment, cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=out, stderr=err, text=True,
            )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def said(self) -> str:
        """What the command started last said on stderr so far."""
        return self._log("err").read_text()

    def _log(self, name: str) -> Path:
        return self.archive.with_name(f"{self.archive.name}.{name}")

    def run(self, *words: str | Path, code: int = 0, stdin: str | None = None) -> Done:
        """Run a command to its end, which has to be `code`, without a traceback."""
        ended = subprocess.run(
            self.command(*words), env=self.environment, cwd=ROOT, input=stdin, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert "Traceback" not in ended.stderr, f"{words}: {ended.stderr}"
        assert ended.returncode == code, f"{words} ended with {ended.returncode}: {ended.stdout}{ended.stderr}"
        return Done(code=ended.returncode, out=ended.stdout, err=ended.stderr)

    def ask(self, *words: str | Path) -> list[Any]:
        """The JSON Lines of a command."""
        return self.run(*words, "--json").values

    # -- the steps that all stories share ---------------------------------------------------------------------

    def init(self, *settings: str) -> None:
        """Make the archive with these settings; tables of the same name are put together."""
        path = self.archive.with_name(f"{self.archive.name}.toml")
        path.write_text(join_tables(settings), encoding="utf-8")
        self.run("init", "--settings", path, "--contact", CONTACT)

    def articles(self) -> list[Any]:
        """Every version that was logged, in the log's order."""
        return self.ask("articles", "--after", "-1")

    def audit(self) -> dict[str, int]:
        """The counts of an audit that finds nothing."""
        *findings, last = self.ask("audit", "--full")
        assert findings == []
        summary: dict[str, int] = last["summary"]
        assert (summary["damaged"], summary["missing"], summary["orphans"]) == (0, 0, 0)
        return summary

    def coverage(self, role: str) -> dict[str, int]:
        """How exchanges of a role ended, over all outlets."""
        endings: dict[str, int] = {}
        for row in self.ask("coverage"):
            for ending, count in row["endings"].items():
                if row["role"] == role:
                    endings[ending] = endings.get(ending, 0) + count
        return endings

    def later(self) -> None:
        """Time passes: sources and pages that were fetched are due now. What failed waits for its own time."""
        with self.opened() as archive, archive.catalog.begin() as tx:
            tx._connection.execute(update(tables.sources).values(next_due=0))
            fetched = tables.items.c.state == "fetched", tables.items.c.next_due.is_not(None)
            assert tx._connection.execute(update(tables.items).where(*fetched).values(next_due=0)).rowcount > 0

    # -- a look below -------------------------------------------------------------------------------------------

    @contextmanager
    def opened(self) -> Iterator[Archive]:
        """The archive for reading, as any command opens it."""
        overrides = {k: v for k, v in self.environment.items() if k.startswith(PREFIX)}
        with open_archive(load(self.archive, overrides)) as archive:
            yield archive

    def captures(self) -> list[Capture]:
        """Every acknowledged capture and attempt, in order."""
        with self.opened() as archive, archive.catalog.read() as tx:
            return tx.captures.after(0, 1_000_000)

    def check_segments(self, folder: Path) -> int:
        """Validate every sealed segment as a stranger would, together; how many there are."""
        folder.mkdir()
        with self.opened() as archive:
            keys = [key for prefix in ("warc/", "text/") for key in archive.store.list(prefix)]
            for key in keys:
                (folder / key.rpartition("/")[2]).write_bytes(archive.store.get(key))
        found = [f for findings in check_files(sorted(folder.iterdir())) for f in findings if f.severity != NOTE]
        assert found == []
        return len(keys)

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        """Wait until something is so."""
        end = time.monotonic() + PATIENCE
        while not ready():
            assert time.monotonic() < end, f"{what} did not happen: {self.said()[-2000:]}"
            time.sleep(0.05)


def join_tables(parts: Iterable[str]) -> str:
    """TOML texts as one: the keys of tables that have the same header stand together."""
    tables: dict[str, list[str]] = {}
    for part in parts:
        name = ""
        for line in part.splitlines():
            header = re.fullmatch(r"\[([^\[\]]+)\]", line.strip())
            name = header[1] if header else name
            if line.strip() and not header:
                tables.setdefault(name, []).append(line)
    return "".join(f"[{name}]\n" * bool(name) + "\n".join(lines) + "\n\n" for name, lines in tables.items())


def identity(articles: Sequence[Any]) -> list[tuple[str, int, str, str]]:
    """What must not change: id, version, address and text of every article version, sorted."""
    return sorted((a["id"], a["version"], a["canonical_url"], a["text_sha256"]) for a in articles)

"""`make demo`: a newspaper on loopback, crawled by the service, and what an archive of it can prove.

Tells the story with the commands that anyone would type, each run as a process of its own. The paper itself is in
`newspaper` and `server`; nothing here knows more of the archive than its command line.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ops.demo.server import PaperServer

HOST: Final = "www.harbour-lantern.example"
#: Seconds to wait for the service to do something; far more than it needs, for a slow machine.
PATIENCE: Final = 90.0
#: Lines of a command's output that are shown.
SHOWN: Final = 18
WRONG_COST: Final = "4.2 million"


class Demo:
    """The stage: a folder, the paper, and the environment in which commands run."""

    def __init__(self, folder: Path, paper: PaperServer) -> None:
        self.folder, self.paper = folder, paper
        self.archive = folder / "archive"
        self.environment = {**os.environ, "PRESSMARK_ARCHIVE": str(self.archive)}

    def command(self, *words: str) -> list[str]:
        """A `pressmark` command for this Python."""
        return [sys.executable, "-m", "ops.cli", *words]

    def show(self, *words: str, lines: int = SHOWN, stdin: str | None = None, quiet: bool = False) -> str:
        """Run a command, print it and the beginning of what it says; its whole output. Stops the demo if it fails."""
        print(f"\n$ pressmark {shlex.join(words)}", flush=True)
        done = subprocess.run(
            self.command(*words), env=self.environment, input=stdin, capture_output=True, text=True, check=False
        )
        output = (done.stdout + done.stderr).rstrip("\n")
        shown = output.split("\n")
        if not quiet:
            for line in shown[:lines]:
                print("  " + (line if len(line) <= 150 else line[:147] + "..."))
            if len(shown) > lines:
                print(f"  ... ({len(shown) - lines} more lines)")
        if done.returncode != 0:
            print(output if quiet else "", file=sys.stderr)
            raise SystemExit(f"the demo stopped: that command ended with {done.returncode}")
        return done.stdout

    def ask(self, *words: str) -> list[Any]:
        """The JSON Lines of a command, without showing it."""
        done = subprocess.run(
            self.command(*words, "--json"), env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"the demo stopped: pressmark {shlex.join(words)}: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    @contextmanager
    def service(self) -> Iterator[None]:
        """`pressmark run` in the background; SIGTERM at the end."""
        print("\n$ pressmark run &", flush=True)
        with (self.folder / "run.log").open("wb") as log:
            process = subprocess.Popen(self.command("run"), env=self.environment, stdout=log, stderr=log)
            try:
                yield
            finally:
                process.terminate()
                code = process.wait()
        said = (self.folder / "run.log").read_text().strip().splitlines()
        print(f"  ended by SIGTERM with {code}: {said[-1] if said else ''}")
        if code != 0:
            raise SystemExit("the demo stopped: the service failed:\n" + "\n".join(said[-20:]))

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        """Wait for the service."""
        print(f"  waiting: {what}", flush=True)
        end = time.monotonic() + PATIENCE
        while not ready():
            if time.monotonic() > end:
                print((self.folder / "run.log").read_text()[-2000:], file=sys.stderr)
                raise SystemExit(f"the demo stopped: {what} did not happen")
            time.sleep(0.5)


def say(title: str) -> None:
    """A heading."""
    print(f"\n\033[1m== {title}\033[0m" if sys.stdout.isatty() else f"\n== {title}", flush=True)


def settings(paper: PaperServer) -> str:
    """A patient crawler's settings would be hours; the demo looks again after three seconds."""
    return paper.settings + (
        'recheck = [3, 86400]\n\n[operator]\nname = "Demo"\ncontact = "demo@harbour-lantern.example"\n'
    )


def capture(demo: Demo) -> None:
    """Watch the paper, let the service crawl it, publish a correction, let it see that."""
    say("A newspaper appears on loopback; the service watches it")
    (demo.folder / "settings.toml").write_text(settings(demo.paper), encoding="utf-8")
    demo.show("init", "--settings", str(demo.folder / "settings.toml"))
    demo.show("outlet", "add", f"https://{HOST}/", "--name", "The Harbour Lantern", "--every", "5s")
    readable = len(demo.paper.paper.readable)
    with demo.service():
        demo.wait("the first articles", lambda: len(demo.ask("articles")) >= min(readable, 10))
        demo.paper.advance()
        print("  the paper publishes a correction, moves a page, mends another")
        demo.wait("the correction to be seen", lambda: any(a["version"] > 1 for a in demo.ask("articles")))
    say("What was captured, and how everything ended")
    demo.show("status")
    demo.show("coverage")
    demo.show("articles")


def read(demo: Demo) -> str:
    """One article with its credit and evidence; the correction."""
    say("One article: its photo credit, and where in the page each value stood")
    storm = next(a for a in demo.ask("articles") if any("AP" in p["agencies"] for p in a["photos"]))
    demo.show("show", storm["id"], "--evidence", lines=24)
    say("The correction, seen between two polls")
    corrected = next(a for a in demo.ask("articles") if a["version"] > 1)
    demo.show("show", corrected["id"], "--diff")
    return str(storm["id"])


def prove(demo: Demo, article: str) -> None:
    """A mangled fragment traced; a bundle checked by the standard-library program; a snapshot; an audit."""
    say("A scraped text without source: white space, quotes and case are mangled. Where is it from?")
    value = next(a for a in demo.ask("articles") if a["id"] == article)
    text = "".join(value["paragraphs"][1:4]).replace('"', "\u201d").upper()
    fragment = demo.folder / "orphan.txt"
    fragment.write_text(f"date {value['published']} {value['photos'][0]['credit']}\n\n{text}", encoding="utf-8")
    print(f"  {fragment.read_text(encoding='utf-8')[:140]!r}...")
    demo.show("trace", str(fragment))
    say("Proof: a bundle that a stranger checks with Python's standard library alone")
    bundle = demo.folder / "evidence.zip"
    demo.show("prove", article, "-o", str(bundle))
    key = demo.show("log", "key").strip()
    with zipfile.ZipFile(bundle) as box:
        box.extractall(demo.folder / "evidence")
    print(f"\n$ cd evidence && python3 -I verify.py --key '{key}'")
    done = subprocess.run(
        [sys.executable, "-I", "verify.py", "--key", key],
        cwd=demo.folder / "evidence", env={}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    for line in (done.stdout + done.stderr).splitlines()[:SHOWN]:
        print("  " + line[:150])
    if done.returncode != 0:
        raise SystemExit("the demo stopped: the bundle does not verify")
    say("A dataset for a researcher, and an audit of it all")
    demo.show("snapshot", "build", "lantern", "--outlet", "The Harbour Lantern")
    demo.show("snapshot", "verify", "lantern")
    demo.show("audit", "--full")


def main(arguments: Sequence[str]) -> None:
    """Run the demo in a new folder (or the one named)."""
    folder = Path(arguments[0]) if arguments else Path(tempfile.mkdtemp(prefix="pressmark-demo-"))
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    with PaperServer(host=HOST, tls=True) as paper:
        demo = Demo(folder, paper)
        capture(demo)
        article = read(demo)
        prove(demo, article)
    say("Your turn")
    print(f"""  The demo's archive is in {folder / "archive"}. A real outlet:

    .venv/bin/pressmark init my-archive --contact you@example.org
    .venv/bin/pressmark outlet add https://news.example/ -C my-archive
    .venv/bin/pressmark run -C my-archive""")


if __name__ == "__main__":
    main(sys.argv[1:])

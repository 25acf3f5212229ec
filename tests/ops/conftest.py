"""The command line under test: as a function in this process, and as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.cli.main import main
from ops.settings import PREFIX
from tests.support.newsroom import Newsroom

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def values(self) -> list[Any]:
        """Its JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaint(self) -> str:
        """The last line of stderr."""
        return self.err.rstrip("\n").rpartition("\n")[2]

    def done(self) -> Ended:
        """This, where the command did what it was asked to."""
        assert (self.code, "Traceback" in self.err) == (0, False), self.err
        return self

    def refused(self, code: int, *words: str) -> Ended:
        """This, where it ended with `code` and one line that says what is wrong; what to do."""
        assert "Traceback" not in self.err
        assert self.code == code, self.err
        assert self.complaint.startswith("pressmark: "), self.err
        assert "; " in self.complaint, f"does not say what to do: {self.complaint}"
        assert [word for word in words if word not in self.complaint] == [], self.complaint
        return self


class Pressmark:
    """`pressmark` on one archive: called in this process, or started as another."""

    def __init__(self, archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.archive = archive
        self._capsys, self._monkeypatch = capsys, monkeypatch
        monkeypatch.setenv(f"{PREFIX}ARCHIVE", str(archive))

    def __call__(self, *words: str | Path) -> Ended:
        """Run a command in this process."""
        self._monkeypatch.setattr(sys, "argv", ["pressmark", *map(str, words)])
        self._capsys.readouterr()
        code: int | str | None = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        said = self._capsys.readouterr()
        assert isinstance(code, int)
        return Ended(code=code, out=said.out, err=said.err)

    def start(self, *words: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Start a command as a process."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(
            [sys.executable, "-m", "ops.cli", *map(str, words)], cwd=ROOT, text=True, **{**pipes, **options}
        )

    def process(self, *words: str | Path, **options: Any) -> Ended:
        """Run a command as a process, to its end."""
        with self.start(*words, **options) as process:
            out, err = process.communicate()
        return Ended(code=process.returncode, out=out or "", err=err or "")

    def settings(self, text: str) -> Path:
        """A settings file for `init` that waits for nobody and reads pages in the crawler's own process."""
        path = self.archive.with_name("settings.toml")
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def pressmark(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Pressmark:
    """The command, for an archive that is not made yet; nothing of the machine's own settings holds."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    return Pressmark(tmp_path / "archive", capsys, monkeypatch)


@pytest.fixture
def room() -> Iterator[Newsroom]:
    """An empty world on loopback whose robots.txt allows everything."""
    with Newsroom() as running:
        running.page("/robots.txt", "User-agent: *\nAllow: /\n", content_type="text/plain")
        yield running


LOCAL = '[crawl]\nhost_delay = 0\nallow_addresses = ["127.0.0.1/32"]\n\n[extract]\nworkers = 0\n'


@pytest.fixture
def archive(pressmark: Pressmark) -> Pressmark:
    """The command on a new archive that may ask loopback."""
    pressmark("init", "--settings", pressmark.settings(LOCAL), "--contact", "desk@lantern.example").done()
    return pressmark

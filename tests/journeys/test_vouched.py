"""Archives that others vouch for: two that witness each other, as commands and processes, with a real authority."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ops.demo.server import PaperServer
from tests.journeys.stage import ROOT, Stage
from tests.support.authority import TimeAuthority

PATIENCE = 60.0


@contextmanager
def witness(folder: Path, *words: str) -> Iterator[tuple[str, str]]:
    """A running witness: what an archive's settings name it by, and its key."""
    log = folder.with_name(folder.name + ".err")
    with log.open("w") as err:
        command = [sys.executable, "-m", "ops.cli", "log", "witness", str(folder), "--listen", "127.0.0.1:0", *words]
        process = subprocess.Popen(command, cwd=ROOT, stderr=err, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE
        while not (found := re.search(r'witnesses = \["(\S+ (\S+))"\]', log.read_text())):
            assert time.monotonic() < until, log.read_text()
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield found[1], found[2]
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0, log.read_text()


def settings_with(stage: Stage, text: str) -> None:
    path = stage.archive / "pressmark.toml"
    lines = path.read_text()
    path.write_text(lines.replace("[log]\n", f"[log]\n{text}\n", 1))


@pytest.fixture
def pair(tmp_path: Path, paper: PaperServer) -> tuple[Stage, Stage]:
    stages = Stage(tmp_path / "one"), Stage(tmp_path / "two")
    for stage in stages:
        stage.init(paper.settings, "[extract]\nworkers = 0\n")
        stage.run("outlet", "add", paper.url)
    return stages


def test_two_archives_witness_each_other(pair: tuple[Stage, Stage], tmp_path: Path) -> None:
    with ExitStack() as stack:
        authority = stack.enter_context(TimeAuthority(tmp_path))
        keys: list[str] = []
        for number in range(2):
            other = pair[1 - number]
            place, key = stack.enter_context(
                witness(tmp_path / f"witness{number}", "--log", other.run("log", "key").out.strip())
            )
            settings_with(other, f'witnesses = ["{place}"]\n' + authority.settings.removeprefix("[log]\n"))
            keys.insert(0, key)
        for stage, key in zip(pair, keys, strict=True):
            stage.run("crawl", "--until-idle", "--limit", "2")
            vouched = stage.ask("status")[0]["log"]["vouched"]
            assert [(v["kind"], v["error"]) for v in vouched] == [("timestamp", None), ("witness", None)]
            assert vouched[0]["size"] == vouched[1]["size"] > 0
            assert key.split("+")[0] in stage.run("status").out
            article = stage.articles()[0]
            bundle = tmp_path / f"{stage.archive.name}.zip"
            stage.run("prove", article["id"], "-o", bundle)
            trusted = ("--key", stage.run("log", "key").out.strip(), "--witness", key, "--authority", authority.ca_file)
            said = stage.run("verify", bundle, *trusted, "--require-timestamp").out
            assert "says that it saw this checkpoint" in said
            assert "not pinned" not in said
            assert "whose clock" not in said
            stranger = keys[1 - keys.index(key)]
            assert "no cosignatures by" in stage.run("verify", bundle, "--witness", stranger, code=1).out
            with zipfile.ZipFile(bundle) as box:
                box.extractall(tmp_path / f"{stage.archive.name}-proof")
            alone = subprocess.run(
                [sys.executable, "-I", "verify.py", *map(str, trusted), "--require-timestamp"],
                cwd=tmp_path / f"{stage.archive.name}-proof", env={"PATH": "/usr/bin:/bin"},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert alone.returncode == 0, alone.stdout + alone.stderr
            assert stage.audit()["damaged"] == 0
        _rolled_back(pair[0], tmp_path)


def _rolled_back(stage: Stage, tmp_path: Path) -> None:
    """The whole folder brought back from a copy: only the witness knows better, and nothing is signed."""
    copy = tmp_path / "copy"
    shutil.copytree(stage.archive, copy)
    time.sleep(1.1)
    stage.run("outlet", "pause", stage.ask("outlet", "list")[0]["id"])
    stage.run("log", "stamp")
    shutil.rmtree(stage.archive)
    shutil.copytree(copy, stage.archive)
    settings_with(stage, "witness_every = 0.001")
    before = (stage.archive / "objects" / "log" / "checkpoint").read_bytes()
    ended = stage.run("crawl", "--until-idle", code=3)
    assert "entries of this log, of which" in ended.err
    assert "pressmark rebuild" in ended.err
    assert (stage.archive / "objects" / "log" / "checkpoint").read_bytes() == before


def test_services_that_are_not_there_stop_nothing(pair: tuple[Stage, Stage], tmp_path: Path) -> None:
    stage = pair[0]
    with witness(tmp_path / "w") as (place, key):
        pass
    with TimeAuthority(tmp_path) as authority:
        text = authority.settings.removeprefix("[log]\n")
    settings_with(stage, f'witnesses = ["{place}"]\n{text}')
    stage.run("crawl", "--until-idle", "--limit", "1")
    said = stage.run("status").out
    assert said.count("FAILING since") == 2
    assert key.split("+")[0] in said
    assert stage.run("log", "stamp", code=5).err.count("failed") >= 1
    stage.audit()

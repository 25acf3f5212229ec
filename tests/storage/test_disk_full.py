"""A disk that is full, broken or read-only: the work stops with exit code 5, and goes on once the disk is mended.

Two ways: a small real file system that fills up, and a disk that fails from the n-th call on (or once, at that call),
by the tracer of `tests.support.crash`. After each the same is asked as after a kill: nothing acknowledged is lost.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.demo.server import PaperServer
from schemas.errors import DiskError
from tests.journeys.stage import Stage
from tests.storage.test_crash import SHARES, born, fresh, spread, total, troubles
from tests.support.crash import Crash, Crasher, can_fail_calls, crawl

__all__ = ["born", "fresh", "total"]  # fixtures

#: Points at which `make test` lets the disk fail, for each kind of failure.
QUICK = 8
#: Bytes that a file system's pages have: what room is counted in.
PAGE = 4096
KINDS = [
    pytest.param(errno.EIO, False, id="broken"),
    pytest.param(errno.EIO, True, id="broken-once"),
    pytest.param(errno.ENOSPC, True, id="full-once"),
    pytest.param(errno.EROFS, False, id="read-only"),
]


# -- a disk that fails at a call -------------------------------------------------------------------------------------

needs_failing_calls = pytest.mark.skipif(not can_fail_calls(), reason="calls can be made to fail on x86-64 alone")


def fail_at(
    crasher: Crasher, fresh: Callable[[], Path], points: list[int], error: int, once: bool
) -> tuple[dict[str, list[str]], Counter[str]]:
    """What goes wrong, by point and call; and how the stories ended."""
    bad, ends = {}, Counter[str]()
    for point in points:
        folder = fresh()
        crash = crasher.run("crawl", folder, fail_at=point, error=error, once=once)
        ended = [value for kind, value in crash.said if kind == "error"]
        said = [[kind, value] for kind, value in crash.said if kind != "error"]
        ends["stopped" if ended else "not noticed"] += 1
        found = [f"ended with {text}" for text in ended if not text.startswith("DiskError 5: ")]
        if found := found + troubles(folder, Crash(killed=False, calls=crash.calls, said=said)):
            bad[f"{point} {crash.calls[point - 1]}"] = found
    return bad, ends


@needs_failing_calls
@pytest.mark.parametrize(("error", "once"), KINDS)
def test_a_disk_that_fails_here_and_there(
    crasher: Crasher, fresh: Callable[[], Path], total: int, error: int, once: bool
) -> None:
    bad, ends = fail_at(crasher, fresh, spread(QUICK, total), error, once)
    assert bad == {}
    assert ends["stopped"] > ends["not noticed"]  # the last calls tidy up behind the last commit: none is owed


@pytest.mark.slow
@needs_failing_calls
@pytest.mark.parametrize(("error", "once"), KINDS)
@pytest.mark.parametrize("share", range(SHARES))
def test_a_disk_that_fails_at_every_other_call(
    crasher: Crasher, fresh: Callable[[], Path], total: int, share: int, error: int, once: bool
) -> None:
    bad, _ = fail_at(crasher, fresh, list(range(1 + 2 * share, total + 1, 2 * SHARES)), error, once)
    assert bad == {}


# -- a small real file system ----------------------------------------------------------------------------------------


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A file system of `size` bytes; skips the test, saying why, where none may be mounted."""
    place.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes=0", "pressmark-test", str(place)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("there is no mount program")
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    with small_disk(tmp_path / "disk", 8 << 20) as mounted:
        yield mounted


def fill_up(disk: Path, *, leave: int) -> Path:
    """A file that leaves so many bytes of the disk free."""
    filler = disk / "filler"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
    with filler.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, free - leave)
    return filler


def crawl_in(folder: Path) -> tuple[Crash, str]:
    """Tell the crawl here; what was acknowledged, and the message of the DiskError that ended it, if one did."""
    said: list[list[str]] = []
    try:
        crawl(folder, lambda kind, value: said.append([kind, value]))
        return Crash(killed=False, calls=[], said=said), ""
    except DiskError as error:
        return Crash(killed=False, calls=[], said=said), str(error)


def test_a_disk_that_fills_up(disk: Path, born: Path) -> None:
    """At every amount of room from none to enough, sixteen pages apart."""
    stopped = told = 0
    bad: dict[int, list[str]] = {}
    for leave in range(0, 4 << 20, 16 * PAGE):
        folder = Path(shutil.copytree(born, disk / "archive"))
        filler = fill_up(disk, leave=leave)
        crash, message = crawl_in(folder)
        filler.unlink()
        stopped, told = stopped + bool(message), told + len(crash.said)
        found = [] if not message or "free " in message or "make room" in message else [message]
        if found := found + troubles(folder, crash):
            bad[leave] = found
        shutil.rmtree(folder)
        if not message:
            break
    assert bad == {}
    assert not message, "at some point there was room enough"
    assert stopped >= 8, "the disk filled up at many places"
    assert told > 20, "much had been acknowledged before"


@pytest.fixture
def stage(disk: Path, paper: PaperServer) -> Stage:
    """An archive on the small disk that watches the paper."""
    stage = Stage(disk / "archive")
    stage.init(paper.settings)
    stage.run("outlet", "add", paper.url)
    return stage


def test_a_full_disk_ends_the_command_with_5_and_it_resumes(disk: Path, stage: Stage) -> None:
    before = stage.captures()
    filler = fill_up(disk, leave=40 * PAGE)
    ended = stage.run("crawl", "--until-idle", code=5)
    assert "disk" in ended.err
    filler.unlink()
    kept = stage.captures()
    assert kept[: len(before)] == before
    stage.run("crawl", "--until-idle")
    after = stage.captures()
    assert after[: len(kept)] == kept, "what had been acknowledged is still there"
    assert len(after) > len(kept)
    assert len(stage.articles()) >= 8
    stage.audit()


def test_a_read_only_disk_ends_the_command_with_5_and_it_resumes(disk: Path, stage: Stage) -> None:
    before = stage.captures()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        ended = stage.run("crawl", "--until-idle", code=5)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert "read-only" in ended.err.lower()
    assert stage.captures() == before
    stage.run("crawl", "--until-idle")
    assert len(stage.articles()) >= 8
    stage.audit()


def test_a_limit_on_file_size_is_a_full_disk(born: Path, tmp_path: Path) -> None:
    """RLIMIT_FSIZE, where nothing may be mounted: writes are cut short, then fail with EFBIG."""
    folder = Path(shutil.copytree(born, tmp_path / "archive"))
    limited = "\n".join((
        "import resource, sys",
        "from pathlib import Path",
        "from tests.support.crash import crawl",
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({300 * 1024}, resource.RLIM_INFINITY))",
        "said = lambda kind, value: print(kind, value.partition(chr(10))[0], flush=True)",
        "crawl(Path(sys.argv[1]), said)",
    ))  # fmt: skip
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", limited, str(folder)]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("schemas.errors.DiskError: ")
    said = [line.split(" ", 1) for line in ended.stdout.splitlines() if not line.startswith("checkpoint")]
    assert said
    assert troubles(folder, Crash(killed=False, calls=[], said=said)) == []

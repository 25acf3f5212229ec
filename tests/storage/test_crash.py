"""Kill -9 at every write, sync, rename, link and unlink of a small crawl, and of the start that follows.

After each: the archive opens and mends itself, an audit finds nothing, nothing that was acknowledged is lost, the log
that was published before is the beginning of the log that is published after, and work goes on. `make test` takes an
even selection of the points, `make test-long` all of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.checkpoints import Checkpoint, open_checkpoint
from schemas.errors import PressmarkError
from schemas.merkle import verify_consistency
from storage.archive import Archive
from storage.fixity import audit
from storage.recovery import recover
from tests.support.archives import ARTICLE, START, exchange, page, read_article, settings
from tests.support.crash import Crash, Crasher, later

#: Points of the crawl that `make test` kills at, spread evenly; and of the restart after some of these.
QUICK = 24
QUICK_RESTARTS = 2
QUICK_RESTART_POINTS = 4
#: Parts into which all points are dealt, so that several processes can share them.
SHARES = 8


@pytest.fixture(scope="module")
def born(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive in which nothing is yet."""
    folder = tmp_path_factory.mktemp("born")
    Archive.create(settings(folder)).close()
    return folder


@pytest.fixture
def fresh(born: Path, place: Path) -> Callable[[], Path]:
    """Gives a new copy of the empty archive in the place of the one before."""

    def copy() -> Path:
        folder = place / "archive"
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(born, folder))

    return copy


def spread(count: int, total: int) -> list[int]:
    """`count` points from 1 to `total`, evenly."""
    return sorted({1 + (total - 1) * i // (count - 1) for i in range(count)})


# -- what must hold after a kill -------------------------------------------------------------------------------------


def troubles(folder: Path, crash: Crash) -> list[str]:
    """What does not hold in an archive whose writer was killed."""
    try:
        with Archive.open(later(folder, 2)) as archive:
            recover(archive)
            archive.seal()
            found = [*_lost(archive, crash), *_forked(archive, crash), *_faults(archive, "after recovery")]
            if again := recover(archive):
                found.append(f"a second start still mends: {again}")
            return [*found, *_goes_on(archive)]
    except PressmarkError as error:
        return [f"{type(error).__name__}: {error}"]


def _faults(archive: Archive, when: str) -> list[str]:
    report = audit(archive)
    return [
        f"audit {when}: {f.kind} {f.where}: {f.message}" for f in (*report.damaged, *report.missing, *report.orphans)
    ]


def _lost(archive: Archive, crash: Crash) -> list[str]:
    """Acknowledged things that are not there, or cannot be read."""
    lost = []
    with archive.catalog.read() as tx:
        outlets = {outlet.id for outlet in tx.outlets.all()}
        for kind, value in crash.said:
            row = tx.records.get(value) if kind in ("capture", "revisit", "sighting", "article") else None
            gone = {
                "outlet": lambda v=value: v not in outlets,
                "segment": lambda v=value: (s := tx.segments.get(v)) is None or s.state != "sealed",
                "checkpoint": lambda: False,
                "mended": lambda: False,
            }.get(kind, lambda r=row, v=value: r is None or tx.log.find(v) is None)
            if gone():
                lost.append(f"acknowledged {kind} {value} is lost")
            elif row is not None:
                archive.read(value)
        for kind, value in crash.said:
            if kind == "sighting" and not any(value in tx.articles.sightings(v.row_id) for v in tx.articles.search()):
                lost.append(f"the sighting {value} is lost")
    return lost


def _forked(archive: Archive, crash: Crash) -> list[str]:
    """Checkpoints that were published before and are not the beginning of the tree of now."""
    note = archive.log.checkpoint()
    if note is None:
        return ["a checkpoint was published, and is gone"] if any(k == "checkpoint" for k, _ in crash.said) else []
    now = open_checkpoint(note.encode(), archive.vkey)
    for kind, value in crash.said:
        if kind == "checkpoint":
            then: Checkpoint = open_checkpoint(value.encode(), archive.vkey)
            verify_consistency(then.size, now.size, archive.log.consistency(then.size, now.size), then.root, now.root)
    return []


def _goes_on(archive: Archive) -> list[str]:
    """The archive takes another page, and is whole after it."""
    at = START + timedelta(hours=3)
    (capture,) = archive.deposit([(exchange("/next", page(7), at=at), ARTICLE)])
    _, new = archive.deposit_article(read_article(archive, capture), capture)
    archive.seal()
    if archive.entity(capture)[0] != page(7) or not new:
        return ["a page kept after the restart does not read back"]
    return _faults(archive, "after more work")


# -- the tests -------------------------------------------------------------------------------------------------------


def test_a_story_that_nobody_kills_tells_all(crasher: Crasher, fresh: Callable[[], Path]) -> None:
    """The crawl makes every kind of call and of thing that the other tests rely on."""
    folder = fresh()
    whole = crasher.run("crawl", folder)
    assert not whole.killed
    assert {"write", "pwrite64", "fsync", "fdatasync", "rename", "link", "unlink", "openat"} <= set(whole.calls)
    kinds = [kind for kind, _ in whole.said]
    assert {k: kinds.count(k) for k in kinds} == {
        "outlet": 1, "capture": 5, "article": 3, "checkpoint": 2, "revisit": 1, "sighting": 1, "segment": 2,
    }  # fmt: skip
    assert troubles(folder, whole) == []


def test_what_is_lost_would_be_told(crasher: Crasher, fresh: Callable[[], Path]) -> None:
    """The checks of this file can fail."""
    folder = fresh()
    told = crasher.run("crawl", folder).said
    invented = [["capture", "urn:uuid:00000000-0000-4000-8000-000000000000"], ["outlet", "nobody.example"]]
    found = troubles(folder, Crash(killed=True, calls=[], said=[*told, *invented]))
    assert len(found) == 2
    assert all("is lost" in trouble for trouble in found)


def kill_at(crasher: Crasher, fresh: Callable[[], Path], points: list[int]) -> dict[str, list[str]]:
    """What goes wrong, by point and call."""
    bad = {}
    for point in points:
        folder = fresh()
        crash = crasher.run("crawl", folder, kill_at=point)
        assert crash.killed
        assert len(crash.calls) == point
        if found := troubles(folder, crash):
            bad[f"{point} {crash.calls[-1]}"] = found
    return bad


def kill_twice(
    crasher: Crasher, fresh: Callable[[], Path], place: Path, firsts: list[int], count: int
) -> dict[str, list[str]]:
    """Kill a crawl, then the restart after it; what goes wrong, by both points."""
    bad = {}
    for first in firsts:
        folder, kept = fresh(), place / "killed"
        crash = crasher.run("crawl", folder, kill_at=first)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder, kept)
        total = len(crasher.run("restart", folder).calls)
        for second in spread(count, total):
            shutil.rmtree(folder)
            shutil.copytree(kept, folder)
            again = crasher.run("restart", folder, kill_at=second)
            said = Crash(killed=True, calls=again.calls, said=[*crash.said, *again.said])
            if found := troubles(folder, said):
                bad[f"{first} {crash.calls[-1]}, then {second} of {total} {again.calls[-1]}"] = found
    return bad


@pytest.fixture(scope="module")
def total(crasher: Crasher, born: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many calls the crawl makes."""
    folder = tmp_path_factory.mktemp("whole") / "archive"
    return len(crasher.run("crawl", Path(shutil.copytree(born, folder))).calls)


def test_killed_here_and_there(crasher: Crasher, fresh: Callable[[], Path], total: int) -> None:
    assert kill_at(crasher, fresh, spread(QUICK, total)) == {}


def test_killed_again_while_it_mends(crasher: Crasher, fresh: Callable[[], Path], place: Path, total: int) -> None:
    firsts = spread(QUICK_RESTARTS + 2, total)[1:-1]
    assert kill_twice(crasher, fresh, place, firsts, QUICK_RESTART_POINTS) == {}


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_every_call(crasher: Crasher, fresh: Callable[[], Path], total: int, share: int) -> None:
    assert kill_at(crasher, fresh, list(range(1 + share, total + 1, SHARES))) == {}


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_killed_again_at_every_call_while_it_mends(
    crasher: Crasher, fresh: Callable[[], Path], place: Path, total: int, share: int
) -> None:
    """Restarts after sixteen kills; of each restart's calls, all up to a hundred are killed at."""
    assert kill_twice(crasher, fresh, place, spread(2 * SHARES, total)[share::SHARES], 100) == {}

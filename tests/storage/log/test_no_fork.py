"""Never a fork, a gap or a repeat: kill -9 at every durable step, processes at once, clocks set back, old catalogs.

Each run is one of real processes on real files, and ends with all that `tests.support.logs.faults` asks. `make test`
takes a few of them, `make test-long` every one: some 300 kills at calls that change a disk, and 160 runs of the others.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.checkpoints import Checkpoint, Note, open_checkpoint
from schemas.errors import LogForkRisk
from schemas.merkle import verify_consistency
from storage.archive import Archive, StorageSettings
from storage.fixity import audit
from storage.mirror import catch_up
from storage.rebuild import rebuild
from storage.recovery import recover
from tests.support import logs
from tests.support.archives import ARTICLE, START, exchange, page, settings, ticking
from tests.support.crash import Crasher
from tests.support.logs import Work, Workers

SLOW = pytest.mark.slow
#: Kills that `make test` makes of each workload, spread evenly.
QUICK = 4

#: Entries that are there, those that each round adds, and how far apart `make test-long` kills. The first passes the
#: end of a tile, the second makes two commits of the tree in one go, the third begins a log.
WORKLOADS = {"end of a tile": (254, (3, 2), 1), "two commits": (250, (300,), 3), "first": (0, (1, 1), 3)}


@pytest.fixture
def fresh(place: Path) -> Callable[[int], Path]:
    """Gives a log of so many published entries in the place of the one before."""

    def make(first: int) -> Path:
        base, folder = place / f"base-{first}", place / "log"
        if not base.exists():
            logs.new_log(base, first=first)
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(base, folder))

    return make


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers() as running:
        yield running


# -- kill -9 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", ["few", pytest.param("all", marks=SLOW)])
@pytest.mark.parametrize("workload", WORKLOADS)
def test_killed_at_every_call_that_changes_a_disk(
    crasher: Crasher, fresh: Callable[[int], Path], workload: str, every: str
) -> None:
    first, adds, stride = WORKLOADS[workload]

    def tell(kill_at: int | None) -> tuple[Path, bool, int]:
        folder = fresh(first)
        (folder / "work.json").write_text(json.dumps({"seed": "killed", "adds": adds}))
        crash = crasher.run("sequence", folder, kill_at=kill_at)
        return folder, crash.killed, len(crash.calls)

    folder, _, total = tell(None)
    assert logs.faults(folder) == []
    points = range(1, total + 1, stride if every == "all" else total // QUICK)
    wrong = {}
    for point in points:
        folder, killed, _ = tell(point)
        assert killed
        if found := logs.faults(folder):
            wrong[point] = found
    assert wrong == {}
    assert len(points) >= (total // stride if every == "all" else QUICK)


# -- several at once, stopped and killed, by clocks that disagree ------------------------------------------------------


@pytest.mark.parametrize("runs", [5, pytest.param(80, marks=SLOW)])
def test_processes_at_once_with_clocks_that_disagree(
    workers: Workers, fresh: Callable[[int], Path], runs: int
) -> None:
    """One of two to four is killed, or stopped for longer than its lease and woken, at any step, or none is.

    Clocks lie an hour apart, or are set back by one between two rounds.
    """
    chance, ends, lost = random.Random(20261101), [], 0
    for number in range(runs):
        folder = fresh(chance.choice([0, 250, 254]))
        works = [
            Work(
                folder=str(folder),
                seed=f"{number}.{n}",
                adds=tuple(chance.choice([1, 2, 5]) for _ in range(3)),
                clock=tuple(chance.choice([0, 0, 3600, -3600]) for _ in range(3)),
                lease=0.1,
            )
            for n in range(chance.choice([2, 2, 3, 4]))
        ]
        step = chance.randrange(1, 60)
        fault = [{}, {"kill_at": step}, {"stop_at": step}][number % 3]
        works[0] = replace(works[0], **fault)
        ends += workers.run(works)
        assert logs.faults(folder, clock=chance.choice([0, 3600, -3600])) == [], number
        lost += sum(kind == "lost" for kind, _ in logs.told(folder))
    assert {"done", "killed", "woken"} <= set(ends)
    assert runs < 50 or lost  # some lost their lease while they wrote


@pytest.mark.parametrize("runs", [3, pytest.param(40, marks=SLOW)])
def test_a_lease_of_a_dead_process_whose_clock_ran_ahead_is_waited_out(
    workers: Workers, fresh: Callable[[int], Path], runs: int
) -> None:
    """Killed while it held the lease until an hour from now: the next one does not wait an hour, and forks nothing."""
    for step in range(4, 4 + runs):
        folder = fresh(254)
        dead = Work(folder=str(folder), seed="ahead", adds=(1, 1, 1), clock=(3600,), kill_at=step)
        (end,) = workers.run([dead])
        assert end == "killed"
        before = len(logs.signed(folder))
        assert logs.faults(folder, clock=0) == [], step
        assert len(logs.signed(folder)) > before


# -- a catalog of before -----------------------------------------------------------------------------------------------

CATALOG = ("catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm")


def put_catalog(source: Path, target: Path) -> None:
    """Copy a catalog with what its write-ahead log holds, in the place of the one that is there."""
    target.mkdir(exist_ok=True)
    for name in CATALOG:
        (target / name).unlink(missing_ok=True)
        if (source / name).exists():
            shutil.copy(source / name, target / name)


@pytest.mark.parametrize("runs", [3, pytest.param(30, marks=SLOW)])
def test_a_catalog_of_any_moment_before_signs_nothing(
    workers: Workers, fresh: Callable[[int], Path], place: Path, runs: int
) -> None:
    """Copied as a kill left it, put back when the log has grown: refused, whatever was sequenced meanwhile."""
    for step in range(1, 1 + runs):
        folder = fresh(254)
        workers.run([Work(folder=str(folder), seed="before", adds=(2, 2, 2), kill_at=step)])
        put_catalog(folder, place / "backup")
        assert logs.faults(folder) == []
        put_catalog(folder, place / "newest")
        put_catalog(place / "backup", folder)
        signed = logs.signed(folder)
        for adds in ((1,), (9,)):  # fewer than were lost, and more
            with pytest.raises(LogForkRisk) as caught:
                logs.write(Work(folder=str(folder), seed="restored", adds=adds))
            assert caught.value.exit_code == 3
        assert logs.signed(folder) == signed, step
        put_catalog(place / "newest", folder)
        assert logs.faults(folder) == []


def later(folder: Path, hours: int) -> StorageSettings:
    return replace(settings(folder), clock=ticking(START + timedelta(hours=hours)))


def work_on(archive: Archive, number: int) -> str:
    """A capture more, published; the note."""
    archive.deposit([(exchange(f"/{number}", page(number), at=archive.clock()), ARTICLE)])
    archive.integrate()
    note = archive.log.checkpoint()
    assert note is not None
    return note


@pytest.mark.parametrize("runs", [2, pytest.param(12, marks=SLOW)])
def test_an_archive_with_the_catalog_of_a_backup_refuses_and_a_rebuild_goes_on(
    tmp_path: Path, runs: int
) -> None:
    for number in range(runs):
        folder = tmp_path / f"archive-{number}"
        folder.mkdir()
        Archive.create(settings(folder)).close()
        notes = []
        with Archive.open(later(folder, 1)) as archive:
            for n in range(number % 4):
                notes.append(work_on(archive, n))
            if number % 3 == 1:
                archive.deposit([(exchange("/unpublished", page(50)), ARTICLE)])
            if number % 3 == 2:
                archive.seal()
        put_catalog(folder, tmp_path / "backup")
        with Archive.open(later(folder, 2)) as archive:
            notes += [work_on(archive, 10 + n) for n in range(1 + number % 3)]
            if number % 2:
                archive.seal()
            notes.append(archive.log.checkpoint() or "")
        put_catalog(tmp_path / "backup", folder)
        assert_refuses(later(folder, 3), notes)
        rebuild(later(folder, 4))
        with Archive.open(later(folder, 5)) as archive:
            recover(archive)
            notes.append(work_on(archive, 40))
            assert_continues(archive, notes)
            report = audit(archive)
            assert (report.damaged, report.missing) == ((), ())


def assert_refuses(wanted: StorageSettings, notes: list[str]) -> None:
    with Archive.open(wanted) as archive:
        with pytest.raises(LogForkRisk, match="pressmark rebuild") as caught:
            recover(archive)
        assert caught.value.exit_code == 3
        with pytest.raises(LogForkRisk):
            archive.integrate()
        assert archive.log.checkpoint() == notes[-1]


def assert_continues(archive: Archive, notes: list[str]) -> None:
    """Each of the notes is the beginning of the tree of now, by a proof."""
    head = open_checkpoint(notes[-1].encode(), archive.vkey)
    for note in notes:
        old = Checkpoint.parse(Note.parse(note.encode()).text)
        verify_consistency(old.size, head.size, archive.log.consistency(old.size, head.size), old.root, head.root)


@pytest.mark.parametrize("grown", [1, pytest.param(5, marks=SLOW)])
def test_of_an_archive_and_its_copy_that_share_a_mirror_the_second_signs_nothing(tmp_path: Path, grown: int) -> None:
    """The copy has catalog, objects and key of its own: all that can tell it of the other is what both look at."""
    folder, twin = tmp_path / "archive", tmp_path / "twin"
    folder.mkdir()
    wanted = replace(settings(folder), mirror_url=str(tmp_path / "mirror"))
    with Archive.create(wanted) as archive:
        work_on(archive, 1)
        archive.seal()
        archive.integrate()
    shutil.copytree(folder, twin)
    with Archive.open(replace(wanted, clock=later(folder, 1).clock)) as archive:
        for n in range(grown):
            note = work_on(archive, 10 + n)
        mirror = archive.mirror()
        assert mirror is not None
        catch_up(archive, mirror)
    copied = replace(settings(twin), mirror_url=wanted.mirror_url, clock=later(twin, 2).clock)
    with Archive.open(copied) as archive:
        before = archive.log.checkpoint()
        assert before != note
        with pytest.raises(LogForkRisk, match="mirror"):
            recover(archive)
        assert archive.log.checkpoint() == before

"""Kill -9 at every write, sync, rename, link and unlink of a redaction, and of the start that completes it.

After each: the next start completes what was logged; then nothing of the text is found in any file, an audit finds
nothing and the log has not forked; or nothing was logged yet, and the article stands there whole. `make test` takes an
even selection of the points, `make test-long` all of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.captures import Capture
from schemas.errors import PressmarkError
from storage.archive import Archive
from storage.datasets import Selection, build, verify
from storage.fixity import audit
from storage.recovery import recover
from tests.support.archives import ARTICLE, START, exchange, fill, page, read_article, settings
from tests.support.crash import Crasher, later
from tests.support.needles import Needles

QUICK = 16
#: Parts into which all points are dealt, so that several processes can share them.
SHARES = 8
#: The one sentence of each page that no other page shares.
TEXT = "The ferry number 1, which islanders call"


@pytest.fixture(scope="module")
def born(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of three articles, one seen again, and a dataset of them."""
    folder = tmp_path_factory.mktemp("born")
    Archive.create(settings(folder)).close()
    with Archive.open(settings(folder)) as archive:
        fill(archive, 3)
        at = START + timedelta(minutes=1)
        (again,) = archive.deposit([(exchange("/1", page(1), at=at), ARTICLE)])
        archive.deposit_article(read_article(archive, again), again)
        archive.seal()
        build(archive, "news", Selection())
        archive.seal()
    return folder


@pytest.fixture
def fresh(born: Path, place: Path) -> Callable[[], Path]:
    """Gives a new copy of the archive in the place of the one before."""

    def copy() -> Path:
        folder = place / "archive"
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(born, folder))

    return copy


def needles(folder: Path) -> Needles:
    with Archive.open(later(folder, 0)) as archive, archive.catalog.read() as tx:
        row = tx.articles.by_url("https://lantern.example/1")
        assert row is not None
        capture = tx.captures.get(row.capture_id)
    assert capture is not None
    return Needles.of(texts=[TEXT], digests=[row.text_sha256, capture.payload_digest or "", row.content_key])


def troubles(folder: Path, gone: Needles) -> list[str]:
    """What does not hold after a kill and a start."""
    try:
        with Archive.open(later(folder, 2)) as archive:
            recover(archive)
            archive.seal()
            report = audit(archive)
            found = [f"{f.kind} {f.where}: {f.message}" for f in (*report.damaged, *report.missing, *report.orphans)]
            found += [f"snapshot: {problem}" for problem in verify(archive, "news")]
            with archive.catalog.read() as tx:
                logged = tx.redactions.all()
                found += [f"redaction {row.log_index} is {row.state}" for row in logged if row.state != "done"]
                row = tx.articles.by_url("https://lantern.example/1")
            if not logged and (row is None or archive.entity(_capture(archive, row.capture_id))[0] != page(1)):
                found.append("nothing was logged, and the article is not there")
        hits = gone.in_folder(folder)
        return found + ([f"found: {hit}" for hit in hits] if logged else [] if hits else ["the needles are blunt"])
    except PressmarkError as error:
        return [f"{type(error).__name__}: {error}"]


def _capture(archive: Archive, capture_id: str) -> Capture:
    with archive.catalog.read() as tx:
        capture = tx.captures.get(capture_id)
    assert capture is not None
    return capture


def kill_at(crasher: Crasher, fresh: Callable[[], Path], gone: Needles, points: list[int]) -> dict[str, list[str]]:
    """What goes wrong, by point and call."""
    bad = {}
    for point in points:
        folder = fresh()
        crash = crasher.run("take_down", folder, kill_at=point)
        assert crash.killed
        if found := troubles(folder, gone):
            bad[f"{point} {crash.calls[-1]}"] = found
    return bad


@pytest.fixture(scope="module")
def gone(born: Path, tmp_path_factory: pytest.TempPathFactory) -> Needles:
    return needles(Path(shutil.copytree(born, tmp_path_factory.mktemp("needles") / "archive")))


@pytest.fixture(scope="module")
def total(crasher: Crasher, born: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many calls the redaction makes."""
    folder = Path(shutil.copytree(born, tmp_path_factory.mktemp("whole") / "archive"))
    whole = crasher.run("take_down", folder)
    assert [kind for kind, _ in whole.said] == ["redacted"]
    return len(whole.calls)


def test_killed_here_and_there(crasher: Crasher, fresh: Callable[[], Path], gone: Needles, total: int) -> None:
    points = sorted({1 + (total - 1) * i // (QUICK - 1) for i in range(QUICK)})
    assert kill_at(crasher, fresh, gone, points) == {}


def test_killed_again_while_it_completes(
    crasher: Crasher, fresh: Callable[[], Path], gone: Needles, total: int
) -> None:
    folder = fresh()
    crasher.run("take_down", folder, kill_at=total // 3)
    kept = folder.with_name("killed")
    shutil.copytree(folder, kept)
    again = len(crasher.run("restart", folder).calls)
    bad = {}
    for point in sorted({1 + (again - 1) * i // 4 for i in range(5)}):
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        crasher.run("restart", folder, kill_at=point)
        if found := troubles(folder, gone):
            bad[point] = found
    assert bad == {}


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_every_call(
    crasher: Crasher, fresh: Callable[[], Path], gone: Needles, total: int, share: int
) -> None:
    assert kill_at(crasher, fresh, gone, list(range(1 + share, total + 1, SHARES))) == {}

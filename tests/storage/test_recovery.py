"""What a start mends after a stop at any moment, a kill -9 among them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.entries import Entry
from storage.archive import Archive
from storage.recovery import recover
from storage.warc import cut_tail, is_abandoned, read_segment
from tests.support.archives import ARTICLE, add_outlet, exchange, fill, page, settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Archive.create(settings(tmp_path)).close()
    return tmp_path


def reopened(folder: Path) -> Archive:
    return Archive.open(settings(folder))


def run_and_kill(folder: Path, program: str) -> None:
    """Run a program on the archive in a process of its own until it says it is there; then kill -9."""
    head = (
        "from tests.support.archives import *\nfrom pathlib import Path\nimport sys, time\n"
        f"archive = Archive.open(settings(Path({str(folder)!r})))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", head + program + "\nprint('there', flush=True)\ntime.sleep(600)"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == b"there\n"
        child.send_signal(signal.SIGKILL)


def open_files(folder: Path) -> list[Path]:
    return sorted((folder / "open").iterdir()) if (folder / "open").exists() else []


def test_what_was_acknowledged_survives_kill_9(folder: Path) -> None:
    run_and_kill(folder, "fill(archive)")
    assert len(open_files(folder)) == 2
    assert all(is_abandoned(path) for path in open_files(folder))
    with reopened(folder) as archive:
        said = recover(archive)
        assert [s.split()[0] for s in said] == ["stored", "stored"]
        assert open_files(folder) == []
        with archive.catalog.read() as tx:
            captures = tx.captures.after(0, 100)
            assert tx.articles.count() == 3
        assert [archive.entity(c)[0] for c in captures] == [page(0), page(1), page(2)]
        assert recover(archive) == []


def test_records_without_rows_get_them(folder: Path) -> None:
    run_and_kill(
        folder,
        "fill(archive, 1)\n"
        "from storage import events\n"
        "for kind, drafts in (('warc', events.drafts_for(e := exchange('/x', page(9)), ARTICLE, "
        "events.payload_of(e), None)),):\n"
        "    archive.segments.append(kind, drafts); archive.segments.sync(kind)\n",
    )
    with reopened(folder) as archive:
        said = recover(archive)
        assert any(s.startswith("acknowledged capture") for s in said)
        with archive.catalog.read() as tx:
            captures = tx.captures.after(0, 100)
            assert [c.url for c in tx.captures.pending(10)] == ["https://lantern.example/x"]
            entries = [tx.log.find(c.id) for c in captures]
        assert archive.entity(captures[-1])[0] == page(9)
        assert all(entry is not None for entry in entries)


@pytest.mark.parametrize("keep", [0.01, 0.5, 0.99])
def test_a_torn_tail_is_cut_and_the_cut_is_logged(folder: Path, keep: float) -> None:
    run_and_kill(folder, "fill(archive, 1)")
    (path,) = [p for p in open_files(folder) if p.name.startswith("warc-")]
    whole = path.stat().st_size
    run = reopened(folder)  # a second writer's records, torn in the middle
    with run:
        run.deposit([(exchange("/y", page(5)), ARTICLE)])
        (other,) = [p for p in open_files(folder) if p.name.startswith("warc-") and p != path]
        tail = other.read_bytes()[-2000:]
    with path.open("ab") as stream:
        stream.write(tail[: int(len(tail) * keep)])
    assert path.stat().st_size > whole
    with reopened(folder) as archive:
        said = recover(archive)
        assert any("cut" in s and path.name.split(".")[0] in s for s in said)
        with archive.catalog.read() as tx:
            repairs = [Entry.decode(e.body).fields for e in tx.log.entries() if e.type == "repair"]
            row = tx.segments.get(path.name.split(".")[0])
        assert [r["code"] for r in repairs] == ["torn-tail"]
        assert row is not None
        assert row.length == whole
        assert row.sha256 == repairs[0]["now"]


def test_a_segment_in_which_nothing_was_kept_goes(folder: Path) -> None:
    run_and_kill(folder, "archive.segments._writer('warc')")
    with reopened(folder) as archive:
        assert len(recover(archive)) == 1
        assert open_files(folder) == []
        with archive.catalog.read() as tx:
            assert tx.segments.all() == []
            assert tx.records.count() == 0


def test_a_lost_disk_is_an_entry(folder: Path) -> None:
    run_and_kill(folder, "fill(archive, 1)")
    for path in open_files(folder):
        path.unlink()
    with reopened(folder) as archive:
        said = recover(archive)
        assert len(said) == 2
        assert all("lost" in s for s in said)
        with archive.catalog.read() as tx:
            assert sum(e.type == "loss" for e in tx.log.entries()) == 2
        assert recover(archive) == []


def test_an_upload_that_stopped_goes_on(folder: Path) -> None:
    run_and_kill(folder, "fill(archive, 1)\nfor w in archive.segments._writers.values(): w.seal()")
    assert all(path.name.endswith(".warc.gz") for path in open_files(folder))
    with reopened(folder) as archive:
        assert len(recover(archive)) == 2
        assert open_files(folder) == []
        keys = list(archive.store.list("warc/"))
        with archive.store.open(keys[0]) as stream:
            assert sum(r.type == "response" for r in read_segment(stream, name=keys[0])) == 1


def test_the_segment_of_a_living_process_is_left_alone(folder: Path) -> None:
    with reopened(folder) as living:
        add_outlet(living)
        with reopened(folder) as other:
            assert recover(other) == []
        assert len(open_files(folder)) == 1
        fill_more = living.deposit([(exchange("/z", page(3)), ARTICLE)])
        assert living.entity(fill_more[0])[0] == page(3)


def test_cutting_changes_nothing_that_is_whole(folder: Path) -> None:
    with reopened(folder) as archive:
        fill(archive, 1)
    (path,) = [p for p in open_files(folder) if p.name.startswith("warc-")]
    size = path.stat().st_size
    assert cut_tail(path, size) == 0
    assert path.stat().st_size == size


def test_two_that_start_at_once_mend_a_segment_once(folder: Path) -> None:
    run_and_kill(folder, "fill(archive, 2)")
    program = (
        "import sys\nfrom pathlib import Path\nfrom storage.archive import Archive\n"
        "from storage.recovery import recover\nfrom tests.support.archives import settings\n"
        f"with Archive.open(settings(Path({str(folder)!r}))) as archive:\n"
        "    print('ready', flush=True); sys.stdin.readline(); recover(archive)\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [child.communicate() and child.returncode for child in children] == [0, 0, 0]
    with reopened(folder) as archive, archive.catalog.read() as tx:
        assert recover(archive) == []
        assert [s.state for s in tx.segments.all()] == ["sealed", "sealed"]
        assert sum(e.type == "segment" for e in tx.log.entries()) == 2


def test_a_segment_that_its_own_process_stores_meanwhile_is_no_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`prove` starts while a service rotates: both see the sealed segment, the service is quicker."""
    with reopened(folder) as service, reopened(folder) as other:
        add_outlet(service)
        (writer,) = service.segments._writers.values()
        path = writer.seal()
        service.segments._writers.clear()
        late = other.store.put_file

        def put_file(key: str, there: Path, *, final: bool = False) -> None:
            service.segments.put(path)
            late(key, there)

        monkeypatch.setattr(other.store, "put_file", put_file)
        assert recover(other) == []
        with service.catalog.read() as tx:
            assert sum(e.type == "segment" for e in tx.log.entries()) == 1

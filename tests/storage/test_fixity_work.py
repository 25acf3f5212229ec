"""The audit's readers: several at once find what one finds, in order; what was read is kept, read again, or stopped."""

from __future__ import annotations

import io
import threading
from typing import BinaryIO

import pytest

from schemas.errors import DiskError
from storage.archive import Archive
from storage.fixity import AuditOptions, audit
from storage.fixity.work import check_segment, check_segments
from storage.segments import Segments
from tests.storage.test_fixity import archive, file_of, flip, rows, template
from tests.support.archives import ARTICLE, exchange, page

__all__ = ["archive", "template"]  # fixtures


def test_an_interrupted_audit_goes_on_where_it_stopped(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    with archive.catalog.read() as tx:
        sealed = {segment.name for segment in tx.segments.all("sealed")}
    whole = audit(archive)
    row = next(r for r in rows(archive) if r.type == "conversion")  # of a segment that is read last
    opened: list[str] = []
    real = Segments.open

    def failing(self: Segments, name: str) -> BinaryIO:
        if name == row.segment:
            raise DiskError("pulled the plug")
        opened.append(name)
        return real(self, name)

    monkeypatch.setattr(Segments, "open", failing)
    with pytest.raises(DiskError):
        audit(archive)
    done = set(opened) & sealed  # to an open one more may have been written since
    assert done
    journal = archive.directory / "audit.progress"
    journal.write_text(journal.read_text() + '{"format": "press')  # torn by the stop
    opened.clear()
    monkeypatch.setattr(Segments, "open", lambda self, name: (opened.append(name), real(self, name))[1])
    assert audit(archive, AuditOptions(resume=True)) == whole
    assert not done & set(opened)
    assert not journal.exists()


def test_what_is_read_wrongly_once_is_read_again_before_it_is_believed(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.seal()
    name = rows(archive)[0].segment
    real, left = Segments.open, [1]  # how often it goes wrong

    def once(self: Segments, wanted: str) -> BinaryIO:
        stream = real(self, wanted)
        if wanted != name or not left:
            return stream
        left.pop()
        with stream:
            data = bytearray(stream.read())
        data[len(data) // 2] ^= 1
        return io.BytesIO(bytes(data))

    monkeypatch.setattr(Segments, "open", once)
    report = audit(archive)
    assert report.ok
    assert any(f"segment {name} was read wrongly once" in note for note in report.notes)


@pytest.mark.parametrize("workers", [2, 3], ids=["two threads", "and a process"])
def test_several_readers_find_what_one_finds(archive: Archive, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    for number in (300, 301):
        archive.deposit([(exchange(f"/{number}", page(number)), ARTICLE)])
        archive.seal()
    row = next(r for r in rows(archive) if r.type == "response")
    flip(file_of(archive, row.segment), row.offset + row.length // 2)
    alone = audit(archive)
    monkeypatch.setattr("storage.fixity.work.SHARE_FROM", 0)
    assert audit(archive, AuditOptions(workers=workers)) == alone
    assert not alone.ok


def test_an_audit_that_fails_stops_what_its_other_threads_read(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.seal()
    with archive.catalog.read() as tx:
        first, second = tx.segments.all()[:2]
    real, waits = Segments.open, threading.Event()

    def opened(self: Segments, name: str) -> BinaryIO:
        if name == first.name:
            waits.wait()
            raise DiskError("unplugged")
        waits.set()
        return real(self, name)

    monkeypatch.setattr(Segments, "open", opened)
    # A byte in two seconds: whoever is not stopped reads for hours.
    results = check_segments(archive, [first, second], frozenset(), workers=2, rate=1)
    with pytest.raises(DiskError, match="unplugged"):
        next(results)
    assert not [t for t in threading.enumerate() if t.name.startswith("audit")]


@pytest.mark.parametrize(("workers", "ahead"), [(2, 1), (2, 4), (4, 1)])
def test_what_several_readers_read_comes_in_the_order_of_the_segments(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, workers: int, ahead: int
) -> None:
    for number in range(200, 209):
        archive.deposit([(exchange(f"/{number}", page(number)), ARTICLE)])
        archive.seal()
    with archive.catalog.read() as tx:
        segments = tx.segments.all()
    monkeypatch.setattr("storage.fixity.work.SHARE_FROM", 0)
    monkeypatch.setattr("storage.fixity.work.AHEAD", ahead)
    wanted = [check_segment(archive, row, frozenset()) for row in segments]
    assert len(wanted) > 9
    assert list(check_segments(archive, segments, frozenset(), workers=workers)) == wanted

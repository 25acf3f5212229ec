"""Segment files: written, synced, sealed, torn, taken over; and read by tools that are not ours."""

from __future__ import annotations

import dataclasses
import io
import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from fastwarc.warc import response
from warcio.archiveiterator import ArchiveIterator

from schemas.digests import Digest
from schemas.errors import ArchiveLocked, DamageError, DiskError, InvalidValue, NotFound
from schemas.records import parse_record, record_findings
from storage.warc import (
    OPEN_SUFFIX,
    SegmentWriter,
    cut_tail,
    is_abandoned,
    read_member,
    read_segment,
    scan_segment,
)
from storage.warc.members import decompress_member
from tests.storage.warc.samples import (
    DATE,
    HEAD,
    INFO,
    NOT_MODIFIED,
    PAYLOAD,
    RESPONSE,
    capture,
    events,
    resource,
    revisit,
    uuid,
    write_segment,
)

ROOT = Path(__file__).resolve().parents[3]
NAME = "warc-20261123140000-w1-"


def create(folder: Path) -> SegmentWriter:
    return SegmentWriter.create(folder, kind="warc", worker="w1", now=DATE, info=INFO)


def test_a_segment_from_birth_to_seal(tmp_path: Path) -> None:
    writer = create(tmp_path)
    assert writer.name.startswith(NAME)
    assert writer.path == tmp_path / (writer.name + OPEN_SUFFIX)
    assert writer.opened == DATE
    assert writer.size == writer.path.stat().st_size == writer.info_ref.length
    refs = [ref for event in events() for ref in writer.append(event)]
    assert writer.size == writer.path.stat().st_size
    sealed = writer.seal()
    assert [path.name for path in tmp_path.iterdir()] == [sealed.name] == [f"{writer.name}.warc.gz"]
    with sealed.open("rb") as stream:
        stored = list(read_segment(stream, name=writer.name))
    assert [record.ref for record in stored] == [writer.info_ref, *refs]
    assert [record.block for record in stored[1:]] == [draft.block for event in events() for draft in event]


def test_the_warcinfo_comes_first_and_every_record_names_it(tmp_path: Path) -> None:
    writer, path = write_segment(tmp_path)
    with path.open("rb") as stream:
        first, *rest = read_segment(stream, name=writer.name)
    assert first.type == "warcinfo"
    assert first.header("WARC-Filename") == path.name
    assert first.block.decode().splitlines() == [f"{name}: {value}" for name, value in INFO.items()]
    assert {record.header("warc-warcinfo-id") for record in rest} == {writer.warcinfo_id} == {first.record_id}


def test_pinned_entropy_gives_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _, one = write_segment(tmp_path / "a")
    _, two = write_segment(tmp_path / "b")
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()


def test_nonces_differ(tmp_path: Path) -> None:
    _, path = write_segment(tmp_path)
    with path.open("rb") as stream:
        nonces = [record.header("Pressmark-Nonce") for record in read_segment(stream, name="s")]
    assert len(set(nonces)) == len(nonces)
    assert all(nonce is not None and len(nonce) == 64 for nonce in nonces)


def test_warcio_reads_it(tmp_path: Path) -> None:
    _, path = write_segment(tmp_path)
    found = []
    with path.open("rb") as stream:
        for record in ArchiveIterator(stream):
            body = record.content_stream().read()
            found.append((record.rec_type, record.rec_headers.get_header("WARC-Record-ID"), body))
    assert [kind for kind, _, _ in found[1:]] == [draft.type for event in events() for draft in event]
    assert [name for _, name, _ in found[1:4]] == [f"<{uuid(n)}>" for n in (1, 2, 3)]
    assert found[2][2] == PAYLOAD  # warcio takes the chunk framing off
    assert found[4][2] == b""


def test_warcio_checks_the_block_digests(tmp_path: Path) -> None:
    """Its payload digest of a chunked body is over the framing, which is no part of the payload: not asked
    here.
    """
    _, path = write_segment(tmp_path)
    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, check_digests=True, no_record_parse=True):
            while record.raw_stream.read(65536):
                pass
            assert not [problem for problem in record.digest_checker.problems if "block" in problem]


def test_fastwarc_reads_it_and_verifies_every_block_digest(tmp_path: Path) -> None:
    _, path = write_segment(tmp_path)
    with path.open("rb") as stream:
        kinds = []
        for record in FastIterator(stream, parse_http=False):
            assert record.verify_block_digest()
            kinds.append(record.headers["WARC-Type"])
    assert kinds == ["warcinfo", *(draft.type for event in events() for draft in event)]


def test_the_payload_that_fastwarc_decodes_has_the_declared_digest(tmp_path: Path) -> None:
    """Its own check of a payload digest hashes the chunk framing; what it decodes is hashed here instead."""
    _, path = write_segment(tmp_path)
    with path.open("rb") as stream:
        responses = [
            (Digest.sha256(record.reader.read()), Digest.parse(record.headers["WARC-Payload-Digest"]))
            for record in FastIterator(stream, auto_decode="transfer")
            if record.record_type == response
        ]
    assert responses == [(Digest.sha256(PAYLOAD), Digest.sha256(PAYLOAD))]


def test_revisits_keep_the_head_that_came(tmp_path: Path) -> None:
    _, path = write_segment(tmp_path)
    with path.open("rb") as stream:
        records = {record.record_id: record for record in read_segment(stream, name="s")}
    same, unmodified = records[uuid(10)], records[uuid(11)]
    assert (same.block, unmodified.block) == (HEAD, NOT_MODIFIED)
    assert same.header("WARC-Refers-To") == unmodified.header("WARC-Refers-To") == uuid(2)
    with path.open("rb") as stream:
        kept = [record for record in ArchiveIterator(stream) if record.rec_type == "revisit"]
        assert [record.http_headers.get_statuscode() for record in kept] == ["200", "304"]


def test_every_member_stands_alone(tmp_path: Path) -> None:
    writer, path = write_segment(tmp_path)
    data = path.read_bytes()
    with path.open("rb") as stream:
        for record in read_segment(stream, name=writer.name):
            member = data[record.ref.offset : record.ref.offset + record.ref.length]
            assert read_member(member, name=writer.name, offset=record.ref.offset) == record
            assert parse_record(record.raw).block == record.block
            assert record_findings(parse_record(record.raw)) == []


@pytest.mark.parametrize("told", ["right", "short", "long", "huge", "none of it", "of the next", "by chance"])
def test_lengths_that_are_told_change_nothing_but_the_speed(tmp_path: Path, told: str) -> None:
    """They come from a catalog, which may be damaged."""
    writer, path = write_segment(tmp_path)
    with path.open("rb") as stream:
        records = list(read_segment(stream, name=writer.name))
    lengths = {record.ref.offset: record.ref.length for record in records}
    chance = random.Random(7)
    wrong = {
        "right": lambda length: length,
        "short": lambda length: length - 1,
        "long": lambda length: length + 1,
        "huge": lambda length: 1 << 62,
        "none of it": lambda length: -length,
        "of the next": lambda length: length + 400,
        "by chance": lambda length: chance.choice([length, length, chance.randrange(1 << 17), 0]),
    }[told]
    with path.open("rb") as stream:
        told_of = {offset: wrong(length) for offset, length in lengths.items()}
        found = list(read_segment(stream, name=writer.name, length_of=told_of.get))
    assert found == records


def test_a_thousand_lengths_that_are_wrong_are_read_past(tmp_path: Path) -> None:
    writer = create(tmp_path)
    for number in range(1100):
        writer.append([resource(number + 100)])
    writer.sync()
    with writer.path.open("rb") as stream:
        assert len(list(read_segment(stream, name=writer.name, length_of=lambda at: 400))) == 1101


# -- what is refused, and leaves the file as it was


def test_an_event_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    writer = create(tmp_path)
    before = writer.path.read_bytes()
    bad = dataclasses.replace(capture()[2], target_uri="https://a.example/\r\n")
    with pytest.raises(InvalidValue):
        writer.append([*capture()[:2], bad])
    assert writer.path.read_bytes() == before
    assert len(writer.append(capture())) == 3


@pytest.mark.parametrize("case", ["other date", "not in the event", "same id"])
def test_records_of_one_event_belong_together(tmp_path: Path, case: str) -> None:
    request, response, metadata = capture()
    event = {
        "other date": [request, dataclasses.replace(response, date=DATE + timedelta(microseconds=1)), metadata],
        "not in the event": [request, metadata],
        "same id": [request, response, dataclasses.replace(revisit(), record_id=uuid(1))],
    }[case]
    writer = create(tmp_path)
    with pytest.raises(InvalidValue):
        writer.append(event)


@pytest.mark.parametrize(("kind", "worker"), [("warc", "w-1"), ("warc", ""), ("warc", "../x"), ("cdx", "w1")])
def test_names_that_would_lead_elsewhere(tmp_path: Path, kind: str, worker: str) -> None:
    with pytest.raises(InvalidValue):
        SegmentWriter.create(tmp_path, kind=kind, worker=worker, now=DATE, info=INFO)
    assert list(tmp_path.iterdir()) == []


def test_info_that_leaves_its_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue):
        SegmentWriter.create(tmp_path, kind="warc", worker="w1", now=DATE, info={"operator": "x\r\nsoftware: y"})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DiskError):
        create(tmp_path / "absent")


def test_a_closed_writer_takes_nothing(tmp_path: Path) -> None:
    writer, _ = write_segment(tmp_path)
    for act in (lambda: writer.append(capture(20)), writer.sync, writer.seal):
        with pytest.raises(DiskError, match="is closed"):
            act()


FULL_DISK = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from schemas.errors import DiskError
from storage.warc import SegmentWriter, read_segment
from tests.storage.warc.samples import capture
writer = SegmentWriter.create(Path(sys.argv[1]), kind="warc", worker="w1", now=datetime.now(UTC), info={})
writer.append(capture())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (writer.size + 700, resource.RLIM_INFINITY))
try:
    writer.append(capture(20))
except DiskError as error:
    print(error.exit_code)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert writer.path.stat().st_size == writer.size
writer.append(capture(30))
with writer.seal().open("rb") as stream:
    print([record.record_id[-2:] for record in read_segment(stream, name=writer.name)][1:])
"""


def test_a_full_disk_takes_back_what_was_half_written(tmp_path: Path) -> None:
    """A real limit on the size of files, so that a write of 1,600 bytes really stops after 700."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "5\n['01', '02', '03', '1e', '1f', '20']\n"


# -- torn tails


def test_a_tail_torn_at_any_byte(tmp_path: Path) -> None:
    """For each length of the file: exactly the whole records are found, and cutting leaves a whole segment."""
    writer, path = write_segment(tmp_path, seal=False)
    data = path.read_bytes()
    with path.open("rb") as stream:
        ends = [record.ref.offset + record.ref.length for record in read_segment(stream, name=writer.name)]
    for length in range(len(data) + 1):
        good = max((end for end in ends if end <= length), default=0)
        records, end = scan_segment(io.BytesIO(data[:length]), name=writer.name)
        assert (end.good, end.total) == (good, length)
        assert (end.problem is None) == (good == length)
        assert [record.ref.offset + record.ref.length for record in records] == [e for e in ends if e <= length]


def test_cutting_the_tail(tmp_path: Path) -> None:
    writer, path = write_segment(tmp_path, seal=False)
    whole = path.read_bytes()
    with path.open("ab") as stream:
        stream.write(whole[:100])
    with path.open("rb") as stream:
        _, end = scan_segment(stream, name=writer.name)
    assert cut_tail(path, end.good) == 100
    assert path.read_bytes() == whole
    assert cut_tail(path, end.good) == 0
    with pytest.raises(InvalidValue):
        cut_tail(path, len(whole) + 1)
    with pytest.raises(NotFound):
        cut_tail(path.with_name("absent"), 0)


@pytest.mark.parametrize("tail", [b"\x00" * 512, b"WARC/1.1\r\n", b"\x1f\x8b\x08garbage", b"\n"])
def test_what_is_no_record_behind_the_last(tmp_path: Path, tail: bytes) -> None:
    writer, path = write_segment(tmp_path, seal=False)
    size = path.stat().st_size
    with path.open("ab") as stream:
        stream.write(tail)
    with path.open("rb") as stream:
        records, end = scan_segment(stream, name=writer.name)
        assert len(list(records)) == 8
    assert (end.good, end.total) == (size, size + len(tail))
    with path.open("rb") as stream, pytest.raises(DamageError, match=f"offset {size}: "):
        list(read_segment(stream, name=writer.name))


def test_a_flipped_bit_is_told_with_its_offset(tmp_path: Path) -> None:
    writer, path = write_segment(tmp_path)
    data = bytearray(path.read_bytes())
    with path.open("rb") as stream:
        refs = [record.ref for record in read_segment(stream, name=writer.name)]
    for ref in refs:
        flipped = bytearray(data)
        flipped[ref.offset + ref.length // 2] ^= 1
        with pytest.raises(DamageError, match=f"offset {ref.offset}: "):
            list(read_segment(io.BytesIO(bytes(flipped)), name=writer.name))


def test_a_member_with_two_records_or_none_is_damage(tmp_path: Path) -> None:
    from storage.warc import compress_member

    _, path = write_segment(tmp_path)
    with path.open("rb") as stream:
        first = next(read_segment(stream, name="s"))
    assert decompress_member(path.read_bytes()[: first.ref.length], name="s", offset=0) == first.raw
    for content in (first.raw * 2, first.raw[:-2], b"", first.raw.replace(b"WARC/1.1", b"HTTP/1.1")):
        with pytest.raises(DamageError):
            read_member(compress_member(content), name="s", offset=0)


# -- who holds a segment

HOLDER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from storage.warc import SegmentWriter
from tests.storage.warc.samples import capture
writer = SegmentWriter.create(Path(sys.argv[1]), kind="warc", worker="w1", now=datetime.now(UTC), info={})
writer.append(capture())
writer.sync()
print(writer.path, flush=True)
time.sleep(600)
"""


def test_a_segment_is_abandoned_when_its_process_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        assert not is_abandoned(path)
        with pytest.raises(ArchiveLocked):
            cut_tail(path, 0)
        process.send_signal(signal.SIGKILL)
    assert is_abandoned(path)
    with path.open("rb") as stream:
        records, end = scan_segment(stream, name=path.name)
        assert [record.type for record in records] == ["warcinfo", "request", "response", "metadata"]
    assert end.problem is None


def test_a_segment_of_this_process_is_not_abandoned(tmp_path: Path) -> None:
    writer = create(tmp_path)
    assert not is_abandoned(writer.path)
    writer.abandon()
    writer.abandon()
    assert is_abandoned(writer.path)
    with pytest.raises(NotFound):
        is_abandoned(tmp_path / "absent")


def test_two_segments_of_one_second_have_two_names(tmp_path: Path) -> None:
    one, two = create(tmp_path), create(tmp_path)
    assert one.name != two.name


def test_a_segment_is_never_written_over(tmp_path: Path) -> None:
    """The same random bytes again: the second is refused, be the first open or sealed."""
    first, path = write_segment(tmp_path, seal=False)
    held = path.read_bytes()
    for taken in (path, path.with_suffix("")):
        path.replace(taken)
        with pytest.raises(DiskError, match="exists"):
            write_segment(tmp_path)
        assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [(taken.name, held)]
        taken.replace(path)
    first.abandon()


def test_what_a_killed_process_never_named_is_swept(tmp_path: Path) -> None:
    old, fresh = tmp_path / "old.warc.gz.new", tmp_path / "fresh.warc.gz.new"
    for path in (old, fresh):
        path.write_bytes(b"half a warcinfo")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    writer = create(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {fresh.name, writer.path.name}


def test_the_response_block_is_in_the_file_as_it_came(tmp_path: Path) -> None:
    _, path = write_segment(tmp_path)
    with path.open("rb") as stream:
        blocks = [record.block for record in read_segment(stream, name="s") if record.type == "response"]
    assert blocks == [RESPONSE]

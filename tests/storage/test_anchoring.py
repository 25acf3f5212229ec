"""Timestamps of an archive by a real authority: asked for, kept, logged, proven by, and what happens where it fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.post import Post, PostSettings, asker
from schemas.bundle_layout import parse_zip
from schemas.bundle_trust import Trust
from schemas.bundles import verify_bundle
from schemas.entries import Entry
from schemas.errors import ClockError, LogForkRisk, NotFound
from schemas.standalone import openssl_timestamp
from storage.anchoring import Anchoring, AnchorSettings, Ask, Authority, ServiceState, states
from storage.archive import Archive
from storage.evidence import prove
from storage.fixity import audit
from storage.log.stamps import check_files, trusted_roots
from storage.mirror import catch_up
from storage.rebuild import rebuild
from storage.recovery import recover
from tests.support.archives import ARTICLE, exchange, fill, page, settings
from tests.support.authority import TimeAuthority

ASK = asker(Post(settings=PostSettings(user_agent="test", allow_addresses=("127.0.0.0/8",), seconds=20)))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimeAuthority]:
    with TimeAuthority(tmp_path_factory.mktemp("tsa")) as running:
        yield running


@pytest.fixture(autouse=True)
def sound(authority: TimeAuthority) -> Iterator[None]:
    yield
    authority.fail, authority.change = None, lambda reply: reply


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive.create(settings(tmp_path)) as made:
        yield made


def anchoring(archive: Archive, *authorities: TimeAuthority, ask: Ask = ASK, every: float = 600) -> Anchoring:
    roots = [root for authority in authorities for root in trusted_roots(authority.ca_file)]
    wanted = AnchorSettings(
        authorities=tuple(Authority(url=a.url) for a in authorities), timestamp_every=every, roots=lambda: roots
    )
    return Anchoring(archive, wanted, ask)


def times(archive: Archive) -> list[Entry]:
    with archive.catalog.read() as tx:
        return [Entry.decode(row.body) for row in tx.log.entries() if row.type == "time"]


def test_a_checkpoint_is_stamped_kept_logged_and_proven_by(archive: Archive, authority: TimeAuthority) -> None:
    captures = fill(archive)
    archive.integrate()
    size = archive.log.checkpoint()
    assert size is not None
    assert anchoring(archive, authority).work() == []
    (entry,) = times(archive)
    prefix = f"timestamps/{entry.fields['size']}/"
    kept = sorted(key.removeprefix(prefix) for key in archive.store.list(prefix))
    assert kept == [*(f"{authority.code}/{n}" for n in ("chain.pem", "request.tsq", "response.tsr")), "checkpoint"]
    archive.deposit([(exchange("/later", page(7)), ARTICLE)])
    archive.seal()
    bundle = prove(archive, captures[0].id)
    parts = parse_zip(bundle)
    assert parts["checkpoint"] == archive.store.get(prefix + "checkpoint") == size.encode()
    for check in (check_files, openssl_timestamp):
        report = verify_bundle(bundle, trust=Trust(key=archive.vkey, check_timestamp=check))
        assert report.ok, report.lines()
        assert report.timestamped is not None
        assert abs(report.timestamped - datetime.now(UTC)) < timedelta(minutes=10)
    with archive.catalog.read() as tx:
        last = tx.captures.after(0, 100)[-1]
    assert "no timestamp" in "\n".join(verify_bundle(prove(archive, last.id)).unproven)
    with pytest.raises(NotFound, match="is stamped yet"):
        prove(archive, last.id, stamped=True)
    assert audit(archive).ok
    assert not audit(archive).orphans


def test_the_earliest_stamp_that_covers_is_the_one(archive: Archive, authority: TimeAuthority) -> None:
    first = fill(archive)[0]
    archive.integrate()
    work = anchoring(archive, authority)
    work.work(force=True)
    second = archive.deposit([(exchange("/later", page(7)), ARTICLE)])[0]
    archive.integrate()
    work.work(force=True)
    archive.deposit([(exchange("/latest", page(8)), ARTICLE)])
    archive.integrate()
    work.work(force=True)
    sizes = [entry.fields["size"] for entry in times(archive)]
    assert len(set(sizes)) == 3
    for capture, size in ((first, sizes[0]), (second, sizes[1])):
        assert parse_zip(prove(archive, capture.id))["checkpoint"].split(b"\n")[1] == str(size).encode()


def test_a_log_that_did_not_grow_is_not_stamped_again(archive: Archive, authority: TimeAuthority) -> None:
    fill(archive)
    work = anchoring(archive, authority, every=0.001)
    before = authority.asked
    for _ in range(4):
        archive.integrate()
        work.work(force=True)
    assert authority.asked == before + 1
    assert len(times(archive)) == 1


def test_what_is_not_due_is_left_alone(archive: Archive, authority: TimeAuthority) -> None:
    fill(archive)
    archive.integrate()
    work = anchoring(archive, authority, every=100_000)
    work.work()
    archive.deposit([(exchange("/later", page(7)), ARTICLE)])
    archive.integrate()
    assert work.work() == []
    assert len(times(archive)) == 1


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (503, "it answered 503"),
        (lambda reply: reply[:-1], "not a timestamp response"),
        (lambda reply: reply[:-9] + bytes([reply[-9] ^ 1]) + reply[-8:], "does not hold"),
        (lambda reply: b"", "not a timestamp response"),
    ],
)  # fmt: skip
def test_an_authority_that_fails_stops_nothing_and_is_tried_again(
    archive: Archive, authority: TimeAuthority, spoil: int | Callable[[bytes], bytes], words: str
) -> None:
    fill(archive)
    archive.integrate()
    if isinstance(spoil, int):
        authority.fail = spoil
    else:
        authority.change = spoil
    work = anchoring(archive, authority)
    (said,) = work.work()
    assert words in said
    (state,) = states(archive.catalog, work.settings)
    assert state.error is not None
    assert state.failing is not None
    assert times(archive) == []
    archive.deposit([(exchange("/later", page(7)), ARTICLE)])
    assert archive.integrate() is not None
    authority.fail, authority.change = None, lambda reply: reply
    assert work.work(force=True) == []
    (state,) = states(archive.catalog, work.settings)
    assert (state.error, state.failing) == (None, None)
    assert len(times(archive)) == 1


def test_an_answer_to_another_request_is_no_timestamp(archive: Archive, authority: TimeAuthority) -> None:
    fill(archive)
    archive.integrate()
    replies: list[bytes] = []

    def replayed(url: str, body: bytes, kind: str) -> tuple[int, str, bytes]:
        replies.append(ASK(url, body, kind)[2])
        return 200, "application/timestamp-reply", replies[0]

    work = anchoring(archive, authority, ask=replayed)
    assert work.work() == []
    archive.deposit([(exchange("/later", page(7)), ARTICLE)])
    archive.integrate()
    (said,) = work.work(force=True)
    assert "does not hold" in said


def test_an_authority_whose_clock_lies_behind_ours_is_not_believed(tmp_path: Path, authority: TimeAuthority) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    with Archive.create(replace(settings(tmp_path), clock=lambda: ahead)) as archive:
        fill(archive)
        archive.integrate()
        (said,) = anchoring(archive, authority).work()
        assert "before it was asked" in said


def test_two_authorities_stamp_one_checkpoint(archive: Archive, authority: TimeAuthority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with TimeAuthority(tmp_path / "other") as second:
        capture = fill(archive)[0]
        archive.integrate()
        assert anchoring(archive, authority, second).work() == []
    assert {entry.fields["authority"] for entry in times(archive)} == {authority.code, second.code}
    bundle = prove(archive, capture.id, stamped=True)
    assert {n for n in parse_zip(bundle) if n.endswith("tsr")} == {
        "timestamp/response.tsr", "timestamp/response-2.tsr"}  # fmt: skip
    report = verify_bundle(bundle, trust=Trust(check_timestamp=openssl_timestamp))
    assert report.ok, report.lines()
    assert sum("at the latest" in text for text in report.proven) == 2


def test_a_host_that_may_not_be_asked_is_not(archive: Archive, authority: TimeAuthority) -> None:
    fill(archive)
    archive.integrate()
    before = authority.asked
    ask = asker(Post(settings=PostSettings(user_agent="test")))
    (said,) = anchoring(archive, authority, ask=ask).work()
    assert "loopback" in said
    assert authority.asked == before


def test_a_rebuilt_catalog_proves_by_the_same_stamp(tmp_path: Path, authority: TimeAuthority) -> None:
    with Archive.create(settings(tmp_path)) as archive:
        capture = fill(archive)[0]
        archive.seal()
        anchoring(archive, authority).work()
        archive.seal()
        before = prove(archive, capture.id)
    (tmp_path / "catalog.sqlite").unlink()
    rebuild(settings(tmp_path))
    with Archive.open(settings(tmp_path)) as archive:
        assert prove(archive, capture.id) == before
        assert audit(archive).ok


def test_a_damaged_stamp_is_found_by_the_audit(archive: Archive, authority: TimeAuthority) -> None:
    fill(archive)
    archive.seal()
    anchoring(archive, authority).work()
    archive.seal()
    (entry,) = times(archive)
    folder = archive.directory / "objects" / "timestamps" / str(entry.fields["size"]) / authority.code
    for name in ("response.tsr", "chain.pem", "request.tsq"):
        good = (folder / name).read_bytes()
        (folder / name).chmod(0o600)
        (folder / name).write_bytes(bytes([good[0] ^ 1]) + good[1:])
        report = audit(archive)
        assert [f.where for f in report.damaged] == [f"timestamps/{entry.fields['size']}/{authority.code}/"], name
        (folder / name).unlink()
        assert len(audit(archive).missing) >= 1
        (folder / name).write_bytes(good)
    assert audit(archive).ok


def test_a_stamped_checkpoint_that_the_catalog_does_not_know_stops_the_start(
    tmp_path: Path, authority: TimeAuthority
) -> None:
    """The catalog and the published checkpoint brought back from a backup; the stamps were not."""
    with Archive.create(settings(tmp_path)) as archive:
        fill(archive)
        archive.seal()
    before = {path: path.read_bytes() for path in (tmp_path / "catalog.sqlite", tmp_path / "objects/log/checkpoint")}
    with Archive.open(settings(tmp_path)) as later:
        later.deposit([(exchange("/later", page(7)), ARTICLE)])
        later.seal()
        anchoring(later, authority).work()
    (tmp_path / "keys" / "checkpoint").unlink()
    for path, data in before.items():
        path.write_bytes(data)
    with Archive.open(settings(tmp_path)) as restored:
        with pytest.raises(LogForkRisk, match="timestamps/") as error:
            recover(restored)
        assert "pressmark rebuild" in str(error.value)


def test_what_was_signed_here_stops_the_start_of_an_older_catalog(archive: Archive) -> None:
    fill(archive)
    archive.integrate()
    newer = (archive.directory / "keys" / "checkpoint").read_bytes()
    assert newer.decode() == archive.log.checkpoint()
    lines = newer.split(b"\n")
    (archive.directory / "keys" / "checkpoint").write_bytes(b"nonsense")
    with pytest.raises(LogForkRisk, match="no checkpoint"):
        recover(archive)
    lines[1] = b"999"
    (archive.directory / "keys" / "checkpoint").write_bytes(b"\n".join(lines))
    with pytest.raises(LogForkRisk, match="not that of this text"):
        recover(archive)
    (archive.directory / "keys" / "checkpoint").write_bytes(newer)
    assert recover(archive) == []


def test_a_clock_that_was_set_back_stops_the_start(tmp_path: Path) -> None:
    with Archive.create(settings(tmp_path)) as archive:
        fill(archive)
        archive.seal()
    back = replace(settings(tmp_path), clock=lambda: datetime(2026, 10, 1, tzinfo=UTC))
    with Archive.open(back) as archive, pytest.raises(ClockError, match=r"last capture was made at .* set the clock"):
        recover(archive)


def test_how_a_service_stands_reads_back(archive: Archive) -> None:
    state = ServiceState(name="x", kind="witness", tried=5, held=4, size=3, failing=2, error="no")
    state.save(archive.catalog)
    assert ServiceState.load(archive.catalog, "x", "witness") == state
    assert ServiceState.load(archive.catalog, "y", "witness") == ServiceState(name="y", kind="witness")


def test_a_mirror_that_knows_more_stops_the_start(tmp_path: Path) -> None:
    mine = replace(settings(tmp_path / "one"), mirror_url=str(tmp_path / "mirror"))
    (tmp_path / "one").mkdir()
    with Archive.create(mine) as archive:
        fill(archive)
        archive.seal()
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    with Archive.open(mine) as archive:
        archive.deposit([(exchange("/later", page(7)), ARTICLE)])
        archive.seal()
        mirror = archive.mirror()
        assert mirror is not None
        catch_up(archive, mirror)
    shutil.rmtree(tmp_path / "one")
    shutil.copytree(tmp_path / "copy", tmp_path / "one")
    with Archive.open(mine) as restored, pytest.raises(LogForkRisk, match="log/checkpoint in the mirror"):
        recover(restored)

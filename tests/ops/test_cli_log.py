"""`pressmark log` as people use it: watching a log, keys that change, a passphrase; and what the audit remembers."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from tests.ops.conftest import Pressmark


@pytest.fixture
def grown(archive: Pressmark, tmp_path: Path) -> tuple[Pressmark, Path, Path]:
    """An archive whose log grew, and the checkpoints that somebody kept of it before and after."""
    kept = []
    for number in range(2):
        archive("outlet", "add", f"http://127.0.0.1/{number}", "--name", f"n{number}").done()
        _publish(archive)
        kept.append(tmp_path / f"kept{number}")
        kept[-1].write_bytes((archive.archive / "objects" / "log" / "checkpoint").read_bytes())
    return archive, kept[0], kept[1]


def _publish(archive: Pressmark) -> None:
    """`prove` publishes what waits before it looks for what it is to prove."""
    assert archive("prove", "urn:uuid:00000000-0000-4000-8000-000000000000", "-o", "x.zip").code == 4


def test_two_kept_checkpoints_are_one_history(grown: tuple[Pressmark, Path, Path]) -> None:
    archive, old, new = grown
    key = archive("log", "key").done().out.strip()
    log = archive.archive / "objects" / "log"
    for words in ((old, new), (new, old), (old, log), (old, new, "--key", key), (old, old)):
        assert "consistent: " in archive("log", "consistency", *words).done().err
    sizes = [int(path.read_text().split("\n")[1]) for path in (old, new)]
    proof = json.loads(archive("log", "consistency", old, new, "--json").done().out)
    assert (proof["from"], proof["to"]) == tuple(sizes)
    assert archive("log", "consistency", *map(str, sizes), "--json").done().out == json.dumps(
        proof, separators=(",", ":")
    ) + "\n"


def test_a_log_far_away_is_watched_over_http(grown: tuple[Pressmark, Path, Path], tmp_path: Path) -> None:
    archive, old, _ = grown
    key = archive("log", "key").done().out.strip()
    served = functools.partial(_Quiet, directory=str(archive.archive / "objects" / "log"))
    nowhere = tmp_path / "nowhere"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            words = ("log", "consistency", old, url, "--key", key, "-C", nowhere)
            assert "loopback" in archive(*words).refused(5).err
            assert "consistent: " in archive(*words, "--allow-address", "127.0.0.0/8").done().err
            missing = archive("log", "consistency", old, f"{url}/none", *words[4:], "--allow-address", "127.0.0.0/8")
            assert missing.code == 4
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_what_is_no_one_history_ends_with_one(
    grown: tuple[Pressmark, Path, Path], tmp_path: Path
) -> None:
    archive, old, new = grown
    other = _other_key(tmp_path)
    assert "not signed by a key" in archive("log", "consistency", old, new, "--key", other).refused(1).err
    forged = tmp_path / "forged"
    lines = old.read_text().split("\n")
    forged.write_text("\n".join([lines[0], lines[1], "A" * 43 + "=", *lines[3:]]))
    assert "not that of this text" in archive("log", "consistency", forged, new).refused(1).err
    log = tmp_path / "log"
    shutil.copytree(archive.archive / "objects" / "log", log)
    for tile in (log / "tile" / "0").rglob("*"):
        if tile.is_file():
            tile.chmod(0o600)
            tile.write_bytes(bytes([tile.read_bytes()[0] ^ 1]) + tile.read_bytes()[1:])
    assert archive("log", "consistency", old, new, "--log", log).code == 1
    shutil.rmtree(log / "tile")
    assert "do not prove it" in archive("log", "consistency", old, new, "--log", log).refused(1).err
    assert archive("log", "consistency", "1", new).code == 2
    assert archive("log", "consistency", tmp_path / "none", new).code == 2


def _other_key(folder: Path) -> str:
    from storage.log.signing import Signer

    return str(Signer.create(folder / "other.key", "pressmark.invalid/other").vkey)


def test_the_audit_remembers_what_it_saw(grown: tuple[Pressmark, Path, Path]) -> None:
    """Catalog and store brought back to an earlier day agree with each other; only the audit's memory says more."""
    archive, _, _ = grown
    copy = archive.archive.with_name("copy")
    shutil.copytree(archive.archive, copy)
    archive("outlet", "add", "http://127.0.0.1/9").done()
    _publish(archive)
    archive("audit", "--full").done()
    memory = (archive.archive / "keys" / "audited").read_bytes()
    shutil.rmtree(archive.archive)
    shutil.copytree(copy, archive.archive)
    archive("audit", "--full").done()
    (archive.archive / "keys" / "audited").write_bytes(memory)
    assert "rolled back" in archive("audit", "--full").refused(1).out
    lines = memory.split(b"\n")
    (archive.archive / "keys" / "audited").write_bytes(b"\n".join([*lines[:2], b"A" * 43 + b"=", *lines[3:]]))
    assert "no checkpoint of this log" in archive("audit", "--full").refused(1).out


def test_a_key_is_rotated_and_the_archive_goes_on(grown: tuple[Pressmark, Path, Path], tmp_path: Path) -> None:
    archive, old, _ = grown
    first = archive("log", "key").done().out.strip()
    second = archive("log", "rotate-key").done().out.strip()
    assert archive("log", "key").done().out.strip() == second != first
    archive("outlet", "add", "http://127.0.0.1/9").done()
    _publish(archive)
    assert "consistent: " in archive("log", "consistency", old, archive.archive / "objects" / "log").done().err
    archive("audit", "--full").done()


def test_a_lost_key_is_recovered_from_under_a_new_origin(grown: tuple[Pressmark, Path, Path]) -> None:
    archive, _, _ = grown
    lost = archive("log", "key").done().out.strip()
    (archive.archive / "keys" / "log.key").unlink()
    assert "new-origin" in archive("status").refused(2).err + archive("audit").err
    assert archive("log", "new-origin", "with space", "--was", lost).code == 2
    key = archive("log", "new-origin", "archive.example/second", "--was", lost).done().out.strip()
    assert key.startswith("archive.example/second+")
    assert 'origin = "archive.example/second"' in (archive.archive / "pressmark.toml").read_text()
    archive("outlet", "add", "http://127.0.0.1/9").done()
    _publish(archive)
    archive("audit", "--full").done()
    assert json.loads(archive("status", "--json").done().out)["log"]["origin"] == "archive.example/second"


def test_a_passphrase_locks_what_signs_and_not_what_reads(
    pressmark: Pressmark, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PRESSMARK_LOG__PASSPHRASE", "correct horse")
    pressmark("init", "--contact", "desk@lantern.example").done()
    assert b"ENCRYPTED" in (pressmark.archive / "keys" / "log.key").read_bytes()
    pressmark("outlet", "add", "http://127.0.0.1/").done()
    monkeypatch.delenv("PRESSMARK_LOG__PASSPHRASE")
    pressmark("status").done()
    pressmark("log", "key").done()
    assert "PRESSMARK_LOG__PASSPHRASE" in pressmark("outlet", "add", "http://127.0.0.1/2").refused(2).err
    (tmp_path / "secret").write_text("correct horse\n")
    monkeypatch.setenv("PRESSMARK_LOG__PASSPHRASE_FILE", str(tmp_path / "secret"))
    pressmark("outlet", "add", "http://127.0.0.1/2").done()
    (tmp_path / "secret").write_text("wrong\n")
    assert "does not open" in pressmark("outlet", "add", "http://127.0.0.1/3").refused(2).err
    (tmp_path / "secret").write_text("\n")
    assert "is empty" in pressmark("status").refused(2).err


def test_an_entry_without_its_record_and_a_record_without_its_entry_are_found(
    grown: tuple[Pressmark, Path, Path],
) -> None:
    archive, _, _ = grown
    catalog = archive.archive / "catalog.sqlite"
    whole = catalog.read_bytes()
    with sqlite3.connect(catalog) as connection:
        connection.execute("DELETE FROM records WHERE type = 'resource'")
    connection.close()
    assert "commits to a record" in archive("audit", "--full").refused(1).out
    for name in ("catalog.sqlite-wal", "catalog.sqlite-shm"):
        (archive.archive / name).unlink(missing_ok=True)
    catalog.write_bytes(whole)
    with sqlite3.connect(catalog) as connection:
        connection.execute("DELETE FROM entries WHERE type = 'outlet'")
    connection.close()
    assert "the catalog lacks this log entry" in archive("audit", "--full").refused(1).out

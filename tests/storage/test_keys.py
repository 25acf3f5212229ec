"""Keys that change: handed over, or lost; what was proven before still is, and what a stop leaves is finished."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.bundles import verify_bundle
from schemas.checkpoints import Checkpoint, Note, VerifierKey, open_checkpoint
from schemas.entries import Entry
from schemas.errors import DamageError, LogForkRisk, UsageError
from storage import keys
from storage.archive import KEY_FILE, Archive, StorageSettings
from storage.evidence import prove
from storage.fixity import audit
from storage.log.monitor import check_consistency, open_signed
from storage.log.signing import Signer, public_key
from storage.rebuild import rebuild
from storage.recovery import recover
from tests.support.archives import ARTICLE, exchange, fill, page, settings


def started(folder: Path) -> tuple[StorageSettings, VerifierKey, str, bytes]:
    """Settings, key, the id of a capture, and a bundle of it made before anything changed."""
    with Archive.create(settings(folder)) as archive:
        capture = fill(archive)[0]
        archive.seal()
        return archive.settings, archive.vkey, capture.id, prove(archive, capture.id)


def test_a_key_hands_over_and_both_keys_prove_what_was_before_and_comes_after(tmp_path: Path) -> None:
    mine, first, capture, before = started(tmp_path)
    with Archive.open(mine) as archive:
        second = keys.rotate(archive)
    assert second not in (first, None)
    assert second.name == first.name
    with Archive.open(mine) as archive:
        assert archive.vkey == second
        note = archive.log.checkpoint()
        assert note is not None
        assert open_checkpoint(note.encode(), first) == open_checkpoint(note.encode(), second)
        assert recover(archive) == []
        later = archive.deposit([(exchange("/later", page(7)), ARTICLE)])[0]
        archive.seal()
        note = archive.log.checkpoint()
        assert note is not None
        assert not Note.parse(note.encode()).by(first)
        third = keys.rotate(archive)
    with Archive.open(mine) as archive:
        for bundle in (prove(archive, capture), prove(archive, later.id)):
            for key in (first, second, third):
                report = verify_bundle(bundle, key=key)
                assert report.ok, report.lines()
            assert not verify_bundle(bundle, key=Signer.create(tmp_path / "x", first.name).vkey).ok
            (tmp_path / "x").unlink()
        assert verify_bundle(before, key=first).ok
        report = audit(archive)
        assert report.ok
        assert not report.orphans


def test_a_rebuilt_catalog_knows_the_handovers(tmp_path: Path) -> None:
    mine, first, capture, _ = started(tmp_path)
    with Archive.open(mine) as archive:
        keys.rotate(archive)
    (tmp_path / "catalog.sqlite").unlink()
    rebuild(mine)
    with Archive.open(mine) as archive:
        assert verify_bundle(prove(archive, capture), key=first).ok
        assert audit(archive).ok


@pytest.mark.parametrize("step", ["entry", "proof", "signature", "key"])
def test_a_handover_that_was_stopped_is_finished(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, first, capture, _ = started(tmp_path)

    class Stop(Exception):
        pass

    def stop(*args: object, **named: object) -> None:
        raise Stop

    with Archive.open(mine) as archive, monkeypatch.context() as patch:
        if step == "entry":
            patch.setattr(archive, "integrate", stop)
        elif step == "proof":
            patch.setattr(archive.store, "put", stop)
        elif step == "signature":
            patch.setattr(archive.log, "add_signatures", stop)
        else:
            patch.setattr(os, "replace", stop)
        with pytest.raises(Stop):
            keys.rotate(archive)
    with Archive.open(mine) as archive:
        recover(archive)
        archive.deposit([(exchange("/meanwhile", page(5)), ARTICLE)])
        archive.seal()
        second = keys.rotate(archive)
    with Archive.open(mine) as archive:
        assert archive.vkey == second
        with archive.catalog.read() as tx:
            assert [Entry.decode(r.body).fields["vkey"] for r in tx.log.entries() if r.type == "key"] == [str(second)]
        assert verify_bundle(prove(archive, capture), key=first).ok
        assert audit(archive).ok


def test_a_lost_key_freezes_the_old_log_and_a_new_one_goes_on(tmp_path: Path) -> None:
    mine, lost, capture, before = started(tmp_path)
    (tmp_path / KEY_FILE).unlink()
    new = replace(mine, origin="pressmark.invalid/second")
    stranger = Signer.create(tmp_path / "x", lost.name).vkey
    with pytest.raises(LogForkRisk, match="not a checkpoint by that old key"):
        keys.new_origin(new, stranger)
    with pytest.raises(UsageError, match="would be a fork"):
        keys.new_origin(mine, lost)
    vkey = keys.new_origin(new, lost)
    assert verify_bundle(before, key=lost).ok, "what was handed out before still verifies"
    with Archive.open(new) as archive:
        assert recover(archive) == []
        archive.deposit([(exchange("/later", page(7)), ARTICLE)])
        archive.seal()
        note = archive.log.checkpoint()
        assert note is not None
        now = open_checkpoint(note.encode(), vkey)
        (frozen_key,) = [key for key in archive.store.list("keys/") if key.endswith(".frozen")]
        frozen = open_signed(archive.store.get(frozen_key), (lost,), "frozen")
        same = Checkpoint(origin=now.origin, size=frozen.size, root=frozen.root)
        assert check_consistency(same, now, lambda path: archive.store.get("log/" + path))
        assert verify_bundle(prove(archive, capture), key=vkey).ok
        report = audit(archive)
        assert report.ok, report
        assert not report.orphans
    (tmp_path / "catalog.sqlite").unlink()
    rebuild(new)
    with Archive.open(new) as archive:
        assert audit(archive).ok


def test_going_on_under_a_new_origin_may_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, lost, capture, _ = started(tmp_path)
    (tmp_path / KEY_FILE).unlink()
    new = replace(mine, origin="pressmark.invalid/second")
    for name in ("_entry", "Log", "_take_over"):
        with monkeypatch.context() as patch:
            real = getattr(keys, name)

            def stop(*args: object, real: object = real, **named: object) -> object:
                if named.get("signer", True) is None:
                    assert callable(real)
                    return real(*args, **named)
                raise KeyboardInterrupt

            patch.setattr(keys, name, stop)
            with pytest.raises(KeyboardInterrupt):
                keys.new_origin(new, lost)
    vkey = keys.new_origin(new, lost)
    with Archive.open(new) as archive:
        assert verify_bundle(prove(archive, capture), key=vkey).ok
        with archive.catalog.read() as tx:
            assert len([row for row in tx.log.entries() if row.type == "key"]) == 1


def test_a_passphrase_encrypts_the_key_and_openssl_opens_it(tmp_path: Path) -> None:
    secret = replace(settings(tmp_path), passphrase="correct horse")
    with Archive.create(secret) as archive:
        vkey = archive.vkey
        fill(archive)
        archive.seal()
    path = tmp_path / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
    assert public_key(path) == vkey
    with Archive.open(secret) as archive:
        second = keys.rotate(archive)
    assert public_key(path) == second
    with pytest.raises(UsageError, match="does not open with this passphrase"):
        Archive.open(replace(secret, passphrase="wrong"))
    with Archive.open(settings(tmp_path)) as archive:  # to read needs no key
        assert archive.vkey == second
        assert not archive.may_sign
        archive.deposit([(exchange("/later", page(7)), ARTICLE)])
        with pytest.raises(UsageError, match="without its log key"):
            archive.integrate()
    done = subprocess.run(
        ["openssl", "pkey", "-in", path, "-passin", "pass:correct horse", "-pubout", "-outform", "DER"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.endswith(second.public)


def test_every_changed_byte_of_an_encrypted_key_is_noticed_or_harmless(tmp_path: Path) -> None:
    signer = Signer.create(tmp_path / "k", "o", passphrase="p")
    good = (tmp_path / "k").read_bytes()
    for at in range(0, len(good) - 1, 37):
        (tmp_path / "k").write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        try:
            found = Signer.load(tmp_path / "k", passphrase="p")
        except (DamageError, UsageError):  # which of the two it is depends on the byte
            continue
        assert found.vkey == signer.vkey

"""The log key on disk, and notes that it signs."""

from __future__ import annotations

import base64
import stat
import subprocess
from pathlib import Path
from shutil import which

import pytest

from schemas.checkpoints import Checkpoint, Note, VerifierKey, open_checkpoint, verify_note
from schemas.errors import AlreadyExists, CheckFailed, DamageError, DiskError, InvalidValue
from schemas.merkle import EMPTY_ROOT
from storage.log.signing import Signer

NAME = "pressmark.invalid/test"


def test_a_key_comes_back_from_its_file_and_signs_the_same(tmp_path: Path) -> None:
    made = Signer.create(tmp_path / "log.key", NAME)
    loaded = Signer.load(tmp_path / "log.key")
    assert loaded.vkey == made.vkey
    assert loaded.sign_note("a\n") == made.sign_note("a\n")  # Ed25519 is deterministic (RFC 8032 5.1.6)


def test_only_its_owner_may_read_the_key(tmp_path: Path) -> None:
    Signer.create(tmp_path / "log.key", NAME)
    assert stat.S_IMODE((tmp_path / "log.key").stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["log.key"]  # nothing half-written stays


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    Signer.create(tmp_path / "log.key", NAME)
    before = (tmp_path / "log.key").read_bytes()
    with pytest.raises(AlreadyExists):
        Signer.create(tmp_path / "log.key", NAME)
    assert (tmp_path / "log.key").read_bytes() == before


def test_two_keys_differ(tmp_path: Path) -> None:
    assert Signer.create(tmp_path / "a", NAME).vkey != Signer.create(tmp_path / "b", NAME).vkey


@pytest.mark.parametrize("name", ["", "with space", "with+plus", "with\nnewline"])
def test_a_name_that_no_note_can_bear_makes_no_key(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidValue):
        Signer.create(tmp_path / "log.key", name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="No such file"):
        Signer.create(tmp_path / "none" / "log.key", NAME)


def test_a_missing_key_is_damage_not_an_absence(tmp_path: Path) -> None:
    with pytest.raises(DamageError, match=r"is missing; bring it back"):
        Signer.load(tmp_path / "log.key")


def test_every_changed_byte_of_a_key_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    vkey = Signer.create(path, NAME).vkey
    good = path.read_bytes()
    for at in range(len(good) - 1):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(DamageError):
            Signer.load(path)
    path.write_bytes(good)
    assert Signer.load(path).vkey == vkey


@pytest.mark.parametrize("data", [b"", b"\n", b"PRIVATE+KEY", b"\xff\xfe", b"x" * 10_000])
def test_a_file_that_is_no_key_is_damage(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "log.key").write_bytes(data)
    with pytest.raises(DamageError, match="does not hold a log key"):
        Signer.load(tmp_path / "log.key")


def test_the_secret_is_not_printed(tmp_path: Path) -> None:
    signer = Signer.create(tmp_path / "log.key", NAME)
    secret = (tmp_path / "log.key").read_text().split("+", 4)[4].strip()  # the secret itself may hold a plus
    assert secret not in repr(signer) + str(signer) + str(vars(signer))


def test_a_signed_checkpoint_opens_with_the_public_key_alone(tmp_path: Path) -> None:
    signer = Signer.create(tmp_path / "log.key", NAME)
    checkpoint = Checkpoint(origin=NAME, size=0, root=EMPTY_ROOT)
    note = signer.sign_note(checkpoint.text).encode()
    assert open_checkpoint(note, VerifierKey.parse(str(signer.vkey))) == checkpoint
    other = Signer.create(tmp_path / "other.key", NAME)
    with pytest.raises(CheckFailed, match="no signature by the key"):
        open_checkpoint(note, other.vkey)


@pytest.mark.parametrize("text", ["", "no newline at its end", "control \x01\n"])
def test_what_is_no_note_text_is_not_signed(tmp_path: Path, text: str) -> None:
    signer = Signer.create(tmp_path / "log.key", NAME)
    with pytest.raises(InvalidValue):
        signer.sign_note(text)


def test_openssl_accepts_the_signature(tmp_path: Path) -> None:
    if which("openssl") is None:
        pytest.skip("openssl is not installed")
    signer = Signer.create(tmp_path / "log.key", NAME)
    note = Note.parse(signer.sign_note("text\n").encode())
    verify_note(note, signer.vkey)
    # SubjectPublicKeyInfo of an Ed25519 key is a fixed prefix and the 32 bytes (RFC 8410 section 4).
    der = bytes.fromhex("302a300506032b6570032100") + signer.vkey.public
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(der) + b"\n-----END PUBLIC KEY-----\n"
    for name, data in (("key.pem", pem), ("text", b"text\n"), ("sig", note.signatures[0].signature)):
        (tmp_path / name).write_bytes(data)
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "key.pem",
        "-rawin",
        "-in",
        "text",
        "-sigfile",
        "sig",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr

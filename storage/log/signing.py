"""The keys that the archive holds: that of its log, which signs notes, and that of its witness, which cosigns those of
others.

How a key lies on the disk is left to `keyfile`; checking signatures needs no key and is left to `schemas`, but for
ML-DSA-44, which the standard library lacks.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.checkpoints import ALGORITHM_ED25519, Note, NoteSignature, VerifierKey
from schemas.cosignatures import TimedSignature, VerifyMldsa44, cosigned_message
from schemas.errors import DamageError, InvalidValue, UsageError
from storage.log.keyfile import (
    SEED_SIZE,
    parse_key,
    print_key,
    public_of,
    read_key_file,
    write_key_file,
)


class Signer:
    """An Ed25519 key with its name and type. Never prints its secret."""

    def __init__(self, name: str, seed: bytes, algorithm: int = ALGORITHM_ED25519) -> None:
        if len(seed) != SEED_SIZE:
            raise InvalidValue(f"an Ed25519 seed has {SEED_SIZE} bytes, not {len(seed)}")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.vkey = VerifierKey(name=name, public=self._key.public_key().public_bytes_raw(), algorithm=algorithm)

    def __repr__(self) -> str:
        return f"Signer({self.vkey})"

    @classmethod
    def create(
        cls, path: Path, name: str, *, passphrase: str | None = None, algorithm: int = ALGORITHM_ED25519
    ) -> Signer:
        """Make a key of that name and keep it at `path`, durably; the folder must exist.

        Raises AlreadyExists where there is a file, InvalidValue for a name with a space or plus, DiskError.
        """
        signer = cls(name, secrets.token_bytes(SEED_SIZE), algorithm)
        signer.save(path, passphrase=passphrase)
        return signer

    @classmethod
    def load(cls, path: Path, *, passphrase: str | None = None) -> Signer:
        """The key kept at `path`.

        Raises DamageError where it is missing or is no key, UsageError where it is encrypted and the passphrase is not
        its own, DiskError.
        """
        data = _read(path)
        try:
            return cls(*_reordered(parse_key(data, passphrase)))
        except UsageError as error:
            if isinstance(error, InvalidValue):
                raise _no_key(path, error) from error
            raise
        except ValueError as error:
            raise _no_key(path, error) from error

    def save(self, path: Path, *, passphrase: str | None = None, replace: bool = False) -> None:
        """Keep this key at `path`, durably. Raises AlreadyExists unless it may `replace` what is there, DiskError."""
        write_key_file(path, print_key(self.vkey, self._key.private_bytes_raw(), passphrase), replace=replace)

    def sign_line(self, text: str) -> NoteSignature:
        """The signature line of this key under a note text (C2SP signed-note)."""
        signature = self._key.sign(text.encode("utf-8"))
        return NoteSignature(name=self.vkey.name, key_id=self.vkey.key_id, signature=signature)

    def sign_note(self, text: str) -> str:
        """The note of this text, signed by this key alone (C2SP signed-note). Raises InvalidValue."""
        data = Note(text=text, signatures=(self.sign_line(text),)).encode()
        if Note.parse(data).text != text:
            raise InvalidValue("this text does not make a note that reads back the same")
        return data.decode("utf-8")

    def cosign(self, text: str, time: int) -> NoteSignature:
        """A witness's signature line under a checkpoint (C2SP tlog-cosignature); `time` is POSIX seconds."""
        timed = TimedSignature(time=time, signature=self._key.sign(cosigned_message(text, time)))
        return NoteSignature(name=self.vkey.name, key_id=self.vkey.key_id, signature=timed.encode())


def public_key(path: Path) -> VerifierKey | None:
    """The public key of an encrypted key file, which needs no passphrase; None for a plain one.

    Raises DamageError, DiskError.
    """
    try:
        return public_of(_read(path))
    except ValueError as error:
        raise _no_key(path, error) from error


def open_key(path: Path, *, passphrase: str | None = None) -> tuple[Signer | None, VerifierKey]:
    """The key kept at `path` and its public half; of an encrypted one, without a passphrase, the public half alone.

    Raises as `Signer.load` does.
    """
    vkey = None if passphrase else public_key(path)
    if vkey is not None:
        return None, vkey
    signer = Signer.load(path, passphrase=passphrase)
    return signer, signer.vkey


def _read(path: Path) -> bytes:
    try:
        return read_key_file(path)
    except FileNotFoundError as error:
        raise DamageError(
            f"the log key {path} is missing",
            remedy="bring it back from your backup; if it is lost for good, see `pressmark log new-origin --help`",
        ) from error


def _no_key(path: Path, error: Exception) -> DamageError:
    return DamageError(f"{path} does not hold a log key ({error})", remedy="bring it back from your backup")


def _reordered(parsed: tuple[str, int, bytes]) -> tuple[str, bytes, int]:
    name, algorithm, seed = parsed
    return name, seed, algorithm


def mldsa44_verifier() -> VerifyMldsa44 | None:
    """What checks ML-DSA-44 signatures, where the library was built with it."""
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
    except ImportError:  # before version 47
        return None

    def verify(public: bytes, signature: bytes, message: bytes) -> bool:
        try:
            MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    try:
        verify(bytes(1312), bytes(2420), b"")
    except UnsupportedAlgorithm:
        return None
    return verify

"""The log key: made once, kept in one file that only its owner may read, used to sign notes.

The file holds one line in the form that C2SP tools use for Ed25519 signers, `PRIVATE+KEY+<name>+<key id in
hex>+<base64 of 0x01 and the 32-byte seed>`. Checking signatures needs no key and is left to
`schemas.checkpoints`. This is the only module that imports `cryptography`.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.checkpoints import ALGORITHM_ED25519, Note, NoteSignature, VerifierKey
from schemas.digests import strict_base64
from schemas.errors import AlreadyExists, DamageError, DiskError, InvalidValue

#: First words of a key file.
PRIVATE_PREFIX: Final = "PRIVATE+KEY"
#: Bytes of an Ed25519 seed (RFC 8032 section 5.1.5).
SEED_SIZE: Final = 32
#: Bytes of a key file that are read: a name and 60-odd characters; more is not a key.
MAX_KEY_FILE: Final = 4096
#: Owner may read and write, nobody else anything.
KEY_MODE: Final = 0o600


class Signer:
    """An Ed25519 key with its name. Never prints its secret."""

    def __init__(self, name: str, seed: bytes) -> None:
        if len(seed) != SEED_SIZE:
            raise InvalidValue(f"an Ed25519 seed has {SEED_SIZE} bytes, not {len(seed)}")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.vkey = VerifierKey(name=name, public=self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"Signer({self.vkey})"

    @classmethod
    def create(cls, path: Path, name: str) -> Signer:
        """Make a key of that name and keep it at `path`, durably; the folder must exist.

        Raises AlreadyExists where there is a file, InvalidValue for a name with a space or plus, DiskError.
        """
        seed = secrets.token_bytes(SEED_SIZE)
        signer = cls(name, seed)
        packed = base64.b64encode(bytes([ALGORITHM_ED25519]) + seed).decode("ascii")
        _write_new(path, f"{PRIVATE_PREFIX}+{name}+{signer.vkey.key_id.hex()}+{packed}\n".encode())
        return signer

    @classmethod
    def load(cls, path: Path) -> Signer:
        """The key kept at `path`. Raises DamageError where it is missing or is no key, DiskError."""
        with _disk_errors(path):
            try:
                with path.open("rb") as stream:
                    data = stream.read(MAX_KEY_FILE + 1)
            except FileNotFoundError as error:
                raise DamageError(f"the log key {path} is missing", remedy="bring it back from your backup") from error
        try:
            return cls._parse(data.decode("utf-8"))
        except ValueError as error:
            raise DamageError(
                f"{path} does not hold a log key ({error})", remedy="bring it back from your backup"
            ) from error

    @classmethod
    def _parse(cls, text: str) -> Signer:
        head, name, key_hash, packed = _fields(text)
        raw = strict_base64(packed)
        if head != PRIVATE_PREFIX or raw[:1] != bytes([ALGORITHM_ED25519]):
            raise InvalidValue("not an Ed25519 signer key")
        signer = cls(name, raw[1:])
        if signer.vkey.key_id.hex() != key_hash:
            raise InvalidValue("its hash does not fit its name and key")
        return signer

    def sign_note(self, text: str) -> str:
        """The note of this text, signed by this key alone (C2SP signed-note). Raises InvalidValue."""
        signature = self._key.sign(text.encode("utf-8"))
        line = NoteSignature(name=self.vkey.name, key_id=self.vkey.key_id, signature=signature)
        data = Note(text=text, signatures=(line,)).encode()
        if Note.parse(data).text != text:
            raise InvalidValue("this text does not make a note that reads back the same")
        return data.decode("utf-8")


def _fields(text: str) -> tuple[str, str, str, str]:
    """The four parts of a key line; base64 may itself hold a plus, so the split stops before it."""
    parts = text.removesuffix("\n").split("+", 4)
    if len(parts) != 5:
        raise InvalidValue(f"not of the form {PRIVATE_PREFIX}+name+hash+base64")
    return f"{parts[0]}+{parts[1]}", parts[2], parts[3], parts[4]


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that did not exist, whole or not at all. A link refuses to replace; a rename would not."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with _disk_errors(path):
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_MODE)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.link(draft, path)
        except FileExistsError as error:
            raise AlreadyExists(
                f"{path} exists", remedy="a log key is never replaced: choose another folder"
            ) from error
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"cannot read or write {path}: {error.strerror or error}",
            remedy="see to its folder and run it again",
        ) from error

"""Signed notes and checkpoints: the log's word on its size and root.

Sources: c2sp.org/signed-note@v1.0.0, c2sp.org/tlog-checkpoint. Parsing is strict: what is accepted prints
back to the same bytes. Making signatures, and keeping keys, is left to the log's room; only the one signature
type that Pressmark's logs write is verified here, 0x01 (Ed25519); lines by unknown keys are ignored, as the
specification asks. What witnesses sign is left to `cosignatures`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from schemas.digests import strict_base64
from schemas.ed25519 import PUBLIC_KEY_SIZE, ed25519_verify
from schemas.errors import CheckFailed, InvalidValue
from schemas.merkle import HASH_SIZE, MAX_TREE_SIZE

#: Signature type byte of plain Ed25519.
ALGORITHM_ED25519: Final = 0x01

#: Those of cosignatures by witnesses: over Ed25519, and over ML-DSA-44 (c2sp.org/tlog-cosignature).
ALGORITHM_COSIGNATURE: Final = 0x04
ALGORITHM_MLDSA44: Final = 0x06

#: Bytes of an ML-DSA-44 public key (FIPS 204).
MLDSA44_KEY_SIZE: Final = 1312

#: Bytes of a note; post-quantum cosignatures run to 5 kB each.
MAX_NOTE: Final = 1_000_000

#: Signature lines of a note; the specification asks that at least 16 be accepted.
MAX_SIGNATURES: Final = 64

_SIGNATURE_MARK: Final = "— "
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_VKEY_HASH: Final = re.compile(r"[0-9a-f]{8}")

# Type -> bytes of its public keys.
_KEY_SIZES: Final = {
    ALGORITHM_ED25519: PUBLIC_KEY_SIZE,
    ALGORITHM_COSIGNATURE: PUBLIC_KEY_SIZE,
    ALGORITHM_MLDSA44: MLDSA44_KEY_SIZE,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NoteSignature:
    """One signature line."""

    name: str
    key_id: bytes  # 4 bytes
    signature: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A signed note. `text` ends with a newline and is what the signatures cover."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Read a note. Raises InvalidValue."""
        if len(data) > MAX_NOTE:
            raise InvalidValue(f"a note has at most {MAX_NOTE} bytes")
        try:
            whole = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidValue("a note is UTF-8") from error
        if any(char < " " and char != "\n" for char in whole):
            raise InvalidValue("a note has no control characters but newline")
        text, separator, lines = whole.rpartition("\n\n")
        if not separator or not lines.endswith("\n"):
            raise InvalidValue(
                "a note is a text, an empty line, and signature lines that each end in a newline"
            )
        signatures = tuple(_parse_signature(line) for line in lines[:-1].split("\n"))
        if len(signatures) > MAX_SIGNATURES:
            raise InvalidValue(f"a note has at most {MAX_SIGNATURES} signatures")
        return cls(text=text + "\n", signatures=signatures)

    def by(self, vkey: VerifierKey) -> list[NoteSignature]:
        """The signature lines that name this key."""
        return [s for s in self.signatures if s.name == vkey.name and s.key_id == vkey.key_id]

    def encode(self) -> bytes:
        """The note's bytes."""
        lines = [note_signature_line(s.name, s.key_id, s.signature) for s in self.signatures]
        return (self.text + "\n" + "".join(lines)).encode("utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifierKey:
    """A public key with its name. `str()` gives `name+hash+base64`, the form in which keys are handed on."""

    name: str
    public: bytes
    algorithm: int = ALGORITHM_ED25519

    def __post_init__(self) -> None:
        _check_key_name(self.name)
        size = _KEY_SIZES.get(self.algorithm)
        if size is None:
            raise InvalidValue(f"no type of key is numbered {self.algorithm}")
        if len(self.public) != size:
            raise InvalidValue(f"a public key of the type {self.algorithm} has {size} bytes, not {len(self.public)}")

    @classmethod
    def parse(cls, text: str, *, types: Collection[int] = (ALGORITHM_ED25519,)) -> VerifierKey:
        """Read `name+hash+base64`, the key of a log unless other `types` are named.

        Raises InvalidValue where the hash does not fit or the type is none of `types`.
        """
        parts = text.strip("\n").split("+", 2)
        if len(parts) != 3 or _VKEY_HASH.fullmatch(parts[1]) is None:
            raise InvalidValue(f"not a verifier key of the form name+hash+base64: {text[:80]!r}")
        raw = strict_base64(parts[2])
        if not raw or raw[0] not in types:
            wanted = " or ".join(f"0x{number:02x}" for number in types)
            raise InvalidValue(f"a verifier key of another type than {wanted}")
        found = cls(name=parts[0], public=raw[1:], algorithm=raw[0])
        if found.key_id.hex() != parts[1]:
            raise InvalidValue("a verifier key whose hash does not fit its name and key")
        return found

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return key_id(self.name, self.algorithm, self.public)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the vkey text, in hex: for people to compare; `key_id` is too short for that."""
        return hashlib.sha256(str(self).encode("utf-8")).hexdigest()

    def __str__(self) -> str:
        packed = base64.b64encode(bytes([self.algorithm]) + self.public).decode("ascii")
        return f"{self.name}+{self.key_id.hex()}+{packed}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The log's head: which log, how many entries, which root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note text: origin, size, root, extension lines, each with its newline. Raises InvalidValue."""
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode("ascii"), *self.extensions]
        text = "".join(f"{line}\n" for line in lines)
        if Checkpoint.parse(text) != self:
            raise InvalidValue("these values do not make a checkpoint that reads back the same")
        return text

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a note text. Raises InvalidValue."""
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise InvalidValue(
                "a checkpoint has three or more lines, none of them empty, each ending in a newline"
            )
        origin, size, root = lines[:3]
        if _DECIMAL.fullmatch(size) is None or int(size) > MAX_TREE_SIZE:
            raise InvalidValue(f"not a tree size: {size[:40]!r}")
        raw = strict_base64(root)
        if len(raw) != HASH_SIZE:
            raise InvalidValue(f"a root has {HASH_SIZE} bytes, not {len(raw)}")
        return cls(origin=origin, size=int(size), root=raw, extensions=tuple(lines[3:-1]))


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """First four bytes of SHA-256(name || newline || type || public key)."""
    return hashlib.sha256(name.encode("utf-8") + b"\n" + bytes([algorithm]) + public).digest()[:4]


def note_signature_line(name: str, key_id: bytes, signature: bytes) -> str:
    """`— name base64(key id || signature)` with its newline. Raises InvalidValue."""
    _check_key_name(name)
    if len(key_id) != 4 or not signature:
        raise InvalidValue("a signature line has a key id of 4 bytes and a signature")
    return f"{_SIGNATURE_MARK}{name} {base64.b64encode(key_id + signature).decode('ascii')}\n"


def verify_note(note: Note, vkey: VerifierKey) -> None:
    """Check that the note is signed by that key. Raises CheckFailed.

    Lines by other keys are ignored; a line by this key that does not verify, or a second one, condemns the
    note.
    """
    if vkey.algorithm != ALGORITHM_ED25519:
        raise CheckFailed(f"{vkey.name}+{vkey.key_id.hex()} is no key of a log")
    mine = note.by(vkey)
    if not mine:
        raise CheckFailed(f"the note bears no signature by the key {vkey.name}+{vkey.key_id.hex()}")
    if len(mine) > 1:
        raise CheckFailed("the note bears two signatures by one key")
    if not ed25519_verify(vkey.public, mine[0].signature, note.text.encode("utf-8")):
        raise CheckFailed(f"the signature by {vkey.name}+{vkey.key_id.hex()} is not that of this text")


def open_checkpoint(data: bytes, vkey: VerifierKey) -> Checkpoint:
    """Read a signed checkpoint and check its signature. Raises InvalidValue or CheckFailed.

    The key's name must be the origin: a key signs for its own log only.
    """
    note = Note.parse(data)
    verify_note(note, vkey)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != vkey.name:
        raise CheckFailed(f"the checkpoint is of {checkpoint.origin[:80]!r}, the key of {vkey.name[:80]!r}")
    return checkpoint


def parse_signature_lines(data: bytes) -> tuple[NoteSignature, ...]:
    """Read signature lines that stand alone, as a witness answers them. Raises InvalidValue."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidValue("signature lines are UTF-8") from error
    if not text.endswith("\n") or text.count("\n") > MAX_SIGNATURES:
        raise InvalidValue(f"there are one to {MAX_SIGNATURES} signature lines, each ending in a newline")
    return tuple(_parse_signature(line) for line in text[:-1].split("\n"))


def _check_key_name(name: str) -> None:
    if not name or "+" in name or any(char.isspace() or char < " " for char in name):
        raise InvalidValue(
            f"a key name is not empty and has no space, plus or control character: {name[:80]!r}"
        )


def _parse_signature(line: str) -> NoteSignature:
    name, space, packed = line.removeprefix(_SIGNATURE_MARK).partition(" ")
    if not line.startswith(_SIGNATURE_MARK) or not space:
        raise InvalidValue(f"not a signature line: {line[:80]!r}")
    _check_key_name(name)
    raw = strict_base64(packed)
    if len(raw) < 5:
        raise InvalidValue("a signature line has a key id of 4 bytes and a signature")
    return NoteSignature(name=name, key_id=raw[:4], signature=raw[4:])

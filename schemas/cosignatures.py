"""Cosignatures: a witness's word that a checkpoint continues all that it saw of that log before.

Source: c2sp.org/tlog-cosignature. Ed25519 (type 0x04, `cosignature/v1`) is verified here; ML-DSA-44 (type 0x06) needs
a library, which the caller may hand in. Making cosignatures, and asking for them, is left to the log's room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from schemas.checkpoints import (
    ALGORITHM_COSIGNATURE,
    ALGORITHM_MLDSA44,
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
)
from schemas.ed25519 import SIGNATURE_SIZE, ed25519_verify
from schemas.errors import CheckFailed, InvalidValue, ServiceError

#: Types of key that a witness can have.
WITNESS_TYPES: Final = (ALGORITHM_COSIGNATURE, ALGORITHM_MLDSA44)

#: Bytes of an ML-DSA-44 signature (FIPS 204).
MLDSA44_SIGNATURE_SIZE: Final = 2420

#: The time of a cosignature is a POSIX timestamp of at most this.
MAX_COSIGNED: Final = 2**63 - 1

_SIGNATURE_SIZES: Final = {ALGORITHM_COSIGNATURE: SIGNATURE_SIZE, ALGORITHM_MLDSA44: MLDSA44_SIGNATURE_SIZE}

#: Verifies ML-DSA-44 with an empty context: (public key, signature, message) -> True where it holds.
VerifyMldsa44 = Callable[[bytes, bytes, bytes], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedSignature:
    """What the signature bytes of a cosignature hold (`timestamped_signature`)."""

    time: int  # POSIX timestamp, seconds
    signature: bytes

    @classmethod
    def parse(cls, data: bytes, algorithm: int) -> TimedSignature:
        """Read it. Raises InvalidValue where its length is not that of the type or its time is out of range."""
        size = _SIGNATURE_SIZES.get(algorithm)
        if size is None or len(data) != 8 + size:
            raise InvalidValue("not a time of 8 bytes and a signature of the length of its type")
        found = cls(time=int.from_bytes(data[:8], "big"), signature=data[8:])
        if found.time > MAX_COSIGNED:
            raise InvalidValue("a cosignature with a time beyond 2^63 - 1")
        return found

    def encode(self) -> bytes:
        """Its bytes."""
        return self.time.to_bytes(8, "big") + self.signature


def cosigned_message(text: str, time: int) -> bytes:
    """What an Ed25519 cosignature covers: header, time, and the whole note text of the checkpoint."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def subtree_message(checkpoint: Checkpoint, witness: str, time: int) -> bytes:
    """What an ML-DSA-44 cosignature covers (`cosigned_message`): a subtree that starts at 0, so the whole tree.

    Raises InvalidValue where a name is longer than its one length byte allows.
    """
    names = [witness.encode("utf-8"), checkpoint.origin.encode("utf-8")]
    if not all(1 <= len(name) <= 255 for name in names):
        raise InvalidValue("the names of a witness and of a log have 1 to 255 bytes")
    cosigner, origin = (bytes([len(name)]) + name for name in names)
    numbers = (0).to_bytes(8, "big") + checkpoint.size.to_bytes(8, "big")
    return b"subtree/v1\n\0" + cosigner + time.to_bytes(8, "big") + origin + numbers + checkpoint.root


def verify_cosignature(note: Note, witness: VerifierKey, mldsa44: VerifyMldsa44 | None = None) -> int:
    """Check the one cosignature of a witness on a checkpoint; its time as a POSIX timestamp.

    Raises CheckFailed where there is none, more than one, or a wrong one; ServiceError where it is of ML-DSA-44 and no
    verifier of that was handed in.
    """
    who = f"{witness.name}+{witness.key_id.hex()}"
    # 1. The key is a witness's, and one line is by it.
    if witness.algorithm not in WITNESS_TYPES:
        raise CheckFailed(f"{who} is no key of a witness")
    mine = note.by(witness)
    if len(mine) != 1:
        raise CheckFailed(f"the checkpoint bears {len(mine) or 'no'} cosignatures by {who}, where one is due")
    # 2. The line holds a time and a signature of the right length.
    try:
        timed = TimedSignature.parse(mine[0].signature, witness.algorithm)
        # 3. The signature covers that time and this checkpoint.
        if witness.algorithm == ALGORITHM_COSIGNATURE:
            message = cosigned_message(note.text, timed.time)
            holds = ed25519_verify(witness.public, timed.signature, message)
        elif mldsa44 is None:
            raise ServiceError(f"ML-DSA-44, by which {who} cosigns, cannot be checked here")
        else:
            message = subtree_message(Checkpoint.parse(note.text), witness.name, timed.time)
            holds = mldsa44(witness.public, timed.signature, message)
    except InvalidValue as error:
        raise CheckFailed(f"the cosignature by {who} cannot be read: {error}") from error
    if not holds:
        raise CheckFailed(f"the cosignature by {who} is not that of this checkpoint")
    return timed.time


def with_signatures(note: Note, lines: tuple[NoteSignature, ...]) -> Note:
    """The note with signature lines added that it does not bear yet, in their order."""
    new = [line for line in lines if line not in note.signatures]
    return Note(text=note.text, signatures=(*note.signatures, *dict.fromkeys(new)))

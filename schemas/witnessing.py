"""What a log and a witness say to each other: the body of `add-checkpoint`.

Source: c2sp.org/tlog-witness. Parsing is strict: what is accepted prints back to the same bytes. Sending and answering
are left to the log's room.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final

from schemas.checkpoints import MAX_NOTE
from schemas.digests import strict_base64
from schemas.errors import InvalidValue
from schemas.merkle import HASH_SIZE, MAX_TREE_SIZE

#: Hashes of a consistency proof that a request may carry.
MAX_PROOF_LINES: Final = 63

#: Bytes of a request: a note, and the proof above it.
MAX_REQUEST: Final = MAX_NOTE + 4096

#: Content type of the answer 409: the tree size that the witness cosigned last.
SIZE_TYPE: Final = "text/x.tlog.size"

_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, kw_only=True, slots=True)
class AddCheckpoint:
    """A request to cosign: the size that the witness saw last, the proof from there, the signed checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes  # the signed note, as sent

    @classmethod
    def parse(cls, data: bytes) -> AddCheckpoint:
        """Read a request. Raises InvalidValue."""
        if len(data) > MAX_REQUEST:
            raise InvalidValue(f"a request has at most {MAX_REQUEST} bytes")
        head, blank, checkpoint = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise InvalidValue("a request is ASCII before its checkpoint") from error
        match = _OLD.fullmatch(lines[0])
        if match is None or int(match[1]) > MAX_TREE_SIZE:
            raise InvalidValue("a request begins with a line `old N`")
        if not blank or not checkpoint:
            raise InvalidValue("a request has an empty line and a checkpoint behind its proof")
        proof = tuple(strict_base64(line) for line in lines[1:])
        if len(proof) > MAX_PROOF_LINES or any(len(value) != HASH_SIZE for value in proof):
            raise InvalidValue(f"a proof has at most {MAX_PROOF_LINES} hashes of {HASH_SIZE} bytes")
        return cls(old=int(match[1]), proof=proof, checkpoint=checkpoint)

    def encode(self) -> bytes:
        """The request's bytes."""
        lines = [f"old {self.old}", *(base64.b64encode(value).decode("ascii") for value in self.proof)]
        return "\n".join(lines).encode("ascii") + b"\n\n" + self.checkpoint


def print_size(size: int) -> bytes:
    """The body of an answer 409."""
    return f"{size}\n".encode("ascii")


def parse_size(data: bytes) -> int:
    """Read the body of an answer 409. Raises InvalidValue."""
    match = re.fullmatch(rb"(0|[1-9][0-9]{0,18})\n", data)
    if match is None or int(match[1]) > MAX_TREE_SIZE:
        raise InvalidValue("not a tree size on one line")
    return int(match[1])

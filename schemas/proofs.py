"""`.tlog-proof` files: one entry's place in the log, to be checked offline.

Source: c2sp.org/tlog-proof (`c2sp.org/tlog-proof@v1`). Parsing is strict: what is accepted prints back the
same. Building the path is left to `merkle`, signing the checkpoint to the log.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final

from schemas.checkpoints import Checkpoint, VerifierKey, open_checkpoint
from schemas.digests import strict_base64
from schemas.errors import InvalidValue
from schemas.merkle import HASH_SIZE, leaf_hash, verify_inclusion

PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"

#: Bytes of a proof: its checkpoint may carry large cosignatures.
MAX_PROOF: Final = 2_000_000

#: Levels of the largest tree, and so hashes of the longest path.
MAX_PATH: Final = 63

_INDEX_LINE: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, kw_only=True, slots=True)
class LogProof:
    """The parts of a proof.

    `checkpoint` is the signed note's exact bytes; `extra` is opaque and never trusted.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    @classmethod
    def parse(cls, data: bytes) -> LogProof:
        """Read a proof. Raises InvalidValue."""
        if len(data) > MAX_PROOF:
            raise InvalidValue(f"a log proof has at most {MAX_PROOF} bytes")
        head, blank, checkpoint = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise InvalidValue("a log proof is ASCII before its checkpoint") from error
        if not blank or not checkpoint or lines[0] != PROOF_HEADER:
            raise InvalidValue(
                f"a log proof begins with {PROOF_HEADER} and has an empty line before its checkpoint"
            )
        extra = None
        if len(lines) > 1 and lines[1].startswith("extra "):
            extra = strict_base64(lines.pop(1).removeprefix("extra "))
        match = _INDEX_LINE.fullmatch(lines[1]) if len(lines) > 1 else None
        if match is None:
            raise InvalidValue("a log proof has a line `index N`")
        hashes = tuple(strict_base64(line) for line in lines[2:])
        if len(hashes) > MAX_PATH or any(len(value) != HASH_SIZE for value in hashes):
            raise InvalidValue(f"the path of a log proof has at most {MAX_PATH} hashes of {HASH_SIZE} bytes")
        return cls(index=int(match[1]), hashes=hashes, checkpoint=checkpoint, extra=extra)

    def encode(self) -> bytes:
        """The proof's bytes."""
        lines = [PROOF_HEADER]
        if self.extra is not None:
            lines.append("extra " + base64.b64encode(self.extra).decode("ascii"))
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(value).decode("ascii") for value in self.hashes]
        return "\n".join(lines).encode("ascii") + b"\n\n" + self.checkpoint

    def verify(self, entry: bytes, vkey: VerifierKey) -> Checkpoint:
        """Check that `entry` stands at `index` in the log that `vkey` signs.

        Raises InvalidValue or CheckFailed.
        """
        # 1. The checkpoint is signed by the key.
        checkpoint = open_checkpoint(self.checkpoint, vkey)
        # 2. The entry's leaf hash and the path lead to the checkpoint's root.
        verify_inclusion(self.index, checkpoint.size, leaf_hash(entry), self.hashes, checkpoint.root)
        return checkpoint

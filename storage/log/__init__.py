"""The log: a C2SP tlog-tiles transparency log over the archive's entries.

`sequencer` gives an entry its index inside the caller's transaction; `tree` makes tiles and checkpoints of
what was sequenced, and proofs from them; `signing` holds the log key. What an entry says is left to
`schemas.entries`, how a proof is checked to `schemas.merkle` and `schemas.proofs`.
"""

from storage.log.sequencer import append
from storage.log.signing import Signer
from storage.log.tree import CHECKPOINT_KEY, TILE_PREFIX, Log

__all__ = ["CHECKPOINT_KEY", "TILE_PREFIX", "Log", "Signer", "append"]

"""Where the changes of a log's key are kept: proofs that old keys signed, and checkpoints that nothing continues.

Making those changes is left to `storage.keys`; what they prove to `schemas.bundle_trust`.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "keys/"


def handover_key(index: int) -> str:
    """The object that holds the proof of a `key` entry, under a checkpoint that the old key signed."""
    return f"{PREFIX}{index}.tlog-proof"


def frozen_key(index: int) -> str:
    """The object that holds the last checkpoint of a log whose key was lost; `index` is that of the `key` entry."""
    return f"{PREFIX}{index}.frozen"

"""The index that finds a capture from a fragment: winnowed fingerprints of normalised text.

Winnowing (Schleimer, Wilkerson, Aiken, 2003): of each window of hashes the smallest is kept, so that any run of
GUARANTEE normalised letters that two texts share is found. Aligning a fragment with what is found is left to
`ingest.align`.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Final

from storage.catalog import Tx

GRAM: Final = 24  # normalised letters a hash covers
WINDOW: Final = 57  # hashes of which one is kept
GUARANTEE: Final = GRAM + WINDOW - 1  # normalised letters


def normalise(text: str) -> str:
    """Letters and digits only, case and compatibility forms folded."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum())


def winnow(letters: str) -> list[tuple[int, int]]:
    """(hash, position) of the kept grams of a normalised text."""
    hashes = [_hash(letters[i : i + GRAM]) for i in range(max(1, len(letters) - GRAM + 1))] if letters else []
    kept: list[tuple[int, int]] = []
    for start in range(max(1, len(hashes) - WINDOW + 1)):
        window = hashes[start : start + WINDOW]
        if window:
            best = min(range(len(window)), key=lambda i: (window[i], -i))
            if not kept or kept[-1][1] != start + best:
                kept.append((window[best], start + best))
    return kept


def _hash(gram: str) -> int:
    return int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest(), signed=True)


def index_version(tx: Tx, row_id: int, text: str) -> None:
    """Make an article version findable."""
    tx.fingerprints.add(row_id, winnow(normalise(text)))

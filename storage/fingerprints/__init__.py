"""The index that finds a capture from a fragment: winnowed fingerprints of normalised text.

`letters` says what counts of a text, `grams` which fingerprints it gets, `segments` how many versions' fingerprints lie
in one sorted file, `candidates` which versions share most with a fragment, `index` keeps it all. Aligning a fragment
with what is found is left to `ingest.align`.
"""

from storage.catalog.fingerprints import STALE
from storage.fingerprints.candidates import EVERY_GRAM, Candidate, Candidates
from storage.fingerprints.grams import GRAM, GUARANTEE, PIECE, WINDOW, Pieces, Shared, every_gram, selected
from storage.fingerprints.index import FOLD, PREFIX, TraceIndex, index_version, keys_of
from storage.fingerprints.letters import (
    ABUGIDA_WEIGHT,
    HAN_WEIGHT,
    Normalised,
    has_markup,
    letters,
    letters_in_tags,
    normalise,
)

__all__ = [
    "ABUGIDA_WEIGHT",
    "EVERY_GRAM",
    "FOLD",
    "GRAM",
    "GUARANTEE",
    "HAN_WEIGHT",
    "PIECE",
    "PREFIX",
    "STALE",
    "WINDOW",
    "Candidate",
    "Candidates",
    "Normalised",
    "Pieces",
    "Shared",
    "TraceIndex",
    "every_gram",
    "has_markup",
    "index_version",
    "keys_of",
    "letters",
    "letters_in_tags",
    "normalise",
    "selected",
]

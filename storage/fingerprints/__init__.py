"""The index that finds a capture from a fragment: winnowed fingerprints of normalised text.

`letters` says what counts of a text, `grams` which fingerprints it gets, `segments` how many versions' fingerprints lie
in one sorted file, `index` what is asked of it all. Aligning a fragment with what is found is left to `ingest.align`.
"""

from storage.fingerprints.grams import GRAM, GUARANTEE, PIECE, WINDOW, Pieces, every_gram, selected
from storage.fingerprints.index import FOLD, PREFIX, STALE, Candidate, Candidates, TraceIndex, index_version, keys_of
from storage.fingerprints.letters import ABUGIDA_WEIGHT, HAN_WEIGHT, Normalised, letters, normalise

__all__ = [
    "ABUGIDA_WEIGHT",
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
    "TraceIndex",
    "every_gram",
    "index_version",
    "keys_of",
    "letters",
    "normalise",
    "selected",
]

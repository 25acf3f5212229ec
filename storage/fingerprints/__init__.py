"""The index that finds a capture from a fragment: winnowed fingerprints of normalised text.

`letters` says what counts of a text, `grams` which fingerprints it gets, `segments` how many versions' fingerprints lie
in one sorted file, `index` what is asked of it all. Aligning a fragment with what is found is left to `ingest.align`.
"""

from storage.fingerprints.grams import GRAM, GUARANTEE, WINDOW, every_gram, selected
from storage.fingerprints.index import FOLD, PREFIX, Candidate, Candidates, TraceIndex, index_version
from storage.fingerprints.letters import HAN_WEIGHT, THAI_WEIGHT, Normalised, letters, normalise

__all__ = [
    "FOLD",
    "GRAM",
    "GUARANTEE",
    "HAN_WEIGHT",
    "PREFIX",
    "THAI_WEIGHT",
    "WINDOW",
    "Candidate",
    "Candidates",
    "Normalised",
    "TraceIndex",
    "every_gram",
    "index_version",
    "letters",
    "normalise",
    "selected",
]

"""Which versions share most with a fragment: its keys looked up in all segments, their postings counted by version.

Two numbers tell a text in common from chance: the weight of the keys shared, and whether they lie as near each other in
the fragment as winnowing leaves them in a run in common. The second drops most of what shares a phrase here and there
before any text is read. Which segments there are is left to `index`, whether a text matches to `ingest.align`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from storage.fingerprints.grams import GRAM, WINDOW, Keys, every_gram, places
from storage.fingerprints.segments import Places, Segment

#: Fragments of at most so many letters are looked up gram by gram, which finds runs shorter than GUARANTEE as well; of
#: longer ones the grams that are kept are enough, at a seventh of the work.
EVERY_GRAM: Final = 600
#: Keys looked up at most for one fragment; of a longer one they are taken evenly.
MAX_LOOKUPS: Final = 50_000
#: Postings read at most for one fragment, the rarest keys' first: what everyone says tells little.
MAX_POSTINGS: Final = 200_000
#: Places of one key in a fragment that are looked at.
MAX_PLACES: Final = 4
#: A hit is a document, counted over all segments, the place of its key in the fragment, and the key's weight in steps,
#: from the upper bits down.
_WEIGHTS: Final = 8  # bits
_WEIGHT_MASK: Final = (1 << _WEIGHTS) - 1
_AT_MASK: Final = (1 << 24) - 1  # letters; what is behind them counts as there
_DOCUMENT_SHIFT: Final = 32
#: Postings from which on it is worth to leave out before sorting what stands alone, by so many bits of its document.
_SIEVED: Final = 1000
_SIEVE: Final = np.uint32((1 << 16) - 1)
_NOTHING: Final = np.empty(0, np.int64)


class Candidate(NamedTuple):
    """A version that shares keys with a fragment."""

    row_id: int
    hits: int  # keys shared
    weight: float  # of those keys: a rare one weighs more


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """The best candidates first, and what was left out."""

    found: tuple[Candidate, ...]
    keys: int  # of the fragment, looked up
    common: int  # of those, not read: they stand in too many versions
    cut: bool  # others share as much as was asked: they were left out for the limit, or seen by none of the keys read


def find(
    parts: Sequence[Segment], value: str, limit: int, *, least: int = 1, run: int = 0, many: int = 0
) -> Candidates:
    """The versions that share most with a letter sequence.

    Of those that share at least `least` keys, and of those at least `many` or keys so near each other that a run of
    `run` letters in common is possible.
    """
    asked = _asked(value)
    ranges = [segment.find(asked.keys) for segment in parts]
    counts = np.zeros(len(asked.keys), np.int64)
    for begin, end in ranges:
        counts += end - begin
    chosen, unread = _affordable(counts)
    scale = _scale(counts[chosen], sum(segment.documents for segment in parts))
    scale *= asked.first[chosen]
    marks = np.minimum(asked.at[chosen], _AT_MASK) << _WEIGHTS | scale
    firsts = np.cumsum([0, *(segment.documents for segment in parts)])
    hits = [
        _hits(segment.documents_at(begin[chosen], end[chosen]), end[chosen] - begin[chosen], marks, first, least)
        for segment, (begin, end), first in zip(parts, ranges, firsts[:-1].tolist(), strict=True)
    ]
    documents, shared, weights, runs = _by_document(np.concatenate(hits or [_NOTHING]), _gaps(asked, unread), least)
    enough = np.flatnonzero((shared >= least) & ((runs >= run) | (shared >= many)))
    documents, shared, weights = documents[enough], shared[enough], weights[enough]
    rows = _row_ids(parts, firsts, documents)
    order = np.lexsort((rows, -weights))[:limit]
    return Candidates(
        found=tuple(map(Candidate, rows[order].tolist(), shared[order].tolist(), (weights[order] / 8).tolist())),
        keys=int(asked.first.sum()),
        common=int(asked.first[unread].sum()),
        cut=len(order) < len(enough) or len(unread) > 0 or asked.thinned,
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Asked:
    """The keys to look up for a letter sequence, ascending: quicker to look up, for their buckets are then, too."""

    keys: Keys
    at: Places  # where each stands in the sequence
    first: npt.NDArray[np.bool_]  # False where the one before is the same key at another place: it counts once
    length: int  # of the sequence
    dropped: Places  # places of keys that are there too often
    thinned: bool  # not all keys are looked up


def _asked(value: str) -> _Asked:
    if len(value) <= EVERY_GRAM:
        keys = every_gram(value)
        at = np.arange(len(keys), dtype=np.int64)
    else:
        keys, at = places(value)
    order = np.argsort(keys, kind="stable")
    keys, at = keys[order], at[order]
    few = np.ones(len(keys), np.bool_)
    few[MAX_PLACES:] = keys[MAX_PLACES:] != keys[:-MAX_PLACES]
    dropped = at[~few]
    keys, at = keys[few], at[few]
    step = -(-len(keys) // MAX_LOOKUPS) or 1
    keys, at = keys[::step], at[::step]
    first = np.ones(len(keys), np.bool_)
    first[1:] = keys[1:] != keys[:-1]
    return _Asked(keys=keys, at=at, first=first, length=len(value), dropped=dropped, thinned=step > 1)


def _affordable(counts: Places) -> tuple[Places, Places]:
    """(keys that are read: the rarest first, up to MAX_POSTINGS, and one at least; keys that are not, for that)."""
    order = np.argsort(counts, kind="stable")
    order = order[np.searchsorted(counts[order], 1) :]  # those that stand somewhere
    afforded = max(int(np.searchsorted(np.cumsum(counts[order]), MAX_POSTINGS, side="right")), 1)
    return order[:afforded], order[afforded:]


def _scale(counts: Places, documents: int) -> Places:
    """The weight of each key in whole steps: the logarithm of its rarity."""
    if not len(counts):
        return counts
    rarity = np.log2(1 + documents / counts)
    scale: Places = np.minimum(np.rint(rarity * 8), (1 << _WEIGHTS) - 1).astype(np.int64)
    return scale


def _hits(documents: npt.NDArray[np.uint32], counts: Places, marks: Places, first: int, least: int) -> Places:
    """For each posting read its document and, in the lower bits, the place of its key in the fragment and its weight.

    `documents` are those of one key after the other, numbered in their segment, whose first is `first` of all.
    """
    marks = np.repeat(marks, counts)
    if least > 1 and len(documents) > _SIEVED:  # most documents have one hit
        slots = documents & _SIEVE
        several = np.bincount(slots).take(slots) > 1
        documents, marks = documents[several], marks[several]
    hits: Places = (documents.astype(np.int64) + first << _DOCUMENT_SHIFT) | marks
    return hits


def _row_ids(parts: Sequence[Segment], firsts: Places, documents: Places) -> Places:
    """The row ids of documents counted over all segments."""
    rows = np.empty(len(documents), np.int64)
    of = np.searchsorted(firsts, documents, side="right") - 1
    for number, segment in enumerate(parts):
        some = np.flatnonzero(of == number)
        rows[some] = segment.rows[documents[some] - firsts[number]]
    return rows


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Gaps:
    """Where keys of a fragment were not read: nothing is said there of what a version shares."""

    near: npt.NDArray[np.bool_]  # for each letter whether it is within WINDOW of such a key
    beside: Places  # for each letter how many up to it are not near one


def _gaps(asked: _Asked, unread: Places) -> _Gaps | None:
    gone = np.concatenate((asked.at[unread], asked.dropped))
    if not len(gone):
        return None
    edges = np.zeros(asked.length + 1, np.int64)
    np.add.at(edges, np.maximum(gone - WINDOW, 0), 1)
    np.add.at(edges, np.minimum(gone + WINDOW + 1, asked.length), -1)
    near = np.cumsum(edges) > 0
    return _Gaps(near=near, beside=np.cumsum(~near))


def _by_document(hits: Places, gaps: _Gaps | None, least: int) -> tuple[Places, Places, Places, Places]:
    """Of each document with enough hits: (which, keys shared, their weight, letters that a run in common may have)."""
    hits.sort()
    documents = hits >> _DOCUMENT_SHIFT
    edges = np.ones(len(hits) + 1, np.bool_)  # whether another document begins there: at the first, and behind the last
    np.not_equal(documents[1:], documents[:-1], out=edges[1:-1])
    begins = edges[:-1]
    if least > 1:
        several = ~(begins & edges[1:])
        hits, documents, begins = hits[several], documents[several], begins[several]
    if not len(hits):
        return _NOTHING, _NOTHING, _NOTHING, _NOTHING
    at, scale = (hits >> _WEIGHTS) & _AT_MASK, hits & _WEIGHT_MASK
    first = np.flatnonzero(begins)
    shared = np.add.reduceat((scale > 0).astype(np.int64), first)
    weights = np.add.reduceat(scale, first)
    # Of a run in common each WINDOW of grams has a key that both keep: hits follow each other within WINDOW, and the
    # outermost are less than WINDOW from its ends.
    apart = at if gaps is None else gaps.beside[at]
    begins[1:] |= apart[1:] - apart[:-1] > WINDOW
    chains = np.flatnonzero(begins)
    low, high = at[chains], at[np.append(chains[1:], len(hits)) - 1]
    runs = high - low + GRAM + 2 * (WINDOW - 1)
    if gaps is not None:
        runs[gaps.near[low] | gaps.near[high]] = len(gaps.near)
    return documents[first], shared, weights, np.maximum.reduceat(runs, np.searchsorted(chains, first))

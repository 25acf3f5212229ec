"""From a fragment to the captures that it came from.

The index names candidates, `ingest.align` decides: a match is reported only where a long run of letters is shared, or
most of the fragment in an edited passage, so that "not found" and "found" both mean something. The best candidates are
aligned first, texts that many outlets carry once; as long as parts of the fragment stay without a match, the index is
asked for those parts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Final

from ingest.align import SEED, Passage, passages
from ingest.trace.answers import Match, TraceResult
from ingest.trace.claims import claims
from ingest.trace.matches import EDITED, Found, clusters, matches
from ingest.trace.queue import Queue
from storage.archive import Archive
from storage.catalog import Tx
from storage.fingerprints import (
    EVERY_GRAM,
    GRAM,
    PIECE,
    Candidate,
    Normalised,
    Pieces,
    has_markup,
    letters_in_tags,
    normalise,
)
from storage.withholding import withheld_among

#: Characters of a fragment that are looked at; more are cut off and the result says so.
MAX_FRAGMENT: Final = 4_000_000
#: Letters of the shortest run that alone makes a match, some 60 characters of English: longer than a phrase is.
MATCH_RUN: Final = 48
#: Letters of the shortest fragment that is looked for: about a line. Shorter ones stand in too many texts to tell.
SHORTEST: Final = 20
#: A fragment shorter than MATCH_RUN matches where this share of it stands in one run.
WHOLE: Final = 0.95
#: An edited fragment matches where a passage has so many letters of it, and the share EDITED.
EDITED_RUN: Final = 32
#: A passage within a longer fragment matches where it has so many letters in common, and this share of its extent.
PASSAGE_RUN: Final = 96
PASSAGE: Final = 0.75
#: Versions that the index is asked for, of which copies of one text are aligned once.
CANDIDATES: Final = 64
#: Texts that are aligned at most for one fragment.
MAX_TEXTS: Final = 96
#: Letters of the parts that a longer fragment is asked for in, where it gave no match as a whole; parts overlap, so
#: that each run of MATCH_RUN stands in one whole.
WINDOW: Final = 600
#: Share of the best candidate's weight below which a candidate is not aligned in the first place.
WORTH: Final = 0.1
#: Fragments shorter than this may match by few keys; longer ones share at least two keys with any match.
_ONE_KEY: Final = MATCH_RUN + 8
#: Keys of an edited passage without a run of MATCH_RUN letters, which has PASSAGE_RUN letters and some seven keys; one
#: more for each WINDOW of the fragment, for chance gives a longer one more of them.
_MANY_KEYS: Final = 3
assert SEED == PIECE
assert WINDOW <= EVERY_GRAM  # what is left of a longer fragment is asked for gram by gram


def trace(archive: Archive, text: str, *, limit: int = 20) -> TraceResult:
    """Find the article versions that a fragment of text came from.

    The best come first: those that cover most of it; among equals those in the fewest pieces, then the earliest.
    `limit` is the number of matches given. Raises CatalogError, StoreError, DiskError, DamageError.
    """
    cut = len(text) > MAX_FRAGMENT
    text = text[:MAX_FRAGMENT]
    with archive.catalog.read() as tx:
        fragment, found, common = _best_reading(archive, tx, text, limit)
        uncovered = tuple(_uncovered(fragment, found))
        complete = bool(found and not uncovered) or not tx.fingerprints.stale()
        names = tx.outlets.names()
        held = withheld_among(archive, tx, [row for some in found for row in some.rows])
    best, given = matches(found, fragment, names, held, limit)
    return TraceResult(
        matches=given,
        claims=tuple(
            claims(_apart(text, best), best.version if best else None, best.outlet if best else None, [*names.values()])
        ),
        note=_note(fragment, found, cut=cut, common=common, complete=complete),
        clusters=tuple(clusters(given)),
        uncovered=uncovered,
    )


def _best_reading(archive: Archive, tx: Tx, text: str, limit: int) -> tuple[Normalised, list[Found], int]:
    """(the fragment as it is read, what was found, phrases that were left out as too common).

    A fragment with something like tags is read without them, and as it stands where that may tell more: an article may
    have words in angle brackets. The reading with more letters in common is taken.
    """
    readings = [True, False] if has_markup(text) else [False]
    best: tuple[int, Normalised, list[Found], int] | None = None
    for markup in readings:
        fragment = normalise(text, markup=markup)
        search = _Search(archive, tx, fragment.letters, limit)
        found = search.run() if len(fragment.letters) >= SHORTEST else []
        shared = _shared(found)
        if best is None or shared > best[0]:
            best = shared, fragment, found, search.common
        if markup and found and letters_in_tags(text) < SHORTEST and not any(map(_has_brackets, found)):
            break
    assert best is not None
    return best[1:]


def _has_brackets(some: Found) -> bool:
    return any(has_markup(paragraph) for paragraph in some.paragraphs)


def _shared(found: Sequence[Found]) -> int:
    """How many letters of the fragment stand in at least one of the texts."""
    total = at = 0
    for start, end in sorted((run.start, run.end) for some in found for run in some.runs):
        total += max(0, end - max(start, at))
        at = max(at, end)
    return total


def _apart(text: str, best: Match | None) -> str:
    """The fragment with what was found set off by line breaks: a header that was fused to it ends there."""
    if best is None:
        return text
    start, end = best.spans[0].start, best.spans[-1].end
    return f"{text[:start]}\n{text[start:end]}\n{text[end:]}"


def _note(fragment: Normalised, found: Sequence[Found], *, cut: bool, common: int, complete: bool) -> str | None:
    notes = [f"only the first {MAX_FRAGMENT} characters were looked at"] if cut else []
    if not complete:
        notes.append("the trace index is not complete yet: the next command that writes completes it")
    if not found and len(fragment.letters) < SHORTEST:
        notes.append(f"the fragment has {len(fragment.letters)} letters; at least {SHORTEST} are needed")
    elif not found:
        least = min(MATCH_RUN, len(fragment.letters))
        notes.append(f"no text of {least} letters or more in common with anything archived here")
        if common:
            notes.append(f"{common} phrases that very many articles share were left out of the search")
    return "; ".join(notes) or None


class _Search:
    """One fragment's way through the index."""

    def __init__(self, archive: Archive, tx: Tx, value: str, limit: int) -> None:
        self._index, self._tx, self._value, self._limit = archive.traces, tx, value, limit
        self._seen: set[str] = set()  # digests of texts that were aligned
        self._known: set[int] = set()  # versions that have one of them
        self._found: list[Found] = []
        self._pieces = Pieces(value)
        self.common = 0

    def run(self) -> list[Found]:
        """Align the best candidates, then those of the parts that are left."""
        asked: set[tuple[int, int]] = set()
        done: list[tuple[int, int]] = []  # parts of which all that could match was aligned
        left = [(0, len(self._value))]
        while left:
            asked.update(left)
            for part in left:
                if len(self._seen) >= MAX_TEXTS:
                    return self._found
                if self._part(self._value[slice(*part)]):
                    done.append(part)
            gaps = _gaps(self._found, len(self._value), MATCH_RUN)
            parts = [part for gap in gaps for part in _windows(*gap) if part not in asked]
            left = list(_outside(parts, sorted(done)))
        return self._found

    def _part(self, value: str) -> bool:
        """Align the best candidates of a part, a few at a time, for as long as some of them match.

        True where all that shares enough with it was aligned.
        """
        long = len(value) >= _ONE_KEY
        many = _MANY_KEYS + len(value) // WINDOW
        asked = self._index.candidates(
            self._tx, value, CANDIDATES, least=2 if long else 1, run=MATCH_RUN if long else 0, many=many
        )
        self.common += asked.common
        others = [candidate for candidate in asked.found if candidate.row_id not in self._known]
        queue = Queue(others, _worth(len(value)), cut=asked.cut)
        versions = 0
        while versions < self._limit and len(self._seen) < MAX_TEXTS and (some := queue.take()):
            versions += self._align(some, queue)
        return queue.whole

    def _align(self, some: Sequence[Candidate], queue: Queue) -> int:
        """How many versions have those of these texts that match and were not aligned yet."""
        rows = self._tx.articles.by_rows([candidate.row_id for candidate in some])
        texts = matched = versions = 0
        for candidate in some:
            self._known.add(candidate.row_id)
            row = rows.get(candidate.row_id)
            if row is None or row.text_sha256 in self._seen:
                continue
            self._seen.add(row.text_sha256)
            texts += 1
            paragraphs = row.paragraphs
            text = normalise("\n\n".join(paragraphs))
            found = passages(self._value, text.letters, self._pieces.within)
            if convincing(found, len(self._value)):
                matched += 1
                copies = [row]
                if queue.alike(candidate):
                    copies = self._tx.articles.with_text(row.text_sha256, self._limit)
                    self._known.update(copy.row_id or 0 for copy in copies)
                    queue.drop(candidate, self._known, more=len(copies) == self._limit)
                versions += len(copies)
                self._found.append(Found(rows=copies, passages=found, paragraphs=paragraphs, text=text))
        queue.tried(texts, matched)
        return versions


def _worth(length: int) -> float:
    """The share of the best candidate's weight below which no other is aligned, for a part of so many letters.

    What has just enough letters in common to match has about so many keys of those of the whole part; half of that is
    let pass, for keys lie now closer, now wider.
    """
    needed = min(MATCH_RUN, max(EDITED_RUN, EDITED * length))
    return max(WORTH, 0.5 * (needed - GRAM + 1) / max(length - GRAM + 1, 1))


def convincing(found: Sequence[Passage], length: int) -> bool:
    """Whether passages in common make a match with a fragment of so many letters."""
    longest = max((run.length for passage in found for run in passage.runs), default=0)
    if longest >= MATCH_RUN or (length >= SHORTEST and longest >= WHOLE * length):
        return True
    return any(
        (passage.shared >= EDITED_RUN and passage.shared >= EDITED * length)
        or (passage.shared >= PASSAGE_RUN and passage.shared >= PASSAGE * passage.extent)
        for passage in found
    )


def _gaps(found: Sequence[Found], length: int, least: int) -> Iterator[tuple[int, int]]:
    """Letters of the fragment that no passage found has, in runs of at least so many."""
    taken = sorted((p.runs[0].start, p.runs[-1].end) for some in found for p in some.passages)
    at = 0
    for start, end in [*taken, (length, length)]:
        if start - at >= least:
            yield at, start
        at = max(at, end)


def _windows(start: int, end: int) -> Iterator[tuple[int, int]]:
    """A part of a fragment in overlapping parts of at most WINDOW letters."""
    step = WINDOW - MATCH_RUN
    for at in range(start, max(start + 1, end - MATCH_RUN), step):
        yield at, min(at + WINDOW, end)


def _outside(parts: Iterable[tuple[int, int]], done: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Those parts that lie in none of some others, which are sorted."""
    reach = list(accumulate((end for _, end in done), max))
    for start, end in parts:
        before = bisect_right(done, start, key=itemgetter(0))
        if not before or reach[before - 1] < end:
            yield start, end


def _uncovered(fragment: Normalised, found: Sequence[Found]) -> Iterator[tuple[int, int]]:
    for start, end in _gaps(found, len(fragment.letters), 1):
        yield fragment.span(start, end)

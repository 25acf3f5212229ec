"""From a fragment to the captures that it came from.

The index names candidates, `ingest.align` decides: a match is reported only where a long run of letters is shared, or
most of the fragment in an edited passage, so that "not found" and "found" both mean something. The best candidates are
aligned first, texts that many outlets carry once; as long as parts of the fragment stay without a match, the index is
asked for those parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ingest.align import SEED, Passage, Run, covered, passages
from ingest.trace.answers import Cluster, Match, Part, Span, TraceResult
from ingest.trace.claims import claims
from storage.archive import Archive
from storage.catalog import Tx
from storage.catalog.values import VersionRow
from storage.fingerprints import PIECE, Candidate, Normalised, Pieces, letters, normalise
from storage.withholding import withheld_among

#: Characters of a fragment that are looked at; more are cut off and the result says so.
MAX_FRAGMENT: Final = 4_000_000
#: Letters of the shortest run that alone makes a match, some 60 characters of English: longer than a phrase is.
MATCH_RUN: Final = 48
#: Letters of the shortest fragment that is looked for: about a line. Shorter ones stand in too many texts to tell.
SHORTEST: Final = 20
#: A fragment shorter than MATCH_RUN matches where this share of it stands in one run.
WHOLE: Final = 0.95
#: An edited fragment matches where a passage has so many letters of it, and this share of it.
EDITED_RUN: Final = 32
EDITED: Final = 0.6
#: A passage within a longer fragment matches where it has so many letters in common, and this share of its extent.
PASSAGE_RUN: Final = 96
PASSAGE: Final = 0.75
#: Versions that the index is asked for, of which copies of one text are aligned once.
CANDIDATES: Final = 64
#: Versions of which it is asked at a time which text they have.
LOOK: Final = 12
#: Texts that are aligned together; where none of them matches, no further ones are tried.
STEP: Final = 6
#: Texts that are aligned at most for one fragment.
MAX_TEXTS: Final = 96
#: Letters of the parts that a longer fragment is asked for in, where it gave no match as a whole; parts overlap, so
#: that each run of MATCH_RUN stands in one whole.
WINDOW: Final = 600
#: Share of the best candidate's weight below which a candidate is not aligned in the first place.
WORTH: Final = 0.1
#: Share of a passage of the fragment that two matches must have in common to be one cluster.
SAME: Final = 0.8
assert SEED == PIECE
#: Fragments shorter than this may match by few keys; longer ones share at least two keys with any match.
_ONE_KEY: Final = MATCH_RUN + 8


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """A text that matches, and the versions that have it."""

    rows: tuple[VersionRow, ...]
    passages: tuple[Passage, ...]
    text: str


def trace(archive: Archive, text: str, *, limit: int = 20) -> TraceResult:
    """Find the article versions that a fragment of text came from.

    The best come first: those that cover most of it; among equals those in the fewest pieces, then the earliest.
    `limit` is the number of matches given. Raises CatalogError, StoreError, DiskError, DamageError.
    """
    cut = len(text) > MAX_FRAGMENT
    text = text[:MAX_FRAGMENT]
    fragment = normalise(text)
    with archive.catalog.read() as tx:
        search = _Search(archive, tx, fragment.letters, limit)
        found = search.run() if len(fragment.letters) >= SHORTEST else []
        names = tx.outlets.names()
        matches = [match for some in found for match in _matches(some, fragment, names)]
        held = withheld_among(archive, tx, [match.version for match in matches])
        matches = [replace(match, restricted=match.version.log_index in held) for match in matches]
    matches.sort(key=lambda m: (-round(m.covered, 3), len(m.spans), m.version.first_seen, m.version.log_index))
    best = next((match for match in matches if not match.restricted), None)
    given = tuple(matches[:limit])
    return TraceResult(
        matches=given,
        claims=tuple(
            claims(_apart(text, best), best.version if best else None, best.outlet if best else None, [*names.values()])
        ),
        note=_note(fragment, matches, cut=cut, common=search.common),
        clusters=tuple(_clusters(given)),
        uncovered=tuple(_uncovered(fragment, found)),
    )


def _apart(text: str, best: Match | None) -> str:
    """The fragment with what was found set off by line breaks: a header that was fused to it ends there."""
    if best is None:
        return text
    start, end = best.spans[0].start, best.spans[-1].end
    return f"{text[:start]}\n{text[start:end]}\n{text[end:]}"


def _note(fragment: Normalised, matches: Sequence[Match], *, cut: bool, common: int) -> str | None:
    notes = [f"only the first {MAX_FRAGMENT} characters were looked at"] if cut else []
    if not matches and len(fragment.letters) < SHORTEST:
        notes.append(f"the fragment has {len(fragment.letters)} letters; at least {SHORTEST} are needed")
    elif not matches:
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
        self._found: list[_Found] = []
        self._pieces = Pieces(value)
        self.common = 0

    def run(self) -> list[_Found]:
        """Align the best candidates, then those of the parts that are left."""
        asked, left = {(0, len(self._value))}, [(0, len(self._value))]
        while left and len(self._seen) < MAX_TEXTS:
            for start, end in left:
                if len(self._seen) < MAX_TEXTS:
                    self._part(self._value[start:end])
            gaps = _gaps(self._found, len(self._value), MATCH_RUN)
            left = [part for gap in gaps for part in _windows(*gap) if part not in asked]
            asked.update(left)
        return self._found

    def _part(self, value: str) -> None:
        """Align the best candidates of a part, a few at a time, for as long as some of them match."""
        least = 1 if len(value) < _ONE_KEY else 2
        asked = self._index.candidates(self._tx, value, CANDIDATES, least=least)
        self.common += asked.common
        if not asked.found:
            return
        floor = asked.found[0].weight * WORTH
        worth = [candidate for candidate in asked.found if candidate.weight >= floor]
        for first in range(0, len(worth), LOOK):
            groups = self._groups(worth[first : first + LOOK])
            for begin in range(0, len(groups), STEP):
                if len(self._seen) >= MAX_TEXTS or not self._align(dict(groups[begin : begin + STEP])):
                    return

    def _groups(self, candidates: Sequence[Candidate]) -> list[tuple[str, list[int]]]:
        """Digests of texts that were not aligned yet, the best first, each with its versions."""
        digests = self._tx.articles.text_digests([candidate.row_id for candidate in candidates])
        groups: dict[str, list[int]] = {}
        for candidate in candidates:
            digest = digests.get(candidate.row_id)
            if digest is not None and digest not in self._seen:
                groups.setdefault(digest, []).append(candidate.row_id)
        return list(groups.items())

    def _align(self, groups: Mapping[str, list[int]]) -> bool:
        """True where one of these texts matches."""
        blocks = self._tx.articles.blocks([row_ids[0] for row_ids in groups.values()])
        some = False
        for digest, row_ids in groups.items():
            self._seen.add(digest)
            if row_ids[0] not in blocks:
                continue
            text = _text(blocks[row_ids[0]])
            other = letters(text)
            found = passages(self._value, other, self._pieces.places(other))
            if convincing(found, len(self._value)):
                some = True
                rows = self._tx.articles.with_text(digest, self._limit)
                self._found.append(_Found(rows=tuple(rows), passages=tuple(found), text=text))
        return some


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


def _gaps(found: Sequence[_Found], length: int, least: int) -> Iterator[tuple[int, int]]:
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


def _uncovered(fragment: Normalised, found: Sequence[_Found]) -> Iterator[tuple[int, int]]:
    for start, end in _gaps(found, len(fragment.letters), 1):
        yield fragment.span(start, end)


# -- matches


def _matches(found: _Found, fragment: Normalised, names: Mapping[str, str]) -> Iterator[Match]:
    runs = [run for passage in found.passages for run in passage.runs]
    whole, length = normalise(found.text), len(fragment.letters)
    share, longest = covered(runs, length), max(run.length for run in runs)
    kind = "exact" if longest == length else "edited" if share >= EDITED else "part"
    for row in found.rows:
        article = json.loads(row.block)
        spans = tuple(_span(run, article, fragment, whole) for run in runs)
        outlet = names.get(row.outlet_id, row.outlet_id)
        yield Match(version=row, outlet=outlet, covered=share, longest=longest, kind=kind, spans=spans)


def _span(run: Run, article: dict[str, Any], fragment: Normalised, text: Normalised) -> Span:
    start, end = fragment.span(run.start, run.end)
    text_start, text_end = text.span(run.other, run.other + run.length)
    parts = tuple(_parts(run, article, fragment, text))
    return Span(start=start, end=end, text_start=text_start, text_end=text_end, parts=parts)


def _parts(run: Run, article: dict[str, Any], fragment: Normalised, text: Normalised) -> Iterator[Part]:
    """A run paragraph by paragraph. Counted in letters: a character of several may be shared in part."""
    at = 0
    for number, paragraph in enumerate(article["paragraphs"]):
        begin, behind = (int(n) for n in text.positions.searchsorted((at, at + len(paragraph))))
        first, last = max(run.other, begin), min(run.other + run.length, behind)
        if first < last:
            start, end = fragment.span(run.start + first - run.other, run.start + last - run.other)
            low, high = text.span(first, last)
            yield Part(
                start=start, end=end, paragraph=number, paragraph_start=low - at, paragraph_end=high - at,
                bytes=_bytes(article, number),
            )  # fmt: skip
        at += len(paragraph) + 2


def _bytes(article: dict[str, Any], number: int) -> tuple[int, int] | None:
    span = (article.get("evidence") or {}).get(f"paragraphs/{number}", {}).get("span")
    return None if span is None else (span["start"], span["end"])


def _clusters(matches: Sequence[Match]) -> Iterator[Cluster]:
    """Matches that show the same passage of the fragment, in the order of their best; the earliest capture first."""
    groups: list[list[int]] = []
    for number, match in enumerate(matches):
        for group in groups:
            if _same_passage(matches[group[0]], match):
                group.append(number)
                break
        else:
            groups.append([number])
    for group in groups:
        group.sort(key=lambda n: (matches[n].version.first_seen, matches[n].version.log_index))
        yield Cluster(members=tuple(group), outlets=len({matches[n].version.outlet_id for n in group}))


def _same_passage(a: Match, b: Match) -> bool:
    shared = sum(max(0, min(s.end, t.end) - max(s.start, t.start)) for s in a.spans for t in b.spans)
    of_a, of_b = (sum(span.end - span.start for span in match.spans) for match in (a, b))
    return shared >= SAME * max(of_a, of_b)


def article_text(row: VersionRow) -> str:
    """The text of a version: its paragraphs joined by a blank line."""
    return _text(row.block)


def _text(block: str) -> str:
    return "\n\n".join(json.loads(block)["paragraphs"])

"""What was found, told: matches of texts that share passages with a fragment, span by span, and clusters of them.

Which texts match is left to `search`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from ingest.align import Passage, Run, covered
from ingest.trace.answers import Cluster, Match, Part, Span
from schemas.articles import paragraph_evidence
from storage.catalog.values import VersionRow
from storage.fingerprints import Normalised

#: An edited fragment matches where a passage has this share of it.
EDITED: Final = 0.6
#: Share of a passage of the fragment that two matches must have in common to be one cluster.
SAME: Final = 0.8


@dataclass(frozen=True, kw_only=True)
class Found:
    """A text that matches, and the versions that have it."""

    rows: Sequence[VersionRow]
    passages: Sequence[Passage]
    paragraphs: Sequence[str]
    text: Normalised  # of the paragraphs, joined by a blank line

    @cached_property
    def runs(self) -> list[Run]:
        """What it shares with the fragment."""
        return [run for passage in self.passages for run in passage.runs]

    def spans(self, fragment: Normalised) -> tuple[Span, ...]:
        """What it shares, in characters; the bytes of paragraphs are each version's own, and left out."""
        starts = [0]
        for paragraph in self.paragraphs:
            starts.append(starts[-1] + len(paragraph) + 2)
        begins = self.text.positions.searchsorted(starts).tolist()
        return tuple(self._span(run, fragment, starts, begins) for run in self.runs)

    def _span(self, run: Run, fragment: Normalised, starts: Sequence[int], begins: Sequence[int]) -> Span:
        start, end = fragment.span(run.start, run.end)
        text_start, text_end = self.text.span(run.other, run.other + run.length)
        parts = tuple(self._parts(run, fragment, starts, begins))
        return Span(start=start, end=end, text_start=text_start, text_end=text_end, parts=parts)

    def _parts(self, run: Run, fragment: Normalised, starts: Sequence[int], begins: Sequence[int]) -> Iterator[Part]:
        """A run paragraph by paragraph. Counted in letters: a character of several may be shared in part.

        Paragraphs begin at the characters `starts` and the letters `begins` of the text.
        """
        behind = run.other + run.length
        for number in range(bisect_right(begins, run.other) - 1, len(self.paragraphs)):
            first, last = max(run.other, begins[number]), min(behind, begins[number + 1])
            if begins[number] >= behind:
                return
            if first < last:
                start, end = fragment.span(run.start + first - run.other, run.start + last - run.other)
                low, high = (at - starts[number] for at in self.text.span(first, last))
                yield Part(
                    start=start, end=end, paragraph=number, paragraph_start=low, paragraph_end=high, bytes=None
                )  # fmt: skip


def matches(
    found: Sequence[Found], fragment: Normalised, names: Mapping[str, str], held: Container[int], limit: int
) -> tuple[Match | None, tuple[Match, ...]]:
    """(the best that may be shown, the first so many), the best first: see `search.trace`.

    `names` are those of outlets, `held` the log indexes of what may not be shown.
    """
    length, order = len(fragment.letters), []
    for number, some in enumerate(found):
        share = covered(some.runs, length)
        for at, row in enumerate(some.rows):
            order.append((-round(share, 3), len(some.runs), row.first_seen, row.log_index, number, at))
    order.sort()
    spans: dict[int, tuple[Span, ...]] = {}

    def match(number: int, at: int) -> Match:
        some = found[number]
        if number not in spans:
            spans[number] = some.spans(fragment)
        row, share, longest = some.rows[at], covered(some.runs, length), max(run.length for run in some.runs)
        return Match(
            version=row,
            outlet=names.get(row.outlet_id, row.outlet_id),
            covered=share,
            longest=longest,
            kind="exact" if longest == length else "edited" if share >= EDITED else "part",
            spans=_with_bytes(spans[number], row),
            restricted=row.log_index in held,
        )

    given = tuple(match(number, at) for *_, number, at in order[:limit])
    best = next((one for one in given if not one.restricted), None)
    if best is None:
        best = next((match(number, at) for *_, index, number, at in order[limit:] if index not in held), None)
    return best, given


def _with_bytes(spans: tuple[Span, ...], row: VersionRow) -> tuple[Span, ...]:
    """Spans with the bytes of their paragraphs in this version's page, where its extractor knew them."""
    evidence = paragraph_evidence(row.block, {part.paragraph for span in spans for part in span.parts})

    def known(part: Part) -> Part:
        span = evidence.get(part.paragraph, {}).get("span")
        return part if span is None else replace(part, bytes=(span["start"], span["end"]))

    return tuple(replace(span, parts=tuple(known(part) for part in span.parts)) for span in spans)


def clusters(given: Sequence[Match]) -> Iterator[Cluster]:
    """Matches that show the same passage of the fragment, in the order of their best; the earliest capture first."""
    groups: list[list[int]] = []
    extents = [[(span.start, span.end) for span in match.spans] for match in given]
    for number, extent in enumerate(extents):
        for group in groups:
            if _same_passage(extents[group[0]], extent):
                group.append(number)
                break
        else:
            groups.append([number])
    for group in groups:
        group.sort(key=lambda n: (given[n].version.first_seen, given[n].version.log_index))
        yield Cluster(members=tuple(group), outlets=len({given[n].version.outlet_id for n in group}))


def _same_passage(a: Sequence[tuple[int, int]], b: Sequence[tuple[int, int]]) -> bool:
    if a == b:
        return True
    shared = sum(max(0, min(end, behind) - max(start, first)) for start, end in a for first, behind in b)
    of_a, of_b = (sum(end - start for start, end in spans) for spans in (a, b))
    return shared >= SAME * max(of_a, of_b)

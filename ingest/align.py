"""A fragment held against a text: which runs of letters they share, and where. Pure.

Both come as letter sequences (`storage.fingerprints` says what a letter is), so white space, case, quotes and entities
do not count. Short pieces of the fragment are looked for in the text and extended to both sides, which takes time in
proportion to the fragment and the text, not to the product of both. Which texts are worth comparing is left to the
caller.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

#: Letters of a piece that is looked for, and how far apart pieces begin: a run of SEED + STRIDE - 1 holds one.
SEED: Final = 8
STRIDE: Final = 4
#: Letters of the shortest run that is reported by itself: below it, runs are shared by chance.
MIN_RUN: Final = 20
#: Letters of the shortest run that is reported beside another one: what is left between edited words.
MIN_PART: Final = 10
#: Letters by which neighbouring runs may be shifted against each other, or apart, and still be one edited passage.
MAX_SHIFT: Final = 64
#: Places of one piece in a text that are tried; a text that repeats itself more gains nothing.
MAX_PLACES: Final = 16


class Shared(Protocol):
    """The pieces of SEED letters of a fragment that a text has as well."""

    @property
    def starts(self) -> Sequence[int]:
        """Where they begin in the fragment, ascending; others may be there, too."""

    def places(self, piece: str, most: int) -> Sequence[int]:
        """Where one of them stands in the text, ascending: the first so many places."""


class Run(NamedTuple):
    """Letters that both share: fragment[start : start + length] equals text[other : other + length]."""

    start: int
    other: int
    length: int

    @property
    def end(self) -> int:
        """Behind its last letter in the fragment."""
        return self.start + self.length


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """Runs that follow each other in both with little between them: one passage, some words of it edited."""

    runs: tuple[Run, ...]

    @property
    def shared(self) -> int:
        """Letters that both have."""
        return sum(run.length for run in self.runs)

    @property
    def extent(self) -> int:
        """Letters of the fragment from its first run to the end of its last."""
        return self.runs[-1].end - self.runs[0].start


def align(fragment: str, text: str) -> list[Run]:
    """The longest shared runs that do not overlap in the fragment, in its order.

    A run shorter than MIN_RUN stands only in a passage that has MIN_RUN letters in all.
    """
    return [run for passage in passages(fragment, text) for run in passage.runs]


def passages(fragment: str, text: str, shared: Callable[[str], Shared] | None = None) -> list[Passage]:
    """The runs of `align`, those of one edited passage together.

    `shared` says which pieces of the fragment a text has as well, where the caller has a quicker way to know.
    """
    whole_at = text.find(fragment) if len(fragment) >= MIN_RUN else -1
    if whole_at >= 0:  # by far the most fragments of what is known
        return [Passage(runs=(Run(start=0, other=whole_at, length=len(fragment)),))]
    found: list[list[Run]] = []
    for run in _runs(fragment, text, shared(text) if shared else _Shared(fragment, text)):
        if found and _continues(found[-1][-1], run):
            found[-1].append(run)
        else:
            found.append([run])
    whole = (Passage(runs=tuple(runs)) for runs in found)
    return [passage for passage in whole if passage.shared >= MIN_RUN]


class _Shared:
    """Of any piece of the fragment where it stands in the text."""

    def __init__(self, fragment: str, text: str) -> None:
        self.starts = range(len(fragment) - SEED + 1)
        self._places: dict[str, list[int]] = {}
        for at in range(len(text) - SEED + 1):
            self._places.setdefault(text[at : at + SEED], []).append(at)

    def places(self, piece: str, most: int) -> Sequence[int]:
        return self._places.get(piece, ())[:most]


def _continues(before: Run, run: Run) -> bool:
    apart, other = run.start - before.end, run.other - (before.other + before.length)
    return 0 <= other <= MAX_SHIFT and apart <= MAX_SHIFT


def _runs(fragment: str, text: str, shared: Shared) -> list[Run]:
    runs: list[Run] = []
    starts, number, at = shared.starts, 0, 0
    while number < len(starts):
        start = starts[number]
        number += 1
        if (start - at) % STRIDE:
            continue
        best: Run | None = None
        before = runs[-1] if runs else None
        for other in shared.places(fragment[start : start + SEED], MAX_PLACES):
            run = _extend(fragment, text, start, other, at)
            if best is None or _better(run, best, before):
                best = run
        if best is not None and (best.length >= MIN_PART):
            runs.append(best)
            at = best.end
            number = bisect_left(starts, at, number)
    return runs


def _better(run: Run, best: Run, before: Run | None) -> bool:
    """The longer one, or, of short ones, the one that goes on where the run before ended."""
    if before is not None and run.length < MIN_RUN and best.length < MIN_RUN:
        goes_on, went_on = _continues(before, run), _continues(before, best)
        if goes_on != went_on:
            return goes_on
    return run.length > best.length


def _extend(fragment: str, text: str, at: int, other: int, floor: int) -> Run:
    """The longest run through a piece, not beginning before `floor` in the fragment."""
    back = 0
    while at - back > floor and other - back > 0 and fragment[at - back - 1] == text[other - back - 1]:
        back += 1
    forth = SEED
    step = 4096
    while step:
        if (
            at + forth + step <= len(fragment)
            and fragment[at + forth : at + forth + step] == text[other + forth : other + forth + step]
        ):
            forth += step
        else:
            step //= 2
    return Run(start=at - back, other=other - back, length=back + forth)


def covered(runs: Sequence[Run], length: int) -> float:
    """The share of a fragment of so many letters that the runs make up, from 0 to 1."""
    return sum(run.length for run in runs) / length if length else 0.0

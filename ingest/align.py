"""A fragment held against a text: which runs of letters they share, and where. Pure.

Both come as letter sequences (`storage.fingerprints` says what a letter is), so white space, case, quotes and entities
do not count. Short pieces of the fragment are looked for in the text and extended to both sides, which takes time in
proportion to the fragment, not to the product of both. Which texts are worth comparing is left to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Places = Mapping[str, Sequence[int]]

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
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


def passages(fragment: str, text: str, places: Places | None = None) -> list[Passage]:
    """The runs of `align`, those of one edited passage together.

    `places`, where the caller knows them, is where each piece of SEED letters of the fragment stands in the text,
    ascending.
    """
    found: list[list[Run]] = []
    for run in _runs(fragment, text, places):
        if found and _continues(found[-1][-1], run):
            found[-1].append(run)
        else:
            found.append([run])
    whole = (Passage(runs=tuple(runs)) for runs in found)
    return [passage for passage in whole if passage.shared >= MIN_RUN]


def _continues(before: Run, run: Run) -> bool:
    apart, other = run.start - before.end, run.other - (before.other + before.length)
    return 0 <= other <= MAX_SHIFT and apart <= MAX_SHIFT


def _runs(fragment: str, text: str, known: Places | None) -> list[Run]:
    runs: list[Run] = []
    places = _places(text) if known is None else known
    at = done = 0
    while at <= len(fragment) - SEED:
        best: Run | None = None
        before = runs[-1] if runs else None
        for other in places.get(fragment[at : at + SEED], ())[:MAX_PLACES]:
            run = _extend(fragment, text, at, other, done)
            if best is None or _better(run, best, before):
                best = run
        if best is not None and (best.length >= MIN_PART):
            runs.append(best)
            at = done = best.end
        else:
            at += STRIDE
    return runs


def _better(run: Run, best: Run, before: Run | None) -> bool:
    """The longer one, or, of short ones, the one that goes on where the run before ended."""
    if before is not None and run.length < MIN_RUN and best.length < MIN_RUN:
        goes_on, went_on = _continues(before, run), _continues(before, best)
        if goes_on != went_on:
            return goes_on
    return run.length > best.length


def _places(text: str) -> Places:
    """Where each piece of a text stands in it, ascending."""
    found: dict[str, list[int]] = {}
    for at in range(len(text) - SEED + 1):
        found.setdefault(text[at : at + SEED], []).append(at)
    return found


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

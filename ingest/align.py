"""A fragment held against a text: which runs of letters they share, and where. Pure.

Both come as letter sequences (`storage.fingerprints` says what a letter is), so white space, case, quotes and entities
do not count. Which texts are worth comparing is left to the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Letters of a seed; every shared run of at least 2 * SEED - 1 letters holds one that is looked up.
SEED: Final = 12
#: Letters of the shortest run that is reported: below it, runs are shared by chance.
MIN_RUN: Final = 20
#: Places of one seed in a text that are tried; a text that repeats itself more gains nothing.
MAX_PLACES: Final = 32


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


def seeds(text: str) -> dict[str, list[int]]:
    """Where seeds stand in a text, at every SEED-th letter."""
    places: dict[str, list[int]] = {}
    for at in range(0, len(text) - SEED + 1, SEED):
        found = places.setdefault(text[at : at + SEED], [])
        if len(found) < MAX_PLACES:
            found.append(at)
    return places


def align(fragment: str, text: str) -> list[Run]:
    """The longest shared runs that do not overlap in the fragment, in its order. Linear for texts of words."""
    places = seeds(text)
    runs: list[Run] = []
    at = done = 0
    while at <= len(fragment) - SEED:
        best: Run | None = None
        for other in places.get(fragment[at : at + SEED], ()):
            run = _extend(fragment, text, at, other, done)
            if best is None or run.length > best.length:
                best = run
        if best is not None and best.length >= MIN_RUN:
            runs.append(best)
            at = done = best.end
        else:
            at += 1
    return runs


def _extend(fragment: str, text: str, at: int, other: int, floor: int) -> Run:
    """The longest run through a seed, not beginning before `floor` in the fragment."""
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


def covered(runs: list[Run], length: int) -> float:
    """The share of a fragment of so many letters that the runs make up, from 0 to 1."""
    return sum(run.length for run in runs) / length if length else 0.0

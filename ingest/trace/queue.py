"""In what order the candidates for a part of a fragment are aligned, and when no further ones are tried.

The best come first, a few at a time, for as long as some of them match. Copies of one text share the same keys, so of
candidates that look alike one is tried first, and says which of the others are its copies. Aligning is left to
`search`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from storage.fingerprints import Candidate

#: Texts that are aligned while none matched; where none of them does, no further ones are tried.
STEP: Final = 6
#: Texts that are tried first behind some that matched; twice as many each time that all of them do.
AGAIN: Final = 2
#: Share of the best candidate's weight that those have which are tried before all others.
LEADING: Final = 0.5


class Queue:
    """The candidates for one part of a fragment."""

    def __init__(self, found: Sequence[Candidate], worth: float, *, cut: bool) -> None:
        """Those of `found`, the best first, that weigh at least `worth` of the best; `cut` where it lacks some."""
        self._best = found[0].weight if found else 0.0
        self._rest = [candidate for candidate in found if candidate.weight >= worth * self._best]
        self._whole = not cut and len(self._rest) == len(found)
        self._last = _looks(found[-1]) if cut and found else None
        self._tried: set[tuple[int, float]] = set()
        self._least = LEADING * self._best
        self._size, self._misses, self._some_matched = STEP, 0, False

    @property
    def whole(self) -> bool:
        """True where all candidates that there are were taken."""
        return self._whole and not self._rest

    def take(self) -> list[Candidate]:
        """The next few; none where no further ones are worth trying."""
        if self._misses >= (1 if self._some_matched else STEP):
            return []
        some: list[Candidate] = []
        later: list[Candidate] = []
        looks: set[tuple[int, float]] = set()
        for candidate in self._rest:
            look = _looks(candidate)
            if len(some) == self._size or candidate.weight < self._least or (look in looks and look not in self._tried):
                later.append(candidate)
            else:
                some.append(candidate)
                looks.add(look)
        self._rest, self._least = later, 0.0
        self._tried |= looks
        return some

    def tried(self, texts: int, matched: int) -> None:
        """Say of how many texts, aligned for the first time, those that were taken are, and how many matched."""
        if not matched:
            self._misses += texts
            return
        self._size = 2 * self._size if self._some_matched and matched == texts else AGAIN
        self._some_matched, self._misses = True, 0

    def alike(self, candidate: Candidate) -> bool:
        """True where others may be copies of this one."""
        look = _looks(candidate)
        return look == self._last or any(_looks(other) == look for other in self._rest)

    def drop(self, candidate: Candidate, copies: Collection[int], *, more: bool) -> None:
        """Leave out copies of one that matched; where there may be more of them, all that look alike."""
        look = _looks(candidate)
        if more:
            self._whole = False
        self._rest = [
            other for other in self._rest if other.row_id not in copies and not (more and _looks(other) == look)
        ]


def _looks(candidate: Candidate) -> tuple[int, float]:
    return candidate.hits, candidate.weight

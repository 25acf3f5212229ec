"""The index that finds a capture from a fragment: winnowed fingerprints of normalised text.

Winnowing (Schleimer, Wilkerson, Aiken: Winnowing, SIGMOD 2003): of each window of gram hashes the smallest is kept, so
that a run of GUARANTEE letters that two texts share always shares a fingerprint. Letters are what is left of a text
when case, marks, white space, punctuation and typography are taken away; a character of a dense script counts as
DENSE_WEIGHT letters, for it carries as much. Aligning a fragment with what is found is left to `ingest.align`.
"""

from __future__ import annotations

import html
import re
import unicodedata
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from storage.catalog import Tx

GRAM: Final = 24  # letters that one hash covers
WINDOW: Final = 57  # hashes of which one is kept
GUARANTEE: Final = GRAM + WINDOW - 1  # letters: 80, about 100 characters of English as written
DENSE_WEIGHT: Final = 4  # letters that a Han, kana or Thai character counts for: 20 of them make GUARANTEE
#: Fragments of at most so many letters are looked up gram by gram, which finds runs shorter than GUARANTEE as well.
EVERY_GRAM: Final = 4000
#: Hashes looked up at most for one fragment: a longer one is found by its beginning.
MAX_LOOKUPS: Final = 20_000
#: A hash that so many versions share is boilerplate and tells nothing (a syndicated text has fewer).
MAX_SHARED: Final = 2000

_MODULUS: Final = (1 << 61) - 1
_BASE: Final = 0x1F3D_5B79_A2C4_E681 % _MODULUS
_TOP: Final = pow(_BASE, GRAM - 1, _MODULUS)
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_DENSE: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x30FF),  # radicals, kana
    (0x3400, 0x9FFF),  # Han
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


class _Folding(dict[int, str]):
    """Code point -> its letters; filled as characters are met."""

    def __missing__(self, point: int) -> str:
        folded = self[point] = _fold(chr(point))
        return folded


def _fold(char: str) -> str:
    """The letters of one character: decomposed, without case and marks; none for what is no letter or digit."""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    return "".join(part * _weight(part) for part in parts if unicodedata.category(part)[0] in "LN")


def _weight(letter: str) -> int:
    return DENSE_WEIGHT if any(low <= ord(letter) <= high for low, high in _DENSE) else 1


_FOLDING: Final = _Folding()


def letters(text: str) -> str:
    """The letters of a text."""
    plain = _ENTITY.sub(_unescape, text) if "&" in text else text
    return plain.translate(_FOLDING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalised:
    """The letters of a text and where each stood."""

    letters: str
    positions: array[int]  # for each letter, the offset of its character in the text
    entities: Mapping[int, int]  # where an HTML entity begins -> where it ends

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The characters [first, behind the last) that letters [start, end) came from."""
        last = self.positions[end - 1]
        return self.positions[start], self.entities.get(last, last + 1)


def normalise(text: str) -> Normalised:
    """Letters with their places. An HTML entity stands where it begins."""
    found: list[str] = []
    positions = array("L")
    for offset, piece in _characters(text):
        folded = piece.translate(_FOLDING)
        if folded:
            found.append(folded)
            positions.extend([offset] * len(folded))
    entities = {match.start(): match.end() for match in _ENTITY.finditer(text)} if "&" in text else {}
    return Normalised(letters="".join(found), positions=positions, entities=entities)


def _characters(text: str) -> Iterator[tuple[int, str]]:
    """(offset, character), with entities read as what they stand for."""
    at = 0
    for match in _ENTITY.finditer(text) if "&" in text else ():
        yield from enumerate(text[at : match.start()], at)
        yield match.start(), _unescape(match)
        at = match.end()
    yield from enumerate(text[at:] if at else text, at)


def _unescape(match: re.Match[str]) -> str:
    """What an entity stands for; a name that means nothing is read once more as if its case had been mangled."""
    plain = html.unescape(match[0])
    return html.unescape(plain.lower()) if plain == match[0] else plain


def gram_hashes(value: str) -> list[int]:
    """The hash of each gram of a letter sequence, in order; empty below GRAM letters."""
    if len(value) < GRAM:
        return []
    codes = [ord(char) + 1 for char in value]
    rolling = 0
    for code in codes[:GRAM]:
        rolling = (rolling * _BASE + code) % _MODULUS
    hashes = [rolling]
    for gone, come in zip(codes, codes[GRAM:], strict=False):
        rolling = ((rolling - gone * _TOP) * _BASE + come) % _MODULUS
        hashes.append(rolling)
    return hashes


def winnow(hashes: list[int]) -> list[tuple[int, int]]:
    """(hash, index) of those that are kept: of each WINDOW the smallest, the rightmost of equals."""
    kept: list[tuple[int, int]] = []
    queue: deque[int] = deque()
    for index, value in enumerate(hashes):
        while queue and hashes[queue[-1]] >= value:
            queue.pop()
        queue.append(index)
        if queue[0] <= index - WINDOW:
            queue.popleft()
        if index >= WINDOW - 1 and (not kept or kept[-1][1] != queue[0]):
            kept.append((hashes[queue[0]], queue[0]))
    if hashes and not kept:  # shorter than a window: one fingerprint all the same
        kept.append((hashes[queue[0]], queue[0]))
    return kept


def index_version(tx: Tx, row_id: int, text: str) -> None:
    """Make an article version findable. A hash counts once: a text that repeats itself fills no index."""
    first: dict[int, int] = {}
    for value, at in winnow(gram_hashes(letters(text))):
        first.setdefault(value, at)
    tx.fingerprints.add(row_id, list(first.items()))


def candidates(tx: Tx, value: str, limit: int) -> list[tuple[int, int]]:
    """(row id, fingerprints shared) of the versions that share most with a letter sequence, the best first."""
    hashes = gram_hashes(value)
    wanted = hashes if len(value) <= EVERY_GRAM else [found for found, _ in winnow(hashes)]
    unique = list(dict.fromkeys(wanted))[:MAX_LOOKUPS]
    rows_of: dict[int, set[int]] = {}
    for found, row_id, _ in tx.fingerprints.lookup(unique) if unique else ():
        rows_of.setdefault(found, set()).add(row_id)
    counts: Counter[int] = Counter()
    for rows in rows_of.values():
        if len(rows) <= MAX_SHARED:
            counts.update(rows)
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]

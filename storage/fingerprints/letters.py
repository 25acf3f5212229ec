"""The letters of a text: what is left when case, marks, white space, punctuation and typography are taken away.

A scraper's manglings (fused words, other quotes, entities, soft hyphens, ligatures, UTF-8 read as Windows-1252) change
no letter, so that two texts are compared by what they say. A character of a dense script counts as several letters, for
it carries as much. What a fragment has in angle brackets may be a tag or part of the text: it can be read both ways. A
text that is kept is read in one, as it stands, for a fragment may be cut anywhere in it. A cut within an entity or a
mis-read sequence leaves a few letters at the fragment's end that the text has not.
Which letters two texts share is left to `grams` and `ingest.align`.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.int64]

#: Letters that a Han or kana character counts for: as much as a short word's half.
HAN_WEIGHT: Final = 3
#: Letters that a letter of an Indian or South-East Asian script counts for; its vowel signs, as marks, are dropped.
ABUGIDA_WEIGHT: Final = 2

_ENTITY: Final = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
#: A tag or comment left in a scraped text; what lies between tags stays. Bounded: `<` alone is a mark like others.
_TAG: Final = r"</?[A-Za-z][^<>]{0,400}>|<!--[^<>]{0,400}-->"
#: What Windows-1252 makes of the bytes 0x80 to 0x9F.
_CP1252: Final = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
#: What it makes of the bytes 0x80 to 0xBF, or Latin-1 of those that it leaves open.
_TAIL: Final = f"[\u0080-\u00bf{_CP1252}]"
#: UTF-8 read as Windows-1252: Latin, Greek, Cyrillic, Hebrew and Arabic in two bytes, typographic marks and ligatures
#: in three, emoji in four. Other scripts' three bytes only where two such characters follow each other: a French `é »`
#: is none.
_LONG: Final = 3  # bytes, and characters, of one of those
_MOJIBAKE: Final = (
    f"[ÂÃÄÅÎÏÐÑ×ØÙÚÛ]{_TAIL}|â(?!\u00a0){_TAIL}{_TAIL}|ï¬{_TAIL}|ð{_TAIL}{_TAIL}{_TAIL}"
    f"|(?:[à-ï]{_TAIL}{_TAIL}){{2,200}}"
)
_ODD: Final = re.compile(f"{_ENTITY}|{_MOJIBAKE}")
_MARKED_UP: Final = re.compile(f"{_ENTITY}|{_TAG}|{_MOJIBAKE}")
_TAGS: Final = re.compile(_TAG)
#: Behind the last character that mis-read sequences are made of (™, U+2122).
_BEYOND: Final = 0x2123


def _marked(points: Iterable[int]) -> npt.NDArray[np.bool_]:
    """For each character up to _BEYOND whether it is one of these."""
    marked = np.zeros(_BEYOND + 1, np.bool_)
    marked[list(points)] = True
    return marked


#: Which characters begin a mis-read sequence, and which go on with one: most texts have no such pair.
_LEADS: Final = _marked([*map(ord, "ÂÃÄÅÎÏÐÑ×ØÙÚÛ"), *range(0xE0, 0xF1)])
_TAILS: Final = _marked([*range(0x80, 0xC0), *map(ord, _CP1252)])

_HAN: Final = ((0x2E80, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_ABUGIDAS: Final = ((0x0900, 0x109F), (0x1780, 0x17FF))  # Devanagari to Sinhala, Thai, Lao, Tibetan, Myanmar; Khmer
#: Letters that have no decomposition in Unicode and are written without their stroke where a keyboard lacks it.
_PLAIN: Final = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})


class _Folding(dict[int, str]):
    """Code point -> its letters; filled as characters are met."""

    def __missing__(self, point: int) -> str:
        folded = self[point] = _fold(chr(point))
        return folded


def _fold(char: str) -> str:
    """The letters of one character: decomposed, without case and marks; none for what is no letter or digit."""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold()).translate(_PLAIN)
    return "".join(_plain(part) * _weight(part) for part in parts if unicodedata.category(part)[0] in "LN")


def _plain(part: str) -> str:
    """Digits of every script as ASCII's."""
    value = unicodedata.digit(part, None)
    return part if value is None else str(value)


def _weight(letter: str) -> int:
    point = ord(letter)
    if any(low <= point <= high for low, high in _HAN):
        return HAN_WEIGHT
    return ABUGIDA_WEIGHT if any(low <= point <= high for low, high in _ABUGIDAS) else 1


_FOLDING: Final = _Folding()

# What most characters become, for whole texts at once: up to _WIDTH letters, and how many. Filled as they are met.
_WIDTH: Final = 3
_LETTERS: Final = tuple(np.zeros(0x11_0000, np.uint32) for _ in range(_WIDTH))
_TIMES: Final = np.full(0x11_0000, 0xFF, np.uint8)
_UNKNOWN: Final = 0xFF
_WIDE: Final = 0xFE  # more letters than _WIDTH


def _learn(points: Points) -> None:
    for point in np.unique(points).tolist():
        folded = _FOLDING[point]
        for column, letter in zip(_LETTERS, folded, strict=False):
            column[point] = ord(letter)
        _TIMES[point] = len(folded) if len(folded) <= _WIDTH else _WIDE


def _fast(points: Points) -> tuple[str, npt.NDArray[np.uint8]] | None:
    """(letters, how many each character gave); None where one gave more than _WIDTH."""
    times = _TIMES.take(points)
    most = int(times.max(initial=0))
    if most == _UNKNOWN:
        _learn(points[times == _UNKNOWN])
        times = _TIMES.take(points)
        most = int(times.max())
    if most == _WIDE:
        return None
    if most <= 1:
        found = _LETTERS[0].take(points[times != 0])
    else:
        found = np.repeat(_LETTERS[0].take(points), times)
        behind = np.cumsum(times, dtype=np.int64)
        for column in range(1, most):
            longer = np.flatnonzero(times > column)
            found[behind[longer] - times[longer] + column] = _LETTERS[column][points[longer]]
    return found.tobytes().decode("utf-32-le", "surrogatepass"), times


def _points(text: str) -> Points:
    """The code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)


def _is_odd(text: str, points: Points) -> bool:
    """True where a text may hold odd pieces."""
    if "&" in text:
        return True
    if text.isascii():
        return False
    clipped = np.minimum(points, _BEYOND)
    return bool((_LEADS.take(clipped[:-1]) & _TAILS.take(clipped[1:])).any())


def letters(text: str) -> str:
    """The letters of a text."""
    points = _points(text)
    if _is_odd(text, points):
        text = _ODD.sub(_meant, text)
        points = _points(text)
    fast = _fast(points)
    return text.translate(_FOLDING) if fast is None else fast[0]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Normalised:
    """The letters of a text and where each stood."""

    letters: str
    positions: npt.NDArray[np.int64]  # for each letter, the offset of its character in the text
    pieces: Mapping[int, int]  # where an entity or a mis-read sequence begins -> where it ends

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The characters [first, behind the last) that letters [start, end) came from."""
        last = int(self.positions[end - 1])
        return int(self.positions[start]), self.pieces.get(last, last + 1)


def letters_in_tags(text: str) -> int:
    """How many letters the longest of what looks like a tag or comment has; 0 where there is none."""
    return max((len(letters(match[0])) for match in _TAGS.finditer(text)), default=0) if "<" in text else 0


def has_markup(text: str) -> bool:
    """True where something in a text looks like a tag or comment of HTML."""
    return "<" in text and _TAGS.search(text) is not None


def normalise(text: str, *, markup: bool = False) -> Normalised:
    """Letters with their places. What stands for another text (an entity) stands where it begins.

    With `markup` what looks like a tag has no letters.
    """
    points = _points(text)
    pattern = _MARKED_UP if markup else _ODD
    odd = list(pattern.finditer(text)) if markup or _is_odd(text, points) else []
    offsets = np.arange(len(text), dtype=np.int64)
    if odd:
        text, offsets = _replaced(text, odd, offsets)
        points = _points(text)
    pieces = {match.start(): match.end() for match in odd}
    if (fast := _fast(points)) is not None:
        plain, times = fast
        single = times.max(initial=0) <= 1  # much quicker, and so it is in most texts
        positions = offsets[times != 0] if single else np.repeat(offsets, times)
        return Normalised(letters=plain, positions=positions, pieces=pieces)
    found = [char.translate(_FOLDING) for char in text]
    counts = np.fromiter((len(folded) for folded in found), np.int64, len(found))
    return Normalised(letters="".join(found), positions=np.repeat(offsets, counts), pieces=pieces)


def _replaced(
    text: str, odd: Sequence[re.Match[str]], offsets: npt.NDArray[np.int64]
) -> tuple[str, npt.NDArray[np.int64]]:
    """A text with its odd pieces read as what they stand for, and where each of its characters stood."""
    plain: list[str] = []
    places: list[npt.NDArray[np.int64]] = []
    at = 0
    for match in odd:
        meant = _meant(match)
        plain += text[at : match.start()], meant
        places += offsets[at : match.start()], np.full(len(meant), match.start(), np.int64)
        at = match.end()
    return "".join((*plain, text[at:])), np.concatenate((*places, offsets[at:]))


def _meant(match: re.Match[str]) -> str:
    """What an entity, a tag or a mis-read sequence stands for."""
    piece = match[0]
    if piece[0] == "<":
        return " "
    if piece[0] != "&":
        return _reread(piece)
    plain = html.unescape(piece)  # a name that means nothing is read once more as if its case had been mangled
    return html.unescape(plain.lower()) if plain == piece else plain


def _reread(piece: str) -> str:
    """UTF-8 that was read as Windows-1252 or Latin-1, read right; what is no such thing stays as it is.

    Of several sequences in a row each is read by itself, so that none depends on another that a cut may leave out.
    """
    data = b"".join([_byte(char) for char in piece])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        if len(piece) < 2 * _LONG:
            return piece
        return "".join([_reread(piece[at : at + _LONG]) for at in range(0, len(piece), _LONG)])


def _byte(char: str) -> bytes:
    return bytes([ord(char)]) if ord(char) < 0x100 else char.encode("cp1252")

"""How a fragment and an archived text differ, word by word, for people to read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final

from ingest.trace.answers import Match
from storage.fingerprints import has_markup, letters, normalise

#: Words of both sides together up to which a diff is made; its time grows with their product.
MAX_WORDS: Final = 4000
#: Words that both share and that are shown beside a difference.
CONTEXT: Final = 6

_WORD: Final = re.compile(r"\S+")


def diff(fragment: str, text: str, match: Match) -> str:
    """The aligned passage with `[-archived-]` words that the fragment lacks and `{+fragment+}` words that it adds.

    From the first aligned character to the last; long runs in common are shortened. Empty where no word differs.
    """
    first, last = match.spans[0], match.spans[-1]
    low, high = min(s.text_start for s in match.spans), max(s.text_end for s in match.spans)
    theirs, ours = _WORD.findall(text[low:high]), _WORD.findall(fragment[first.start : last.end])
    if len(theirs) + len(ours) > MAX_WORDS:
        return f"(more than {MAX_WORDS} words: no diff was made)"
    known = [letters(w) for w in theirs]
    standing = set(known)
    matcher = SequenceMatcher(None, known, [_said(w, standing) for w in ours], autojunk=False)
    codes = matcher.get_opcodes()
    if all(tag == "equal" for tag, *_ in codes):
        return ""
    return " ".join(_pieces(codes, theirs, ours))


def _said(word: str, known: set[str]) -> str:
    """The letters of a word of the fragment, without tags that hang on it unless the article has them as well."""
    said = letters(word)
    return normalise(word, markup=True).letters if has_markup(word) and said not in known else said


def _pieces(codes: Sequence[tuple[str, int, int, int, int]], theirs: list[str], ours: list[str]) -> Iterator[str]:
    for number, (tag, a, b, c, d) in enumerate(codes):
        if tag == "equal":
            yield from _shortened(theirs[a:b], head=number == 0, tail=number == len(codes) - 1)
            continue
        if letters("".join(theirs[a:b])) == letters("".join(ours[c:d])):
            yield " ".join(theirs[a:b])  # fused or parted words: white space alone
            continue
        if a < b:
            yield f"[-{' '.join(theirs[a:b])}-]"
        if c < d:
            yield f"{{+{' '.join(ours[c:d])}+}}"


def _shortened(words: list[str], *, head: bool, tail: bool) -> list[str]:
    if len(words) <= 2 * CONTEXT:
        return words
    before = [] if head else words[:CONTEXT]
    after = [] if tail else words[-CONTEXT:]
    return [*before, "…", *after]

"""Spans: where a raw string stands in the entity body, as byte offsets that a stranger can check.

lxml keeps no offsets. Most strings stand in the body as they are, and are looked for so first, in order, outside of
tags and scripts. For the others a small tokenizer goes over the body from the last place found and keeps, beside the
text without tags, where each piece came from; a string found there maps back. Attribute and JSON strings are looked
for as they stand or escaped in the usual ways. `schemas.articles.read_span` reads a span back, and none is given that
does not read back to its raw string.
"""

from __future__ import annotations

import html
import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from schemas.articles import BODY_LAYER, Span, clean, read_span
from schemas.errors import InvalidValue

#: Places tried for one string before it gets no span.
_MAX_TRIES: Final = 8
#: Characters of text, beyond twice the string, that are tokenized after the last place found.
_AHEAD: Final = 3_000
#: Codecs whose text encodes back to the same bytes, so that what is found in either is found in both.
_EXACT: Final = frozenset({"utf-8", "cp1252", "ascii", "cp1250", "cp1251", "cp1254", "iso8859-2", "koi8-r"})

#: Characters at the beginning and the end of a string that are looked for as they stand: few, for links begin soon.
_ANCHOR: Final = 12
_ANCHOR_END: Final = 6
#: Bytes of tags, addresses and entities that may stand within a paragraph.
_MOST_MARKUP: Final = 8_000

# Where markup opens: comments, scripts and styles, which are left out whole, and other tags.
_HIDDEN: Final = (b"<!--", b"<script", b"<style")
_WORD_GOES_ON: Final = re.compile(rb"\w")
_MARKUP: Final = re.compile(rb"<(?:!--|(script|style)\b|[/!?a-zA-Z][^>]*>?)", re.I)
_ENDS: Final = {
    b"script": re.compile(rb"</script\s*>", re.I),
    b"style": re.compile(rb"</style\s*>", re.I),
    b"": re.compile(rb"-->"),
}
# What a run of text between tags is made of: entities, white space, plain runs.
_TOKEN: Final = re.compile(r"(?P<entity>&#?\w{1,31};)|(?P<space>\s+)|(?P<run>[^&\s]+(?: [^&\s]+)*|&)")


def _ranges(body: bytes, opening: re.Pattern[bytes], start: int) -> Iterator[tuple[int, int]]:
    """Where markup stands from an offset on, as ranges of bytes; what never closes goes on to the end."""
    match = opening.search(body, start)
    while match is not None:
        end = match.end()
        if match.group(1) or body.startswith(b"<!--", match.start()):
            closed = _ENDS[(match.group(1) or b"").lower()].search(body, end)
            end = closed.end() if closed else len(body)
        yield match.start(), end
        match = opening.search(body, end)


def _hidden_ranges(body: bytes) -> Iterator[tuple[int, int]]:
    """What is never shown: comments, scripts and styles, in order; what never closes goes on to the end."""
    lower = body.lower()
    places = {opening: lower.find(opening) for opening in _HIDDEN}
    while (opening := min((o for o in _HIDDEN if places[o] >= 0), key=places.__getitem__, default=None)) is not None:
        start = places[opening]
        end = start + len(opening)
        if opening == b"<!--" or not _WORD_GOES_ON.match(body, end):
            closed = _ENDS[b"" if opening == b"<!--" else opening[1:]].search(lower, end)
            end = closed.end() if closed else len(body)
            yield start, end
        for other in _HIDDEN:
            if 0 <= places[other] < end:
                places[other] = lower.find(other, end)


def _piece_start(piece: tuple[int, int, bool]) -> int:
    return piece[0]


class _Plain:
    """The text of a body from an offset on without tags, each piece with its place in the source; read on demand."""

    def __init__(self, body: bytes, charset: str, start: int) -> None:
        self.start = start
        self.text = ""
        self.ended = False
        self._body = body
        self._charset = charset
        self._ranges = _ranges(body, _MARKUP, start)
        self.position = start  # how far the body was read
        self._parts: list[str] = []  # what was read and is not yet in the text
        self._at: list[int] = []  # where a piece starts in the plain text
        self._pieces: list[tuple[int, int, bool]] = []  # its bytes; whether its leading space fell out
        self._length = 0
        self._spaced = True

    def read_to(self, length: int) -> None:
        """Read on until the text has a length, or to the end."""
        while self._length < length and not self.ended:
            begin, end = next(self._ranges, (len(self._body), len(self._body)))
            if begin > self.position:
                self._add(self.position, begin)
            self.ended = begin >= len(self._body)
            self.position = end
        self.text += "".join(self._parts)
        self._parts.clear()

    def at(self, offset: int) -> int:
        """About where a byte of the body stands in the text that was read: the start of its piece."""
        index = bisect_right(self._pieces, offset, key=_piece_start) - 1
        return self._at[index] if index >= 0 else 0

    def _add(self, start: int, end: int) -> None:
        piece = self._body[start:end]
        shown = " " if piece.isspace() else _shown(piece.decode(self._charset, "replace"))
        led = shown[:1] == " "
        if led and self._spaced:
            shown = shown[1:]
        if not shown:
            return
        self._at.append(self._length)
        self._pieces.append((start, end, led and self._spaced))
        self._parts.append(shown)
        self._length += len(shown)
        self._spaced = shown[-1] == " "

    def source(self, start: int, end: int) -> tuple[int, int]:
        """The range of bytes behind a range of the plain text."""
        return self._map(start, first=True), self._map(end - 1, first=False)

    def _map(self, position: int, *, first: bool) -> int:
        index = bisect_right(self._at, position) - 1
        begin, stop, shortened = self._pieces[index]
        text = self._body[begin:stop].decode(self._charset, "replace")
        offset = _offset(text, position - self._at[index] + shortened, first=first)
        return begin + len(text[:offset].encode(self._charset, "replace"))


def _shown(text: str) -> str:
    """A run of text as it reads, with one space where white space begins or ends it."""
    if "&" in text:
        text = html.unescape(text)
    inner = clean(text)
    if not inner:
        return " "
    return f"{' ' if text[0].isspace() else ''}{inner}{' ' if text[-1].isspace() else ''}"


def _offset(text: str, position: int, *, first: bool) -> int:
    """Where the character of `_shown(text)` at a position begins (`first`) or ends in the text."""
    length, spaced = 0, False
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        literal = kind == "run"
        piece = match.group()
        if not literal:
            piece = " " if kind == "space" else clean(html.unescape(piece)) or " "
            if piece == " " and spaced:
                continue
            spaced = piece == " "
        else:
            spaced = False
        if position < length + len(piece):
            if literal:
                return match.start() + position - length + (0 if first else 1)
            return match.start() if first else match.end()
        length += len(piece)
    return len(text)


class Finder:
    """Looks for strings in one decoded entity body."""

    def __init__(self, body: bytes, text: str, charset: str) -> None:
        self._body = body
        self._charset = charset
        self._exact = charset in _EXACT and "\ufffd" not in text
        self._hidden: tuple[list[int], list[int]] | None = None  # starts and ends of what is never shown
        self._window: _Plain | None = None  # read from the place of the first string that does not stand as it is
        self._whole: _Plain | None = None
        self._cursor = 0  # bytes: the end of the last place found
        self._first = 0  # likewise of the first

    def find(self, raw: str | None, *, via: str) -> Span | None:
        """The first place where a raw string stands; `via` as in `Span`."""
        if not raw or not self._exact:
            return None
        if via == "html":
            return self._find_shown(raw)
        if via == "json":
            plain, escaped = json.dumps(raw, ensure_ascii=False)[1:-1], json.dumps(raw)[1:-1]
            forms: tuple[str, ...] = (plain, plain.replace("/", "\\/"), escaped, escaped.replace("/", "\\/"))
        else:
            escaped = html.escape(raw)
            other = (escaped.replace("&#x27;", "'"), escaped.replace("&#x27;", "&#039;"))
            forms = (raw, html.escape(raw, quote=False), escaped, *other)
        for form in dict.fromkeys(forms):
            span = self._literal(form, raw, via)
            if span is not None:
                return span
        return None

    def rewind(self) -> None:
        """Look from the first place found again: what comes next does not follow what was found last."""
        self._cursor = self._first

    def _literal(self, form: str, raw: str, via: str) -> Span | None:
        needle = self._encoded(form)
        start = self._body.find(needle) if needle else -1
        for _ in range(_MAX_TRIES):
            if start < 0:
                return None
            span = self._span(start, start + len(needle), via, raw)
            if span is not None:
                return span
            start = self._body.find(needle, start + 1)
        return None

    def _find_shown(self, raw: str) -> Span | None:
        """A string of the page's visible text: looked for after the last one found, then everywhere."""
        needle = self._encoded(raw)
        span = (
            self._visible(needle, raw, self._cursor)
            or (self._visible(needle, raw, 0) if self._cursor else None)
            or self._between(raw)
            or self._ahead(raw)
            or self._anywhere(raw)
        )
        if span is not None:
            self._cursor = span.end
            self._first = self._first or span.end
        return span

    def _visible(self, needle: bytes, raw: str, start: int) -> Span | None:
        """The string as it stands, outside of tags, comments, scripts and styles."""
        for place in self._places(needle, start):
            span = self._span(place, place + len(needle), "html", raw)
            if span is not None:
                return span
        return None

    def _places(self, needle: bytes, start: int) -> Iterator[int]:
        """Where bytes stand from an offset on outside of tags, comments, scripts and styles; a few tries."""
        for _ in range(_MAX_TRIES):
            start = self._body.find(needle, start) if needle else -1
            if start < 0:
                return
            hidden = self._hidden_until(start)
            if hidden is not None:
                start = hidden
                continue
            if self._body.rfind(b"<", 0, start) <= self._body.rfind(b">", 0, start):
                yield start
            start += len(needle)

    def _hidden_until(self, position: int) -> int | None:
        """The end of the hidden part that a position stands in, or None."""
        if self._hidden is None:
            ranges = list(_hidden_ranges(self._body))
            self._hidden = ([a for a, _ in ranges], [b for _, b in ranges])
        starts, ends = self._hidden
        index = bisect_right(starts, position) - 1
        return ends[index] if index >= 0 and position < ends[index] else None

    def _between(self, raw: str) -> Span | None:
        """A string with tags or entities within: its first and last characters as they stand, what is between read.

        Spares most strings the tokenizer. The last characters are looked for from where they stand at the earliest.
        """
        head, tail = self._encoded(raw[:_ANCHOR].rstrip()), self._encoded(raw[-_ANCHOR_END:].lstrip())
        if len(raw) < 2 * _ANCHOR or not head or not tail:
            return None
        least = len(self._encoded(raw)) - len(tail)
        most = least + _MOST_MARKUP
        for start in self._places(head, self._cursor):
            end = self._body.find(tail, start + least, start + most)
            for _ in range(_MAX_TRIES):
                if end < 0:
                    break
                span = self._span(start, end + len(tail), "html", raw)
                if span is not None:
                    return span
                end = self._body.find(tail, end + 1, start + most)
        return None

    def _ahead(self, raw: str) -> Span | None:
        """Tokenized from the last place found on, a little further than the string is long."""
        if self._window is None or not self._window.start <= self._cursor <= self._window.position:
            self._window = _Plain(self._body, self._charset, self._cursor)
        start = self._window.at(self._cursor)
        self._window.read_to(start + 2 * len(raw) + _AHEAD)
        return self._tokenized(raw, self._window, start)

    def _anywhere(self, raw: str) -> Span | None:
        if self._whole is None:
            self._whole = _Plain(self._body, self._charset, 0)
            self._whole.read_to(len(self._body) + 1)
        return self._tokenized(raw, self._whole, 0)

    def _tokenized(self, raw: str, plain: _Plain, start: int) -> Span | None:
        start = plain.text.find(raw, start)
        for _ in range(_MAX_TRIES):
            if start < 0:
                return None
            span = self._span(*plain.source(start, start + len(raw)), "html", raw)
            if span is not None:
                return span
            start = plain.text.find(raw, start + 1)
        return None

    def _encoded(self, text: str) -> bytes:
        """The bytes of a text; none where the charset lacks a character of it."""
        try:
            return text.encode(self._charset)
        except UnicodeEncodeError:
            return b""

    def _span(self, first: int, last: int, via: str, raw: str) -> Span | None:
        span = Span(layer=BODY_LAYER, start=first, end=last, charset=self._charset, via=via)
        try:
            return span if read_span(self._body, span) == clean(raw) else None
        except InvalidValue:
            return None

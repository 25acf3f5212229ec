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
from collections import Counter
from collections.abc import Iterator
from typing import Final

from schemas.articles import BODY_LAYER, Span, clean, read_span
from schemas.errors import InvalidValue

#: Places tried for one string before it gets no span.
_MAX_TRIES: Final = 8
#: Characters of text, beyond twice the string, that are tokenized after the last place found: first, then at most.
_AHEAD: Final = 200
_FAR_AHEAD: Final = 3_000
#: Codecs whose text encodes back to the same bytes, so that what is found in either is found in both.
_EXACT: Final = frozenset({"utf-8", "cp1252", "ascii", "cp1250", "cp1251", "cp1254", "iso8859-2", "koi8-r"})

#: Characters at the beginning and the end of a string that are looked for as they stand: few, for links begin soon.
_ANCHOR: Final = 12
_ANCHOR_END: Final = 6
#: Bytes of tags, addresses and entities that may stand within a paragraph.
_MOST_MARKUP: Final = 8_000
#: Bytes gone over in search of one page's strings, in all, before they are looked for only near where they should
#: stand: about a second's work, many times what the largest real pages take.
_MOST_WORK: Final = 8 * 1024**3
#: Bytes that "near" means: strings follow each other, and what stands near is looked for in every way first.
_NEAR: Final = 64 * 1024
#: Bytes before the last place found that are searched before what is far: a credit may stand before its caption.
_BEFORE: Final = 4_096
#: Bytes of the body after which a tokenized window is begun anew: its text is copied whenever it grows.
_MOST_WINDOW: Final = 1024 * 1024
#: Bytes before a place that are searched first for the bracket before it; doubled while there is none.
_BACK: Final = 256

# What is never shown opens so; it closes as `_ENDS` says, or never.
_HIDDEN: Final = (b"<!--", b"<script", b"<style")
_WORD_GOES_ON: Final = re.compile(rb"\w")
_ENDS: Final = {b"<!--": b"-->", b"<script": b"</script", b"<style": b"</style"}
_CLOSED: Final = re.compile(rb"\s*>")
# Where markup opens: what is never shown, by its opening alone, or a run of tags; whether white space stands among
# them. No part of it can fail after another, so it never goes back; runs are cut, for each tag of one takes memory.
_MARKUP: Final = re.compile(
    rb"<(?:!--|script\b|style\b)|(?:<(?!!--|script\b|style\b)[/!?a-zA-Z][^>]*>?(\s+)?){1,200}", re.I
)
# A tag, as in `_MARKUP`.
_TAG: Final = re.compile(rb"<[/!?a-zA-Z][^>]*>?")
_MAY_BE_ENTITY: Final = re.compile(r"[^\w\s.,:;!?()/\-]")
_ENTITY: Final = re.compile(rb"&(?:#\d{2,6}|#[xX][0-9a-fA-F]{2,6}|[a-zA-Z]{2,8});")
# What a run of text between tags is made of: entities, white space, plain runs.
_TOKEN: Final = re.compile(r"(?P<entity>&#?\w{1,31};)|(?P<space>\s+)|(?P<run>[^&\s]+(?: [^&\s]+)*|&)")


def _hidden_ranges(lower: bytes) -> Iterator[tuple[int, int]]:
    """What is never shown: comments, scripts and styles, in order; what never closes goes on to the end.

    `lower` is the body in lower case.
    """
    places = [lower.find(opening) for opening in _HIDDEN]
    while (start := min((p for p in places if p >= 0), default=-1)) >= 0:
        opening = _HIDDEN[places.index(start)]
        end = start + len(opening)
        if opening == b"<!--" or not _WORD_GOES_ON.match(lower, end):
            end = _end_of(lower, opening, end)
            yield start, end
        for number, place in enumerate(places):
            if 0 <= place < end:
                places[number] = lower.find(_HIDDEN[number], end)


class _Hidden:
    """Which places of a body are never shown; read as far as it is asked."""

    def __init__(self, lower: bytes) -> None:
        self._ranges = _hidden_ranges(lower)
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._read = -1  # the start of the last range read; the length of the body once there are no more
        self._whole = len(lower)

    def until(self, position: int) -> int | None:
        """The end of the hidden part that a position stands in, or None."""
        while self._read <= position:
            start, end = next(self._ranges, (self._whole, self._whole))
            self._read = start
            if start == self._whole:
                break
            self._starts.append(start)
            self._ends.append(end)
        index = bisect_right(self._starts, position) - 1
        return self._ends[index] if index >= 0 and position < self._ends[index] else None


def _end_of(lower: bytes, opening: bytes, start: int) -> int:
    """Where a hidden part ends that is open at an offset of a body in lower case."""
    closing = _ENDS[opening]
    while (start := lower.find(closing, start)) >= 0:
        start += len(closing)
        if closing == b"-->":
            return start
        closed = _CLOSED.match(lower, start)
        if closed is not None:
            return closed.end()
    return len(lower)


_CLOSE: Final = ord(">")


def _piece_start(piece: tuple[int, int, bool]) -> int:
    return piece[0]


class _Plain:
    """The text of a body from an offset on without tags, each piece with its place in the source; read on demand."""

    def __init__(self, body: bytes, lower: bytes, charset: str, start: int) -> None:
        self.start = start
        self.text = ""
        self.ended = False
        self._body = body
        self._lower = lower
        self._charset = charset
        self.position = start  # how far the body was read
        self._parts: list[str] = []  # what was read and is not yet in the text
        self._at: list[int] = []  # where a piece starts in the plain text
        self._pieces: list[tuple[int, int, bool]] = []  # its bytes; whether its leading space fell out
        self._length = 0
        self._spaced = True

    def read_to(self, length: int) -> None:
        """Read on until the text has a length, or to the end."""
        while self._length < length and not self.ended:
            run = _MARKUP.search(self._body, self.position)
            begin, end = run.span() if run is not None else (len(self._body), len(self._body))
            if begin > self.position:
                self._add(self.position, begin)
            if run is not None and self._body[end - 1] != _CLOSE and (opening := self._lower[begin:end]) in _ENDS:
                end = _end_of(self._lower, opening, end)
            elif run is not None and run.group(1) and not self._spaced:
                self._parts.append(" ")
                self._length += 1
                self._spaced = True
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


def _all_shown(body: bytes, lower: bytes, charset: str) -> str:
    """The text of a body without tags and what is hidden."""
    position, parts = 0, []
    for start, end in _hidden_ranges(lower):
        parts.append(body[position:start])
        position = end
    parts.append(body[position:])
    return clean(html.unescape(_TAG.sub(b"", b"".join(parts)).decode(charset, "replace")))


def _entities_of(body: bytes) -> dict[int, str]:
    """The entities of a part of a body by the character that each stands for: of several for one, the commonest."""
    written: dict[int, tuple[int, str]] = {}
    for entity, times in Counter(_ENTITY.findall(body)).items():
        spelled = entity.decode("ascii")
        character = html.unescape(spelled)
        if len(character) == 1 and not character.isspace():
            written[ord(character)] = max(written.get(ord(character), (0, "")), (times, spelled))
    return {character: spelled for character, (_, spelled) in written.items()}


class _Brackets:
    """Whether places of a body stand within a tag: after a `<` that no `>` follows. Goes over each byte about once.

    Kept are the stretches without brackets that were gone over, in order, and what opened or closed before each.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._open: list[bool] = []

    def open_at(self, place: int) -> bool:
        """True where the last bracket before a place is a `<`."""
        index = bisect_right(self._starts, place) - 1
        known = self._ends[index] if index >= 0 else 0
        if index >= 0 and place <= known:
            return self._open[index]
        bracket = self._last(known, place)
        if bracket >= 0 or index < 0:
            index += 1
            self._starts.insert(index, bracket + 1)
            self._ends.insert(index, place)
            self._open.insert(index, bracket >= 0 and self._body[bracket] != _CLOSE)
        self._ends[index] = place
        return self._open[index]

    def _last(self, start: int, end: int) -> int:
        """The last bracket of a range, or -1; looked for in ever longer steps, for one of the two may be far."""
        step = _BACK
        while end > start:
            begin = max(start, end - step)
            found = max(self._body.rfind(b"<", begin, end), self._body.rfind(b">", begin, end))
            if found >= 0:
                return found
            end, step = begin, 2 * step
        return -1


class Finder:
    """Looks for strings in one decoded entity body."""

    def __init__(self, body: bytes, text: str, charset: str, lower: bytes | None = None) -> None:
        """`lower` is the body in lower case, where the caller has it."""
        self._body = body
        self._charset = charset
        self._exact = charset in _EXACT and "\ufffd" not in text
        self._lower = lower if lower is not None else body.lower()
        self._hidden = _Hidden(self._lower)
        self._brackets = _Brackets(body)
        self._work = 0  # bytes gone over so far
        self._window: _Plain | None = None  # read from the place of the first string that does not stand as it is
        self._shown: str | None = None  # all that the page shows
        self._whole: _Plain | None = None  # the same with the place of each piece
        self._entities: dict[int, str] | None = None  # how the page writes some characters
        self._cursor = max(0, self._lower.find(b"<body"))  # bytes: the end of the last place found
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
        start = self._seek(needle, 0, len(self._body)) if needle else -1
        for _ in range(_MAX_TRIES):
            if start < 0:
                return None
            span = self._span(start, start + len(needle), via, raw)
            if span is not None:
                return span
            start = self._seek(needle, start + 1, len(self._body))
        return None

    def _seek(self, needle: bytes, start: int, stop: int) -> int:
        """The first place of bytes in a range, or -1; only near its start once too much was gone over."""
        stop = min(stop, len(self._body)) if self._work < _MOST_WORK else min(stop, start + _NEAR, len(self._body))
        if stop <= start:
            return -1
        place = self._body.find(needle, start, stop)
        self._work += (place if place >= 0 else stop) - start
        return place

    def _find_shown(self, raw: str) -> Span | None:
        """A string of the page's visible text: looked for a little after the last one found, then everywhere."""
        needle = self._encoded(raw)
        near, far = self._cursor + _NEAR, max(self._cursor, self._cursor + _NEAR - len(needle))
        # After the first string, which may stand in the head of the page, the next may be far.
        begun = self._cursor > self._first
        span = (
            self._visible(needle, raw, self._cursor, near)
            or self._between(raw, raw, near)
            or self._spelled(raw, near)
            or (self._ahead(raw, _AHEAD) if begun else None)
            or self._visible(needle, raw, max(0, self._cursor - _BEFORE), self._cursor)
            or self._visible(needle, raw, far, len(self._body))
            or self._ahead(raw, _FAR_AHEAD)
            or self._visible(needle, raw, 0, self._cursor)
            or self._anywhere(raw)
        )
        if span is not None:
            self._cursor = span.end
            self._first = self._first or span.end
        return span

    def _visible(self, needle: bytes, raw: str, start: int, stop: int) -> Span | None:
        """The string as it stands in a range, outside of tags, comments, scripts and styles."""
        plain = "<" not in raw and "&" not in raw  # reads back as it stands
        for place in self._places(needle, start, stop):
            if plain:
                return self._at(place, place + len(needle), "html")
            span = self._span(place, place + len(needle), "html", raw)
            if span is not None:
                return span
        return None

    def _places(self, needle: bytes, start: int, stop: int) -> Iterator[int]:
        """Where bytes stand in a range outside of tags, comments, scripts and styles; a few tries."""
        for _ in range(_MAX_TRIES):
            start = self._seek(needle, start, stop) if needle else -1
            if start < 0:
                return
            hidden = self._hidden.until(start)
            if hidden is not None:
                start = hidden
                continue
            if not self._brackets.open_at(start):
                yield start
            start += len(needle)

    def _spelled(self, raw: str, stop: int) -> Span | None:
        """A string of which some characters are written as entities, each as this page does most near here."""
        if not _MAY_BE_ENTITY.search(raw):
            return None
        if self._entities is None:
            self._entities = _entities_of(self._body[self._cursor : stop])
        form = raw.translate(self._entities)
        if form == raw:
            return None
        return self._visible(self._encoded(form), raw, self._cursor, stop) or self._between(raw, form, stop)

    def _between(self, raw: str, form: str, stop: int) -> Span | None:
        """A string with tags or entities within: its first and last characters as they stand, what is between read.

        `form` is how the string may be spelled. Spares most strings the tokenizer. The last characters are looked for
        from where they stand at the earliest.
        """
        head, tail = self._encoded(form[:_ANCHOR].rstrip()), self._encoded(form[-_ANCHOR_END:].lstrip())
        if len(raw) < 2 * _ANCHOR or not head or not tail:
            return None
        least = len(self._encoded(raw)) - len(tail)
        most = least + _MOST_MARKUP
        for start in self._places(head, self._cursor, stop):
            end = self._body.find(tail, start + least, start + most)
            for _ in range(_MAX_TRIES):
                if end < 0:
                    break
                span = self._span(start, end + len(tail), "html", raw)
                if span is not None:
                    return span
                end = self._body.find(tail, end + 1, start + most)
        return None

    def _ahead(self, raw: str, characters: int) -> Span | None:
        """Tokenized from the last place found on, a little further than the string is long."""
        window = self._window
        if (
            window is None
            or not window.start <= self._cursor <= window.position
            or self._cursor - window.start > _MOST_WINDOW
        ):
            window = self._window = _Plain(self._body, self._lower, self._charset, self._cursor)
        start = window.at(self._cursor)
        window.read_to(start + 2 * len(raw) + characters)
        return self._tokenized(raw, window, start)

    def _anywhere(self, raw: str) -> Span | None:
        if self._work >= _MOST_WORK:
            return None
        self._work += len(self._body)
        if self._shown is None:
            self._shown = _all_shown(self._body, self._lower, self._charset)
        place = self._shown.find(raw)
        if place < 0:  # spares the tokenizer
            return None
        if self._whole is None:
            self._whole = _Plain(self._body, self._lower, self._charset, 0)
        self._whole.read_to(place + 2 * len(raw) + _AHEAD)  # about there
        span = self._tokenized(raw, self._whole, 0)
        if span is None and not self._whole.ended:
            self._whole.read_to(len(self._body) + 1)
            span = self._tokenized(raw, self._whole, 0)
        return span

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

    def _at(self, first: int, last: int, via: str) -> Span:
        return Span(layer=BODY_LAYER, start=first, end=last, charset=self._charset, via=via)

    def _span(self, first: int, last: int, via: str, raw: str) -> Span | None:
        span = self._at(first, last, via)
        try:
            return span if read_span(self._body, span) == clean(raw) else None
        except InvalidValue:
            return None

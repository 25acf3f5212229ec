"""Spans: where a raw string stands in the entity body, as byte offsets that a stranger can check.

lxml keeps no offsets, so a small tokenizer goes over the decoded text once and keeps, beside the text without tags,
where each piece came from; a string found there maps back. Attribute and JSON strings are looked for as they stand or
escaped in the usual ways. `schemas.articles.read_span` reads a span back, and none is given that does not read back
to its raw string.
"""

from __future__ import annotations

import html
import json
import re
from bisect import bisect_right
from typing import Final

from schemas.articles import BODY_LAYER, Span, clean, read_span
from schemas.errors import InvalidValue

#: Places tried for one string before it gets no span.
_MAX_TRIES: Final = 8
#: Codecs whose text encodes back to the same bytes, so that character offsets can be turned into byte offsets.
_EXACT: Final = frozenset({"utf-8", "cp1252", "ascii", "cp1250", "cp1251", "cp1254", "iso8859-2", "koi8-r"})

# What the tokenizer sees, in order: comments, scripts and styles whole, tags, entities, white space, plain runs.
# A run may hold single spaces, so that most text is one piece a tag.
_TOKEN: Final = re.compile(
    r"(?P<skip><!--.*?(?:-->|\Z)|<(?P<raw>script|style)\b.*?(?:</(?P=raw)\s*>|\Z)|<[/!?a-zA-Z][^>]*>?)|"
    r"(?P<entity>&#?\w{1,31};)|(?P<space>\s+)|(?P<run>[^<&\s]+(?: [^<&\s]+)*|[<&])",
    re.S | re.I,
)


class _Plain:
    """The text of a page without tags, each piece with its place in the source."""

    def __init__(self, source: str) -> None:
        parts: list[str] = []
        self._at: list[int] = []  # where a piece starts in the plain text
        self._pieces: list[tuple[int, int, bool]] = []  # start and end in the source; whether characters map one to one
        length = 0
        spaced = True
        for match in _TOKEN.finditer(source):
            kind = match.lastgroup
            if kind in ("skip", "raw"):
                continue
            if kind == "space":
                if spaced:
                    continue
                piece, literal, spaced = " ", False, True
            elif kind == "entity":
                piece, literal = clean(html.unescape(match.group())) or " ", False
                if piece == " " and spaced:
                    continue
                spaced = piece == " "
            else:
                piece, literal, spaced = match.group(), True, False
            parts.append(piece)
            self._at.append(length)
            self._pieces.append((match.start(), match.end(), literal))
            length += len(piece)
        self.text = "".join(parts)

    def source(self, start: int, end: int) -> tuple[int, int]:
        """The range of the source behind a range of the plain text."""
        return self._map(start, first=True), self._map(end - 1, first=False)

    def _map(self, position: int, *, first: bool) -> int:
        index = bisect_right(self._at, position) - 1
        begin, stop, literal = self._pieces[index]
        if literal:
            return begin + position - self._at[index] + (0 if first else 1)
        return begin if first else stop


class Finder:
    """Looks for strings in one decoded entity body."""

    def __init__(self, body: bytes, text: str, charset: str) -> None:
        self._body = body
        self._text = text
        self._charset = charset
        self._exact = charset in _EXACT and "\ufffd" not in text
        self._ascii = text.isascii()
        self._bom = (
            3 if charset == "utf-8" and body.startswith(b"\xef\xbb\xbf") and not text.startswith("\ufeff") else 0
        )
        self._last = (0, 0)  # character and byte offset of the last conversion, to go on from there
        self._plain: _Plain | None = None
        self._cursor = 0

    def find(self, raw: str | None, *, via: str) -> Span | None:
        """The first place where a raw string stands; `via` as in `Span`."""
        if not raw or not self._exact:
            return None
        if via == "html":
            return self._shown(raw)
        if via == "json":
            plain = json.dumps(raw, ensure_ascii=False)[1:-1]
            forms: tuple[str, ...] = (
                plain,
                plain.replace("/", "\\/"),
                json.dumps(raw)[1:-1],
                json.dumps(raw)[1:-1].replace("/", "\\/"),
            )
        else:
            forms = (
                raw,
                html.escape(raw, quote=False),
                html.escape(raw),
                html.escape(raw).replace("&#x27;", "'"),
                html.escape(raw).replace("&#x27;", "&#039;"),
            )
        for form in dict.fromkeys(forms):
            span = self._literal(form, raw, via)
            if span is not None:
                return span
        return None

    def _literal(self, form: str, raw: str, via: str) -> Span | None:
        start = self._text.find(form)
        for _ in range(_MAX_TRIES):
            if start < 0:
                return None
            span = self._span(start, start + len(form), via, raw)
            if span is not None:
                return span
            start = self._text.find(form, start + 1)
        return None

    def _shown(self, raw: str) -> Span | None:
        """A string of the page's visible text: looked for after the last one found, then from the start."""
        if self._plain is None:
            self._plain = _Plain(self._text)
        start = self._plain.text.find(raw, self._cursor)
        if start < 0:
            start = self._plain.text.find(raw)
        for _ in range(_MAX_TRIES):
            if start < 0:
                return None
            span = self._span(*self._plain.source(start, start + len(raw)), "html", raw)
            if span is not None:
                self._cursor = start
                return span
            start = self._plain.text.find(raw, start + 1)
        return None

    def _span(self, start: int, end: int, via: str, raw: str) -> Span | None:
        first = self._offset(start)
        last = first + len(self._text[start:end].encode(self._charset, "replace"))
        span = Span(layer=BODY_LAYER, start=first, end=last, charset=self._charset, via=via)
        try:
            return span if read_span(self._body, span) == clean(raw) else None
        except InvalidValue:
            return None

    def _offset(self, position: int) -> int:
        if self._ascii:
            return position
        chars, offset = self._last if self._last[0] <= position else (0, self._bom)
        offset += len(self._text[chars:position].encode(self._charset, "replace"))
        self._last = (position, offset)
        return offset

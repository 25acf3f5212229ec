"""The page as a list of blocks of text in reading order, boundaries never fused.

One walk over the tree, shared by body and standfirst. A block knows where it stands and what the page's author calls
the parts it stands in; whether it belongs to the article is left to `text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from lxml.html import HtmlElement

from schemas.articles import clean, words_in

#: Elements without readable text of the article, whatever stands in them.
_SKIP_WORDS: Final = """
amp-ad amp-img audio button canvas datalist dialog embed figcaption figure head iframe input
ins-ad label map math menu nav noscript object option picture script select source style svg template textarea
title track video
"""
SKIP: Final = frozenset(_SKIP_WORDS.split())
_BLOCK_WORDS: Final = """
fieldset form address article aside blockquote body caption center dd details div dl dt footer h1 h2 h3 h4 h5 h6 header
hgroup hr html legend li main ol p pre section summary table tbody td tfoot th thead tr ul
"""
_BLOCK: Final = frozenset(_BLOCK_WORDS.split())
CELLS: Final = frozenset(("td", "th"))
HEADINGS: Final = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))

# What authors of pages call parts that are not the text of the article, in their class names. Whole words of a class
# name are meant: `-`, `_` and capitals part words. Words of several languages, never of one outlet.
_WORD_PARTS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_AWAY_WORDS: Final = """
abo ad ads adslot advert advertisement advertising advertorial adverts affiliate anzeige authorbio authorbox
bildunterschrift bio biography breadcrumb breadcrumbs byline bylines caption captions carousel comment
commenting comments consent cookie cookies copyright credit credits dateline disclaimer disqus embed embeds
facebook factbox feedback figcaption footer gallery gdpr glomex hidden infobox instagram keywords kommentare
legend login menu modal morelike moreon mostpopular mostread nav navbar navigation newsletter newsletters
opinary outbrain overlay pager pagination paywall piano player playlist plista poll popular popup print-only
promo promobox promos promotion publicidad publicite quiz rating readmore recirc recirculation recommendation
recommendations recommended register regwall related relateds screenreader share sharebar shares sharing
shopping sidebar signup skip slick slider slideshow social socialmedia socials sponsored sr subnav subscribe
subscription survey swiper taboola taglist tags teaser teasers ticker tiktok timestamp toast toc toolbar
tooltip topics trending tweet twitter videoplayer visuallyhidden weather werbung widget youtube
"""
_AWAY: Final = frozenset(_AWAY_WORDS.split())
# Runs of words that say so: the first word, and how the run goes on.
_RUNS: Final = {
    "read": "more|also|next",
    "more": "on|from|stories|news",
    "see": "also",
    "most": "read|popular|viewed",
    "up": "next",
    "also": "read|like",
    "author": "bio|box|info|card|name|profile",
    "article": "meta|tools|tags|info|footer|actions",
    "news": "letter",
    "call": "to action",
    "screen": "reader",
    "visually": "hidden",
    "social": "media|share|embed",
    "inline": "related|promo|ad",
    "related": "articles?|stories|links?|content|posts?",
    "in": "article (?:ad|promo)",
    "text": "to speech",
    "audio": "player|article",
    "post": "meta|tags|footer",
    "entry": "meta|footer",
    "skip": "link",
    "print": "hide",
    "no": "print",
}
_RUNS_GO_ON: Final = {first: re.compile(rf"(?:{rest})\b") for first, rest in _RUNS.items()}
_AUTHOR_WORD: Final = re.compile(r"author(?!i[tz])")  # authorbox, authorline, ... but neither authority nor authorize
_ROLE_AWAY: Final = frozenset(
    ("navigation", "complementary", "banner", "contentinfo", "search", "dialog", "menu", "toolbar")
)


@dataclass(kw_only=True, slots=True, eq=False)  # not frozen: a page has hundreds, and freezing is most of their cost
class Block:
    """A run of text between two block boundaries. Told by identity; never changed once made."""

    order: int
    text: str
    element: HtmlElement  # the nearest block element around it
    tag: str
    link_chars: int  # characters of it within links
    bold_chars: int
    away: tuple[tuple[HtmlElement, str], ...]  # parts around it that look like no article text, and why
    _key: str | None = field(default=None, init=False, repr=False)

    @property
    def key(self) -> str:
        """Its text by its words alone, made where it is first asked for: most blocks are far from the article."""
        if self._key is None:
            self._key = key_of(self.text)
        return self._key

    @property
    def link_share(self) -> float:
        """Share of its characters that are link text."""
        return self.link_chars / max(1, len(self.text))


def key_of(text: str) -> str:
    """A text by its words alone, for comparing."""
    return " ".join(words_in(text.lower()))


def away_reason(element: HtmlElement) -> str | None:
    """Why an element's own attributes put it outside the article's text, or None."""
    items = element.items()
    names = None
    for name, value in items:
        if name == "class":
            names = value
        elif name in _TELLING:
            return _told_away(element, dict(items))
    return _named_away(names) if names and element.tag not in _ROWS else None


def _told_away(element: HtmlElement, own: dict[str, str]) -> str | None:
    """As `away_reason`, where more attributes than the class may tell."""
    if "hidden" in own or own.get("aria-hidden") == "true":
        return "hidden"
    style = own.get("style")
    if style and "display" in style and _NOT_DISPLAYED.search(style):
        return "hidden"
    role = own.get("role")
    if role in _ROLE_AWAY:
        return f"role {role}"
    if element.tag in _ROWS:
        return None
    # The id of a heading is the place that a table of contents leads to, no name of a part.
    attributes = ("class",) if element.tag in HEADINGS else _NAME_ATTRIBUTES
    names = " ".join([own[a] for a in attributes if own.get(a)])
    return _named_away(names) if names else None


#: Rows and cells are named after what they are about, not after what they are.
_ROWS: Final = frozenset(("tr", *CELLS))
_NOT_DISPLAYED: Final = re.compile(r"display\s*:\s*none")
_NAME_ATTRIBUTES: Final = ("class", "id", "data-testid", "data-component", "data-module", "data-type")
#: Attributes other than the class that may put an element outside the text.
_TELLING: Final = frozenset(("hidden", "aria-hidden", "style", "role", *_NAME_ATTRIBUTES)) - {"class"}
#: Class attributes whose answer is kept: pages repeat a few hundred, and outlets share them between pages.
NAMES_KEPT: Final = 20_000


@lru_cache(maxsize=NAMES_KEPT)
def _named_away(names: str) -> str | None:
    """The word or the run of words in class names that says that a part is no article text."""
    words = names.replace("-", " ").replace("_", " ").split()
    if not _is_plain(joined := "".join(words)):
        words = _parts_of(words if joined.isalnum() else _NAME_BREAK.split(names))
    if not _AWAY.isdisjoint(words) or "author" in joined.lower():
        found = next((w for w in words if w in _AWAY or _AUTHOR_WORD.match(w)), None)
        if found is not None:
            return found
    return None if _RUN_WORDS.isdisjoint(words) else _away_run(words)


def _away_run(words: Sequence[str]) -> str | None:
    for place, word in enumerate(words):
        if word in _RUN_WORDS:
            rest = _RUNS_GO_ON[word].match(" ".join(words[place + 1 : place + 3]))
            if rest is not None:
                return f"{word} {rest.group(0)}"
    return None


def _is_plain(token: str) -> bool:
    return token.islower() and token.isalpha() and token.isascii()


def _parts_of(tokens: Sequence[str]) -> list[str]:
    """The words of tokens, of which some are written in one."""
    words: list[str] = []
    for token in tokens:
        if token.isdecimal() or _is_plain(token):
            words.append(token)
        elif token:
            words += _words_in(token)
    return words


_RUN_WORDS: Final = frozenset(_RUNS)
_NAME_BREAK: Final = re.compile(r"[^\w]+|_+")


def _words_in(token: str) -> list[str]:
    """The words of one part of a class name, parted at capitals; a machine-made hash (`kgbQpE`) stays whole."""
    words = _WORD_PARTS.findall(token)
    if len(words) > 1 and any(len(w) <= 2 and w.lower() != "ad" for w in words):
        return [token.lower()]
    return [w.lower() for w in words]


class _Walk:
    """State of one walk: the buffer of the current run and the stack of what surrounds it."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.buffer: list[str] = []
        self.link_chars = 0
        self.bold_chars = 0
        self.holders: list[HtmlElement] = []
        self.away: tuple[tuple[HtmlElement, str], ...] = ()  # one object for all blocks of the same parts
        self.links = 0
        self.bolds = 0

    def add(self, text: str) -> None:
        if self.links or self.bolds:
            if self.links:
                self.link_chars += len(text)
            if self.bolds:
                self.bold_chars += len(text)
        elif not self.buffer and text.isspace():
            return  # what stands between tags is mostly this, and begins no text
        self.buffer.append(text)

    def flush(self) -> None:
        if self.buffer:
            text = clean("".join(self.buffer))
            if text and self.holders:
                self.blocks.append(
                    Block(
                        order=len(self.blocks),
                        text=text,
                        element=self.holders[-1],
                        tag=_tag_of(self.holders),
                        link_chars=self.link_chars,
                        bold_chars=self.bold_chars,
                        away=self.away,
                    )
                )
            self.buffer = []
        self.link_chars = self.bold_chars = 0


def _tag_of(holders: Sequence[HtmlElement]) -> str:
    """The tag of the nearest block element, or of the heading that wraps it."""
    outer = str(holders[-2].tag) if len(holders) > 1 else ""
    return outer if outer in HEADINGS else str(holders[-1].tag)


def blocks_of(tree: HtmlElement) -> list[Block]:
    """Every block of readable text of a page, in order."""
    walk = _Walk()
    open_elements: list[HtmlElement] = []
    children: list[Iterator[HtmlElement]] = [iter((tree,))]
    while children:
        for element in children[-1]:
            tag = element.tag
            if tag in SKIP or (tag in _NOTE_TAGS and _is_link_note(element)):
                if tag in _PARTING:
                    walk.flush()
            else:
                _start(walk, element, tag)
                if len(element):
                    open_elements.append(element)
                    children.append(iter(element))
                    break
                _end(walk, element, tag)
            tail = element.tail
            if tail:
                walk.add(tail)
        else:
            children.pop()
            if open_elements:
                element = open_elements.pop()
                _end(walk, element, element.tag)
                tail = element.tail
                if tail:
                    walk.add(tail)
    walk.flush()
    return walk.blocks


_NOTE_TAGS: Final = frozenset(("span", "small", "i", "svg-icon"))
# Skipped elements that part the text around them.
_PARTING: Final = frozenset(("figure", "nav", "iframe", "video", "dialog"))
# What pages add to links for those who cannot see the arrow. Read out, never shown; no text of the article.
_LINK_NOTE: Final = re.compile(
    r"^[\s,(\[]*(?:(?:link )?(?:wird )?(?:öffnet )?(?:in|im) (?:einem )?neue[nm] (?:fenster|tab)(?: geöffnet)?|"
    r"(?:link )?opens (?:in )?(?:a )?new (?:tab|window)|"
    r"(?:se )?abre en (?:una )?(?:nueva )?(?:ventana|pestaña)(?: nueva)?|"
    r"s.ouvre dans (?:une nouvelle fenêtre|un nouvel onglet)|nouvelle fenêtre|external link)[\s)\].]*$",
    re.I,
)


def _is_link_note(element: HtmlElement) -> bool:
    text = element.text or ""
    return 8 < len(text) < 60 and len(element) == 0 and _LINK_NOTE.match(text) is not None


def _start(walk: _Walk, element: HtmlElement, tag: str) -> None:
    if tag == "br":
        # A line break parts paragraphs as a reader sees them; in a heading it only wraps the line.
        if any(str(h.tag) in HEADINGS for h in walk.holders[-2:]):
            walk.buffer.append(" ")
        else:
            walk.flush()
        return
    block = tag in _BLOCK
    if block:
        if walk.buffer:
            walk.flush()
        walk.holders.append(element)
    reason = away_reason(element) if block or tag in ("span", "a") or "-" in tag else None
    if reason is None and tag in ("aside", "footer", "form"):
        reason = tag
    if reason and tag not in ("html", "body", "article", "main"):
        if not block:
            walk.flush()
        walk.away = (*walk.away, (element, reason))
    if tag == "a":
        walk.links += 1
    elif tag in ("b", "strong"):
        walk.bolds += 1
    text = element.text
    if text:
        walk.add(text)


def _end(walk: _Walk, element: HtmlElement, tag: str) -> None:
    if tag in _BLOCK:
        if walk.buffer:
            walk.flush()
        walk.holders.pop()
    if walk.away and walk.away[-1][0] is element:
        if tag not in _BLOCK:
            walk.flush()
        walk.away = walk.away[:-1]
    if tag == "a":
        walk.links -= 1
    elif tag in ("b", "strong"):
        walk.bolds -= 1


def index_of(blocks: Sequence[Block], element: HtmlElement | None) -> int:
    """Order of the block that an element is, holds or stands in; 0 where there is none."""
    if element is None:
        return 0
    return next((b.order for b in blocks if b.element is element or element in b.element.iterancestors()), 0)

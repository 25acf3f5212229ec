"""The authors of a page: hidden data first, then bylines that it shows. How a byline splits is left to `names`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Final

from lxml.html import HtmlElement

from ingest.extract.blocks import NAMES_KEPT, Block, index_of, key_of
from ingest.extract.jsonld import as_list, text_value
from ingest.extract.names import authors_of, has_lead, looks_like_person, split_byline
from ingest.extract.page import Page, path_of
from ingest.extract.sources import Found, Sources
from schemas.articles import clean

_AUTHOR: Final = (
    "article:author_name",
    "author",
    "parsely-author",
    "article:author",
    "dc.creator",
    "dcterms.creator",
    "sailthru.author",
    "cxenseparse:author",
    "dable:author",
    "article.author",
)


#: Fields of one's own that name authors: a prefix, then the word.
_AUTHORS_FIELD: Final = re.compile(r"[a-z]{2,20}[_:.-](?:authors?|byline)")
_BYLINE: Final = re.compile(
    r"(?:^|[-_\s])(?:by-?lines?|authors?|autor(?:en|es|in)?|auteurs?|writers?|reporters?|contributors?)(?:$|[-_\s])|"
    r"author[-_]?(?:names?|line|short)|byline|articleAuthor|authorName",
    re.I,
)


_NOT_BYLINE: Final = re.compile(
    r"comment|bio|share|social|related|teaser|recommend|newsletter|image|avatar|photo|sidebar|footer|shimmer|date", re.I
)


def authors_found(
    sources: Sources, site_names: Sequence[str], head: HtmlElement | None, blocks: Sequence[Block]
) -> tuple[tuple[str, ...], Found | None]:
    """The authors, and where the first source of trust named them.

    Persons go before the outlet's own name. A byline shown at the headline goes before hidden data whose name is
    nowhere to be seen.
    """
    own = {words for n in site_names if n for words in (key_of(n), f"the {key_of(n)}")}
    shown = chain(_shown_bylines(sources.page), _spoken_bylines(blocks, head))  # found as they are asked for
    fallback: tuple[tuple[str, ...], Found | None] = ((), None)
    for names, found in chain(_told_authors(sources), shown):
        kept = tuple(n for n in names if key_of(n) not in own)
        if any(looks_like_person(n) for n in kept):
            if found.source == "dom" or _is_seen(kept, blocks):
                return kept, found
            first = next(shown, None)
            return first if first is not None and has_lead(first[1].raw) else (kept, found)
        if names and not fallback[0]:
            fallback = (names, found)
    return fallback


def _is_seen(names: Sequence[str], blocks: Sequence[Block]) -> bool:
    """True where the page shows one of the names, as far as bylines may stand."""
    text = " ".join(b.text for b in blocks[:400]).casefold()
    return any(n.casefold() in text for n in names)


def _told_authors(sources: Sources) -> Iterator[tuple[tuple[str, ...], Found]]:
    linked = sources.linked
    if linked.article is not None:
        raws = [v for a in as_list(linked.get("author")) if (v := text_value(linked.resolve(a)))]
        if raws:
            yield (
                authors_of(raws),
                Found(value=raws[0], source="jsonld", path=f"{linked.article.path}/author", raw=", ".join(raws)),
            )
    others = (name for name in sources.meta if name not in _AUTHOR and _AUTHORS_FIELD.fullmatch(name))
    for name in (*_AUTHOR, *others):
        raws = [
            clean(v)
            for v in sources.meta.get(name, ())
            if v.strip() and not re.match(r"\(|https?:|www\.|\S+@|.*\.com\b", v.strip())
        ]
        if raws and not all(re.fullmatch(r"[\w.\-]+", r) for r in raws):
            yield authors_of(raws), Found(value=raws[0], source="meta", path=name, raw=", ".join(raws))


def _spoken_bylines(blocks: Sequence[Block], head: HtmlElement | None) -> Iterator[tuple[tuple[str, ...], Found]]:
    """A short block near the headline that begins with "By" and names persons."""
    if head is None:
        return
    start = index_of(blocks, head)
    for block in blocks[start + 1 : start + 13]:
        if len(block.text) <= 120 and has_lead(block.text):
            names = tuple(n for n in split_byline(block.text) if looks_like_person(n))
            if names:
                yield names, Found(value=names[0], source="dom", path=path_of(block.element), raw=block.text)


#: Elements named as bylines that are read: more are lists of other articles.
_MAX_BYLINES: Final = 40
_BYLINE_TAGS: Final = frozenset(
    ("a", "span", "p", "div", "address", "li", "h2", "h3", "h4", "h5", "h6", "section", "em", "strong", "cite")
)


# What every name of a byline holds: spares most names the expression.
_HINTS: Final = ("byline", "by-line", "author", "autor", "auteur", "writer", "reporter", "contributor")


@lru_cache(maxsize=NAMES_KEPT)
def _names_byline(words: str) -> bool:
    words = words.lower()
    return any(hint in words for hint in _HINTS) and _BYLINE.search(words) is not None


def _named_bylines(page: Page) -> Iterator[HtmlElement]:
    """Elements that their class, test id, relation or property calls a byline, in page order; found as they are asked.

    Most pages are read no further than to the first.
    """
    for element in page.elements:
        if element.tag in _BYLINE_TAGS and _is_named(element):
            yield element


def _is_named(element: HtmlElement) -> bool:
    names = test = ""
    for name, value in element.items():
        if name == "class":
            names = value
        elif name == "data-testid":
            test = f" {value}"
        elif value == "author" and name in ("rel", "itemprop"):
            return True
    return bool(names or test) and _names_byline(names + test)


def _is_byline(element: HtmlElement) -> bool:
    around = [a.get("class") or "" for a in (element, element.getparent()) if a is not None]
    return not any(_NOT_BYLINE.search(words) for words in around)


def _shown_bylines(page: Page) -> Iterator[tuple[tuple[str, ...], Found]]:
    candidates = islice(filter(_is_byline, _named_bylines(page)), _MAX_BYLINES)
    for element in candidates:
        if any("comment" in (a.get("class") or "") + (a.get("id") or "") for a in element.iterancestors()):
            continue
        parts = [t for t in map(clean, element.itertext()) if t]
        texts = [t for t in parts if looks_like_person(t)] or [clean(" ".join(parts))]
        names = authors_of(t for t in texts if t and len(t) <= 200)
        if any(looks_like_person(n) for n in names):
            yield names, Found(value=names[0], source="dom", path=path_of(element), raw=clean(element.text_content()))

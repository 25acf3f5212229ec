"""The headline of a page: what its JSON-LD, its `h1` and its Open Graph field agree on, without the outlet's name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lxml.html import HtmlElement

from ingest.extract.page import class_words, path_of
from ingest.extract.sources import Found, Sources, linked_values, meta_values, words_of
from schemas.articles import clean


def headline(tree: HtmlElement, hints: Sequence[str]) -> HtmlElement | None:
    """The `h1` of the article: the one most like what the page says elsewhere, else the only one."""
    best: tuple[float, HtmlElement] | None = None
    wanted = [set(words_of(h).split()) for h in hints if h]
    heads = [h for h in tree.iter("h1") if clean(h.text_content())]
    for order, head in enumerate(heads):
        words = set(words_of(head.text_content()).split())
        if not words:
            continue
        score = max((len(words & w) / len(words | w) for w in wanted if w), default=0.0)
        score -= 0.5 * any(a.tag in ("nav", "li", "aside", "footer", "a") for a in head.iterancestors())
        score += 0.2 * ("headline" in class_words(head) or "title" in class_words(head)) - order * 0.01
        if best is None or score > best[0]:
            best = (score, head)
    if best is None or (wanted and best[0] < 0.15 and len(heads) > 1):
        return None
    return best[1]


def strip_suffix(title: str, names: Sequence[str]) -> str:
    """A title without the outlet's name after a separator, and sections between."""
    match = re.match(r"^(.{10,}?)\s*(?:\s[|*–—•·-]\s|[|｜ㅣ]|\s::\s)\s*(.{1,80})$", title)
    known = {words_of(n) for n in names if n}
    while match:
        rest = match.group(2)
        pieces = [words_of(p) for p in re.split(r"\s*[|*–—•·｜ㅣ]\s*|\s-\s", rest) if p.strip()]
        if any(
            p in known or any(k and (p.startswith(k) or (k.startswith(p) and len(p) > 3)) for k in known)
            for p in pieces
        ):
            return match.group(1).strip()
        match = re.match(rf"^({re.escape(match.group(1))}.+?)\s*(?:\s[|*–—•·-]\s|[|｜ㅣ])\s*(.{{1,80}})$", title)
    return title


def all_titles(sources: Sources, site_names: Sequence[str], head: HtmlElement | None) -> tuple[str, ...]:
    """Every form of the headline that the page gives, to know it where the body repeats it."""
    values = [
        f.value
        for f in (
            *linked_values(sources, "headline", "alternativeHeadline", "name"),
            *meta_values(sources, ("og:title", "twitter:title")),
        )
    ]
    if head is not None:
        values.append(clean(head.text_content()))
    return tuple(dict.fromkeys(strip_suffix(v, site_names) for v in values))


def title_of(sources: Sources, site_names: Sequence[str]) -> tuple[Found | None, HtmlElement | None]:
    """The headline: what two of JSON-LD, `h1` and Open Graph agree on, else the first of them that is there."""

    def stripped(found: Found | None) -> Found | None:
        if found is None:
            return None
        value = strip_suffix(found.value, site_names)
        return Found(value=value, source=found.source, path=found.path, raw=found.raw)

    linked = stripped(next(linked_values(sources, "headline", "name"), None))
    graph = stripped(next(meta_values(sources, ("og:title", "twitter:title")), None))
    element = sources.page.tree.find(".//title")
    plain = stripped(
        Found(value=clean(element.text_content()), source="dom", path="title", raw=clean(element.text_content()))
        if element is not None
        else None
    )
    head = headline(sources.page.tree, [f.value for f in (linked, graph, plain) if f])
    shown = None
    if head is not None:
        text = clean(head.text_content())
        shown = Found(value=text, source="dom", path=path_of(head), raw=text)
    trail = head is not None and any(a.tag in ("nav", "li") for a in head.iterancestors())
    offers = [f for f in (linked, shown, graph) if f and f.value]
    if trail and linked is not None and linked.value:
        return linked, head  # an `h1` that ends a trail of links is a name for the page, no headline
    for i, first in enumerate(offers):
        if any(words_of(first.value) == words_of(other.value) for other in offers[i + 1 :]):
            return first, head
    for i, first in enumerate(offers):  # different kickers before one headline: the headline
        for other in offers[i + 1 :]:
            mine, theirs = _after_kicker(first.value), _after_kicker(other.value)
            if mine and theirs and words_of(mine) == words_of(theirs):
                return Found(value=mine, source=first.source, path=first.path, raw=first.raw), head
    # A kicker set before the headline within the same `h1`: the part that the other sources repeat.
    for first in offers:
        if shown and first is not shown and words_of(shown.value).endswith(" " + words_of(first.value)):
            return first, head
    best = next(iter(offers), None) or (plain if plain and plain.value else None)
    return best, head


def _after_kicker(title: str) -> str | None:
    parts = re.split(r":\s+|\s[-–—|]\s", title, maxsplit=1)
    return parts[1] if len(parts) == 2 and len(parts[1]) >= 25 else None

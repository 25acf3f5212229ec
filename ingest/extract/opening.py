"""What opens an article before its body: the running text between headline and body, and whether it introduces.

Which blocks are the body is left to `text`, which one is the standfirst by its name to `standfirst`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lxml.html import HtmlElement

from ingest.extract.blocks import Block
from ingest.extract.pointers import is_pointer
from ingest.extract.text import OPENING, Body

# Lines about the article, not of it: when it was published, who may read on.
_ABOUT: Final = re.compile(
    r"^(?:publi|published|updated|last updated|first published|aktualisiert|veröffentlicht|"
    r"stand[: ]|erstellt|modif|actualizad|"
    r"oppdatert|publicerad|uppdaterad|gepubliceerd|\d{1,2}[./]\d{1,2}[./]\d{2,4}|(?:von|by|por|par)\s(?-i:[A-ZÀ-Ý][\w.]+\s[A-ZÀ-Ý]))",
    re.I,
)


def opening_of(
    blocks: Sequence[Block], body: Body, *, head: HtmlElement | None, head_order: int, known: frozenset[str]
) -> tuple[Block, ...]:
    """Running text between headline and body that the body's container does not hold."""
    if not body.blocks or body.container is None:
        return ()
    region = _region(body.container, head)
    window = blocks[(head_order + 1 if head is not None else 0) : body.blocks[0].order]
    tags = ("p", "div", "h2", "h3", "h4", "section", "header") if head is not None else ("p",)
    alike = {_kind(b) for b in body.blocks}
    return tuple(b for b in window if _opens(b, tags, region, known, alike))


def introduces(block: Block, body: Sequence[Block]) -> bool:
    """False for a first paragraph that is like those after it: the text begins, nothing introduces it."""
    like = any(_kind(b) == _kind(block) for b in body if b is not block)
    return not like or block.bold_chars >= 0.8 * len(block.text)


#: What pages with a paywall call the first paragraphs, which stand before it.
_FREE_PARTS: Final = frozenset(("teaser", "teasers", "paywall", "piano"))


_Kind = tuple[str, str | None, str | None]


def _kind(block: Block) -> _Kind:
    """What a block and the part around it are called."""
    parent = block.element.getparent()
    return block.tag, block.element.get("class"), None if parent is None else parent.get("class")


def _opens(
    block: Block, tags: Sequence[str], region: HtmlElement | None, known: frozenset[str], alike: set[_Kind]
) -> bool:
    if len(block.text) < OPENING or block.link_share >= 0.4 or block.tag not in tags:
        return False
    free = block.tag == "p" and all(why in _FREE_PARTS for _, why in block.away) and _kind(block) in alike
    if block.away and not free:
        return False
    if block.key in known or is_pointer(block) or (len(block.text) < 160 and _ABOUT.match(block.text)):
        return False
    return region is not None and _within(block.element, region)


def _region(container: HtmlElement, head: HtmlElement | None) -> HtmlElement | None:
    """The smallest part that holds headline and body; without a headline, the nearest <article>."""
    if head is None:
        return next((a for a in container.iterancestors("article")), None)
    above = {container, *container.iterancestors()}
    return next((a for a in (head, *head.iterancestors()) if a in above), None)


def _within(element: HtmlElement, container: HtmlElement) -> bool:
    return element is container or any(a is container for a in element.iterancestors())


def with_opening(body: Sequence[Block], opening: Sequence[Block]) -> tuple[Block, ...]:
    """The body with what opens it at its head, nothing twice."""
    if not opening:
        return tuple(body)
    keys = {b.key for b in opening}
    return (*opening, *(b for b in body if b.key not in keys))

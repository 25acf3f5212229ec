"""The text of pages that a script fills: the article as markup in a string of a script, where no element shows it.

Frameworks that render in the browser send an article's markup within the page's state, as a JSON string. It is read
where the elements and the JSON-LD hold no article, and only where it is about the page's headline. What its parts are
called is judged as in the page itself (`blocks`). Which of the texts of a page is the article is left to the caller.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

from lxml import etree, html
from lxml.html import HtmlElement

from ingest.extract.blocks import Block, blocks_of, key_of
from ingest.extract.page import MAX_DEPTH
from ingest.extract.pointers import is_pointer

#: The tag of blocks that stand in a script and in no element.
SCRIPTED: Final = "script"
#: Characters of all scripts together: a bound on time. The largest page of the corpus has 1.6 million.
MAX_SCRIPT_CHARS: Final = 4_000_000
#: Characters of a string from which on it may hold an article.
MIN_STRING: Final = 500
#: Characters of paragraphs that make an article of it.
ENOUGH: Final = 400
#: Paragraphs that make an article of it.
MIN_PARAGRAPHS: Final = 3
#: Strings looked into, largest first.
MAX_STRINGS: Final = 4
#: Share of the headline's words that the text must hold.
ABOUT: Final = 0.3

_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.S)
_PARAGRAPH: Final = re.compile(r"<p[\s>]", re.I)


def scripted_blocks(scripts: Sequence[HtmlElement], titles: Sequence[str]) -> tuple[Block, ...]:
    """The paragraphs of the largest string of markup in the page's scripts that is about one of its titles."""
    for markup in sorted(set(_strings(scripts)), key=lambda m: (-len(m), m))[:MAX_STRINGS]:
        blocks = _blocks(markup)
        text = " ".join(b.text for b in blocks)
        if len(blocks) >= MIN_PARAGRAPHS and len(text) >= ENOUGH and _is_about(key_of(text), titles):
            return blocks
    return ()


def _strings(scripts: Sequence[HtmlElement]) -> Iterator[str]:
    left = MAX_SCRIPT_CHARS
    for script in scripts:
        text = script.text or ""
        left -= len(text)
        if left < 0:
            return
        if len(text) < MIN_STRING or "ld+json" in (script.get("type") or "").lower():
            continue
        for match in _STRING.finditer(text):
            if match.end() - match.start() >= MIN_STRING:
                value = _loads(match.group(0))
                if len(_PARAGRAPH.findall(value)) >= MIN_PARAGRAPHS:
                    yield value


def _loads(literal: str) -> str:
    try:
        value = json.loads(literal, strict=False)
    except ValueError:
        return ""
    return value if isinstance(value, str) else ""


def _blocks(markup: str) -> tuple[Block, ...]:
    data = f"<div>{markup}</div>".replace("\x00", "").encode("utf-8", "replace")
    try:
        tree = html.document_fromstring(data, parser=html.HTMLParser(encoding="utf-8", remove_comments=True))
    except (etree.LxmlError, ValueError, AssertionError):
        return ()
    if tree.getroottree().xpath("boolean(" + "/*" * MAX_DEPTH + ")"):
        return ()
    found = (b for b in blocks_of(tree) if not b.away and not is_pointer(b) and b.element.tag not in ("body", "html"))
    return tuple(
        Block(order=order, text=b.text, element=b.element, tag=SCRIPTED, link_chars=0, bold_chars=0, away=())
        for order, b in enumerate(found)
        if b.element.tag != "div"  # loose words between the paragraphs are marks of the system
    )


def _is_about(text: str, titles: Sequence[str]) -> bool:
    """True where the text holds enough of the words of a title; within words, for not every script parts them."""
    for title in titles:
        words = key_of(title).split()
        if words and sum(w in text for w in words) >= ABOUT * len(words):
            return True
    return False

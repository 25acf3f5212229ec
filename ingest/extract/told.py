"""The text that a page's JSON-LD tells where its elements show none of it, or no more than its beginning.

Pages that a script fills, and pages that let a reader see a few lines, often carry the whole `articleBody` all the
same: it is in the archived bytes, and the page's own word. What the elements show is weighed in `text`; where they
hold the article, this is not asked.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Final

from lxml.html import HtmlElement

from ingest.extract.blocks import Block
from ingest.extract.jsonld import plain
from ingest.extract.pointers import is_pointer
from schemas.articles import clean

#: The tag of blocks that stand in JSON-LD and in no element.
TOLD: Final = "jsonld"
#: Characters from which on an articleBody is more than a description.
ENOUGH: Final = 400
#: Share of the articleBody below which what the page shows is no more than its beginning.
SHOWN_SHARE: Final = 0.4
#: Paragraphs read of one articleBody; the longest of the corpus has 300.
MAX_PARAGRAPHS: Final = 2_000

_BREAK: Final = re.compile(
    r"(?:<br\s*/?>|</(?:p|div|h[1-6]|li|blockquote|tr)\s*>|<(?:p|h[1-6]|li|blockquote)\b[^<>]{0,200}>|"
    r"[\r\n\u2028\u2029])+",
    re.I,
)


def told_blocks(article_body: object, root: HtmlElement, shown: Sequence[Block]) -> tuple[Block, ...]:
    """The paragraphs of an articleBody, where the page shows less than `SHOWN_SHARE` of it; else none.

    Boundaries are those of the JSON string: line breaks, or tags where it holds markup. A string without any is one
    paragraph, for nothing is guessed.
    """
    if not isinstance(article_body, str) or len(article_body) < ENOUGH:
        return ()
    if sum(len(b.text) for b in shown) >= SHOWN_SHARE * len(plain(article_body)):
        return ()
    text = html.unescape(article_body) if "&lt;" in article_body else article_body
    lines = (clean(plain(part)) for part in _BREAK.split(text)[:MAX_PARAGRAPHS])
    blocks = (_block(order, line, root) for order, line in enumerate(lines) if re.search(r"\w", line))
    return tuple(b for b in blocks if not is_pointer(b))


def _block(order: int, text: str, root: HtmlElement) -> Block:
    return Block(order=order, text=text, element=root, tag=TOLD, link_chars=0, bold_chars=0, away=())

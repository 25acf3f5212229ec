"""Quotations of a page: those that set words of the text apart once more, and posts that belong to the text.

Which other blocks are the article's is left to `text`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import Final

from ingest.extract.blocks import NAMES_KEPT, Block

#: Characters from which on words that stand twice on a page are the same words: no chance likeness.
SURE: Final = 40
_QUOTE_NAME: Final = re.compile(r"quote|zitat|citation|citaat|citat|\bcita\b|highlight|hervorheb", re.I)


def without_pull_quotes(chosen: Sequence[Block]) -> list[Block]:
    """Without quotations that repeat words of the paragraphs: set apart to be seen, they are no text of their own."""
    quoted = [b for b in chosen if len(b.text) >= SURE and _is_quote(b)]
    if not quoted:
        return list(chosen)
    apart = {b.order for b in quoted}
    running = " ".join(f" {b.key} " for b in chosen if b.order not in apart)
    again = {b.order for b in quoted if f" {b.key} " in running}
    return [b for b in chosen if b.order not in again]


def _is_quote(block: Block) -> bool:
    around = (block.element, *islice(block.element.iterancestors(), 2))
    return any(e.tag in ("blockquote", "aside", "q") or _names_quote(e.get("class") or "") for e in around)


@lru_cache(maxsize=NAMES_KEPT)
def _names_quote(names: str) -> bool:
    return _QUOTE_NAME.search(names) is not None


# Networks whose embeds hold the words of the post; those of others hold links and a frame.
_POSTS: Final = frozenset(("tweet", "twitter"))


def is_quoted_post(block: Block) -> bool:
    """A post that the article quotes word for word: a quotation in the page itself, within no other part set aside."""
    return len(block.away) == 1 and block.away[0][0].tag == "blockquote" and block.away[0][1] in _POSTS

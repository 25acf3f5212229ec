"""The standfirst: the block between headline and body that introduces the article."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ingest.extract.blocks import Block, key_of
from ingest.extract.page import class_words
from ingest.extract.sources import Sources, linked_values, meta_values

_STANDFIRST: Final = re.compile(
    r"stand-?first|sub-?(?:title|head(?:line)?|deck)|(?:^|[-_\s])(?:dek|deck|lead|lede|leadin|intro|chapo|summary|excerpt|abstract|"
    r"ingress|entradilla|sumario|bajada|vorspann|teaser-?text|kicker-?text|preamble|manchet|sottotitolo|occhiello|synopsis|desk)(?:$|[-_\s])|"
    r"article[-_]*(?:lead|intro|dek|summary|excerpt|description)|lead-?(?:in|text|content|paragraph)|leadIn|leadText|sub-?tit",
    re.I,
)


def standfirst_of(
    sources: Sources, blocks: Sequence[Block], *, start: int, first_body: int | None, known: frozenset[str]
) -> Block | None:
    """The block that introduces the article: between headline and body, by repeating a description or by its name.

    `known` holds what is something else: headlines and captions, by their words.
    """
    described = [
        key_of(f.value)
        for f in (
            *linked_values(sources, "description"),
            *meta_values(sources, ("description", "og:description", "twitter:description")),
        )
    ]
    described = [d for d in described if len(d) >= 20]
    stop = first_body + 1 if first_body is not None else len(blocks)
    window = [
        b
        for b in blocks[max(0, start - 4) : stop]
        if len(b.text) >= 15 and b.link_share < 0.6 and b.key not in known and b.tag != "h1"
    ]
    for block in window:
        words = block.key
        if len(words) >= 20 and any(
            d == words or d.startswith(words) or (len(d) > 60 and words.startswith(d)) for d in described
        ):
            return block
    for block in window:
        if (
            start < block.order
            and block.order != first_body
            and any(
                _STANDFIRST.search(class_words(e, ("class", "data-testid", "itemprop")))
                for e in (block.element, block.element.getparent())
                if e is not None
            )
        ):
            return block
    return None

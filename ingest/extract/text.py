"""The body of an article: which blocks of the page are its text.

trafilatura judges *where* the article is; the page's own blocks say what its paragraphs are. So boundaries are the
page's, never fused or split, while the choice is checked by a second opinion: the author's own names of the parts,
the JSON-LD articleBody, and likeness to the blocks that are certain.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import islice
from typing import Final

import trafilatura
from lxml import etree
from lxml.html import HtmlElement

from ingest.extract.blocks import CELLS, HEADINGS, Block, key_of
from ingest.extract.names import looks_like_person
from ingest.extract.pointers import is_link_alone, is_pointer
from ingest.extract.quotations import SURE, is_quoted_post, without_pull_quotes

# Its warnings tell of pages that gave nothing: that is an answer here, not news.
logging.getLogger("trafilatura").setLevel(logging.CRITICAL)

#: Share of the certain text that the container must hold.
COVERAGE: Final = 0.80
#: A part that holds more than this share of the certain text is the article, whatever its name.
PARDON: Final = 0.25
#: Parts that are never the article, however much they hold: other people's words, other articles.
_NEVER_WORDS: Final = """
breadcrumb comment commenting comments consent cookie cookies disqus facebook footer gdpr instagram kommentare
newsletter related tiktok tweet twitter youtube
"""
NEVER: Final = frozenset(_NEVER_WORDS.split())
#: A block of at least this many characters of plain text is a paragraph by its length.
LONG: Final = 80
#: Characters of words up to which a text may repeat another by chance.
LEAST: Final = 12
_BODY_NAME: Final = re.compile(
    r"article[-_]*(?:body|content|text|copy)|story[-_]*(?:body|content|text)|body[-_]*(?:copy|text|content)|"
    r"(?:entry|post|news|page|main)[-_]*(?:content|body|text)|articulo[-_]*(?:cuerpo|texto)|artikel[-_]*(?:text|body|inhalt)|"
    r"text[-_]*(?:body|content)|richtext|article__?(?:body|content)|paragraphs",
    re.I,
)

@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """The blocks of the article and the element around them."""

    blocks: tuple[Block, ...]
    container: HtmlElement | None
    method: str  # which judge decided: trafilatura | jsonld | shape | none


# What is cut from trafilatura's copy of a page: it holds no text, or none that it or `blocks` would take.
_NOT_JUDGED_WORDS: Final = """
audio button canvas dialog embed figure footer head iframe img input nav noscript object option picture script select
source style svg template textarea track video
"""
_NOT_JUDGED: Final = tuple(_NOT_JUDGED_WORDS.split())


def judge(tree: HtmlElement, url: str) -> list[str]:
    """trafilatura's opinion: the lines of its body text. Settings are pinned; no metadata pass."""
    work = copy(tree)
    etree.strip_elements(work, *_NOT_JUDGED, with_tail=False)
    try:
        document = trafilatura.bare_extraction(
            work,
            url=url,
            fast=True,
            include_comments=False,
            with_metadata=False,
            deduplicate=False,
            include_tables=True,
        )
    except (ValueError, TypeError, AttributeError, LookupError, AssertionError, RecursionError, etree.LxmlError):
        return []  # its own bugs on odd pages: the other judges decide
    text = getattr(document, "text", None)
    return [line for line in text.split("\n") if line.strip()] if isinstance(text, str) else []


def body_of(
    tree: HtmlElement, blocks: Sequence[Block], *, url: str, article_body: str | None, titles: Sequence[str]
) -> Body:
    """Choose the blocks of the article.

    The likeness of the page's paragraphs decides where it is sound, for it is the page's own word; where it is not,
    the articleBody of its JSON-LD does if the page shows most of it, else trafilatura is asked.
    """
    known = frozenset(key_of(t) for t in titles if t)
    ld_text = f" {key_of(article_body or '')} "
    in_ld = _repeated(blocks, ld_text)
    shape = shape_votes(blocks)
    away = _away(blocks, shape)
    if is_sound(blocks, shape, away):
        votes, method = _with_ld(blocks, shape, in_ld, ld_text, "shape")
        body = _body(blocks, votes, in_ld, known, method, beside=True)
        if not _left_open(blocks, body, away):
            return body
    votes, method = _with_ld(blocks, [False] * len(blocks), in_ld, ld_text, "trafilatura")
    if method != "jsonld":  # the page's own articleBody, where it shows most of it, needs no other judge
        certain_text = f" {' '.join(key_of(line) for line in judge(tree, url))} "
        votes = [bool(b.key) and f" {b.key} " in certain_text for b in blocks]
    votes, method = _with_shape(blocks, votes, shape, method)
    if not any(votes):
        votes, method = [_paragraph_like(b) for b in blocks], "length"
    return _body(blocks, votes, in_ld, known, method, beside=False)


def _repeated(blocks: Sequence[Block], ld_text: str) -> list[bool]:
    """Which blocks the articleBody repeats; not asked of links alone, as menus are."""
    if len(ld_text) <= LEAST:
        return [False] * len(blocks)
    return [
        len(b.text) > LEAST and b.link_share <= 0.95 and len(b.key) > LEAST and f" {b.key} " in ld_text
        for b in blocks
    ]


def _body(
    blocks: Sequence[Block],
    votes: list[bool],
    in_ld: Sequence[bool],
    known: frozenset[str],
    method: str,
    *,
    beside: bool,
) -> Body:
    away = _away(blocks, votes)
    container = _container(blocks, votes, away)
    if container is None:
        return Body(blocks=(), container=None, method="none")
    if beside:
        votes = _with_siblings(blocks, votes, away)
    chosen = _without_kicker(blocks, _choose(blocks, votes, in_ld, away, container, known), known)
    return Body(blocks=tuple(chosen), container=container, method=method)


def _with_ld(
    blocks: Sequence[Block], votes: list[bool], in_ld: Sequence[bool], ld_text: str, method: str
) -> tuple[list[bool], str]:
    """The votes and, where the page shows most of a long articleBody of its JSON-LD, that too."""
    if len(ld_text) > 600 and sum(len(b.key) for b, v in zip(blocks, in_ld, strict=True) if v) > 0.6 * len(ld_text):
        return [a or b for a, b in zip(votes, in_ld, strict=True)], "jsonld"
    return votes, method


#: Paragraphs of one likeness from which on it is sound.
MIN_LIKE: Final = 3
#: Characters of like paragraphs from which on a page's own likeness is sound.
SOUND: Final = 600
#: Share of the running text of a page, parts beside the article left out, that like paragraphs must hold to be sound.
SOUND_SHARE: Final = 0.75
#: Share of the body's text that may be left undecided in its container: short lines, boxes.
OPEN_SHARE: Final = 0.05


def is_sound(blocks: Sequence[Block], shape: Sequence[bool], away: Sequence[str | None]) -> bool:
    """True where the paragraphs of one likeness are the bulk of the page's running text: little to weigh.

    `away` as by `_away` of those paragraphs.
    """
    if sum(shape) < MIN_LIKE:
        return False
    shaped = sum(len(b.text) for b, v, r in zip(blocks, shape, away, strict=True) if v and r is None)
    running = sum(len(b.text) for b, r in zip(blocks, away, strict=True) if r is None and _runs(b))
    return shaped >= SOUND and shaped >= SOUND_SHARE * running


def _left_open(blocks: Sequence[Block], body: Body, away: Sequence[str | None]) -> bool:
    """True where the container holds more text than a little that is neither chosen nor named as something else."""
    if body.container is None:
        return True
    parts = set(body.container.iter())
    chosen = {b.order for b in body.blocks}
    left = sum(
        len(b.text)
        for b, r in zip(blocks, away, strict=True)
        if r is None and b.order not in chosen and b.element in parts and b.link_share < 0.4 and not is_pointer(b)
    )
    return left > OPEN_SHARE * sum(len(b.text) for b in body.blocks)


_PARAGRAPHS: Final = frozenset(("p", "li", "blockquote", "td", "dd", "dt", "pre", *HEADINGS))


_WITHIN: Final = frozenset(("li", "ul", "ol", "dl", "blockquote", "table", "tbody", "tr", "td", "p"))


def _with_siblings(blocks: Sequence[Block], votes: Sequence[bool], away: Sequence[str | None]) -> list[bool]:
    """The votes and the paragraphs, list items and quotations that hang beside them.

    Between the first and the last vote all of those count; before and after, what reads as a paragraph.
    """
    places = [i for i, v in enumerate(votes) if v and away[i] is None]
    if not places:
        return list(votes)
    beside = {blocks[i].element.getparent() for i in places}
    result = list(votes)
    for i, block in enumerate(blocks):
        if votes[i] or away[i] is not None or block.tag not in _PARAGRAPHS or not _hangs(block.element, beside):
            continue
        between = places[0] < i < places[-1]
        result[i] = (between or len(block.text) >= LONG) and not is_pointer(block)
    return result


def _hangs(element: HtmlElement, beside: set[HtmlElement | None]) -> bool:
    """True for what hangs on a part that paragraphs hang on: itself, its list or quotation, or a wrapper around it.

    A wrapper with pictures or links in it is a box of its own.
    """
    node = element
    for _ in range(_WRAPPED):
        parent = node.getparent()
        if parent is None:
            return False
        if parent in beside:
            return node.tag in _WITHIN or node.tag in HEADINGS or not any(True for _ in node.iter("img", "a"))
        node = parent
    return False


def _runs(block: Block) -> bool:
    """Running text: long, not made of links, no heading."""
    return len(block.text) >= LONG and block.link_share < 0.4 and block.tag not in HEADINGS


def _paragraph_like(block: Block) -> bool:
    return not block.away and _runs(block)


def _with_shape(
    blocks: Sequence[Block], votes: list[bool], shape: Sequence[bool], method: str
) -> tuple[list[bool], str]:
    """The certain blocks and those of the page's dominant likeness, where the two agree.

    Where they share nothing, likeness goes alone only if it holds much more text than what was certain.
    """
    away = _away(blocks, votes)
    judged = sum(len(b.text) for b, v, r in zip(blocks, votes, away, strict=True) if v and not r and b.link_share < 0.5)
    shaped = sum(len(b.text) for b, v in zip(blocks, shape, strict=True) if v)
    common = sum(len(b.text) for b, v, w in zip(blocks, votes, shape, strict=True) if v and w)
    if shaped and common > 0.3 * min(judged, shaped):
        return [a or b for a, b in zip(votes, shape, strict=True)], method if common > 0.7 * shaped else "shape"
    if shaped > 2 * judged:
        return list(shape), "shape"
    return votes, method


def shape_votes(blocks: Sequence[Block]) -> list[bool]:
    """The paragraphs of the likeness that holds most running text of the page: same tag and names, same parents."""
    long = [b for b in blocks if _runs(b)]
    away = _away(long, [True] * len(long))
    groups: dict[str, int] = {}
    for block, reason in zip(long, away, strict=True):
        if reason is None:
            name = _signature(block, None)
            groups[name] = groups.get(name, 0) + len(block.text)
    if not groups:
        return [False] * len(blocks)
    best = max(groups, key=lambda g: groups[g])
    fine = {id(b) for b, reason in zip(long, away, strict=True) if reason is None and _signature(b, None) == best}
    return [id(b) in fine for b in blocks]


def _away(blocks: Sequence[Block], votes: Sequence[bool]) -> list[str | None]:
    """Why each block is no article text by the author's names, unless the named part holds much of the article."""
    held: dict[str, int] = {}
    total = 0
    for block, vote in zip(blocks, votes, strict=True):
        if vote:
            total += len(block.text)
            for name in {_name(e) for e, _reason in block.away} if block.away else ():
                held[name] = held.get(name, 0) + len(block.text)
    verdicts: dict[int, str | None] = {id(()): None}  # many blocks stand in the same parts, told by one object
    for block in blocks:
        if id(block.away) not in verdicts:
            reasons = (why for e, why in block.away if why in NEVER or held.get(_name(e), 0) <= PARDON * total)
            verdicts[id(block.away)] = next(reasons, None)
    return [verdicts[id(b.away)] for b in blocks]


def _name(element: HtmlElement) -> str:
    """What the page's author calls an element: parts of one name are judged together."""
    return f"{element.tag}.{element.get('class') or element.get('id') or ''}"


def _container(blocks: Sequence[Block], votes: Sequence[bool], away: Sequence[str | None]) -> HtmlElement | None:
    """The deepest element that holds most of the certain text, or a body by its own name within it."""
    weight: dict[HtmlElement, int] = {}
    total = 0
    for block, vote, reason in zip(blocks, votes, away, strict=True):
        if vote and reason is None and block.tag not in HEADINGS:
            size = min(len(block.text), 600)
            total += size
            node: HtmlElement | None = block.element
            while node is not None:
                weight[node] = weight.get(node, 0) + size
                node = node.getparent()
    if not total:
        return None
    best = max((e for e, w in weight.items() if w >= COVERAGE * total), key=_depth)
    named = [e for e, w in weight.items() if w >= 0.6 * total and _is_named_body(e)]
    if named and _depth(max(named, key=_depth)) > _depth(best):
        best = max(named, key=_depth)
    while best.tag in ("p", "span", "li", "ul", "ol", "blockquote") and best.getparent() is not None:
        best = best.getparent()  # lines of one paragraph parted by breaks: its neighbours may belong
    return best


def _is_named_body(element: HtmlElement) -> bool:
    if "articleBody" in (element.get("itemprop") or "").split():
        return True
    return any(_BODY_NAME.search(v) for a in ("class", "id", "data-testid") if (v := element.get(a)))


def _depth(element: HtmlElement) -> int:
    return sum(1 for _ in element.iterancestors())


def _signature(block: Block, container: HtmlElement | None) -> str:
    """What the block is called and where it hangs, up to three levels within the container."""
    parts: list[str] = []
    node: HtmlElement | None = block.element
    if block.tag in CELLS:  # a table is text or none as a whole, whatever its rows are called
        node = next(block.element.iterancestors("table"), node)
    while node is not None and node is not container and len(parts) < 3:
        parts.append(f"{node.tag}.{node.get('class') or ''}")
        node = node.getparent()
    return " ".join(parts)


def _choose(
    blocks: Sequence[Block],
    votes: Sequence[bool],
    in_ld: Sequence[bool],
    away: Sequence[str | None],
    container: HtmlElement,
    titles: frozenset[str],
) -> list[Block]:
    parts = set(container.iter())
    inside = [i for i, b in enumerate(blocks) if b.element in parts]
    kinds = {i: _signature(blocks[i], container) for i in inside if away[i] is None}
    support: dict[str, list[int]] = {}
    for i, kind in kinds.items():
        support.setdefault(kind, [0, 0])[0 if votes[i] else 1] += len(blocks[i].text)
    chosen: list[Block] = []
    for i in inside:
        block, key = blocks[i], blocks[i].key
        sure = (in_ld[i] and len(key) >= SURE) or (bool(chosen) and is_quoted_post(block))
        if (not _LETTER.search(key) and block.tag not in CELLS) or _is_title(key, block, titles):
            continue
        if is_link_alone(block) or (not sure and (away[i] is not None or is_pointer(block))):
            continue
        yes, no = support[kinds[i]] if i in kinds else (0, 0)
        if votes[i] or sure or yes > no or block.tag in HEADINGS or _is_crosshead(block):
            chosen.append(block)
    return _trim(_headings_with_text(without_pull_quotes(chosen)))


_CROSSHEAD: Final = re.compile(
    r"sub-?head|cross-?head|inter-?tit|zwischen-?(?:titel|(?:ü|ue)berschrift)|mellom-?titt|mellan-?rubrik|mellem-?rubrik|"
    r"v(?:ä|ae?)li-?otsikko|ladillo|śródtytu|srodtytu|tussen-?kop",
    re.I,
)


def _is_crosshead(block: Block) -> bool:
    """A subheading by its name alone, no heading element."""
    return len(block.text) < 160 and _CROSSHEAD.search(block.element.get("class") or "") is not None


_LETTER: Final = re.compile(r"[^\W\d_]")


def _is_title(key: str, block: Block, titles: frozenset[str]) -> bool:
    return key in titles or (block.tag in HEADINGS and any(key.endswith(" " + t) for t in titles))


def _without_kicker(blocks: Sequence[Block], chosen: Sequence[Block], titles: frozenset[str]) -> list[Block]:
    """Without the short lines that stand above the headline: section names, kickers, dates."""
    head = next((b.order for b in blocks if b.tag == "h1" and b.key in titles), -1)
    return [b for b in chosen if b.order > head or len(b.text) >= OPENING]


#: Levels that a heading or a paragraph may be wrapped in, apart from each other.
_WRAPPED: Final = 5


def _headings_with_text(chosen: Sequence[Block]) -> list[Block]:
    """Headings of the text that follows: in the same part, or in parts of their own without pictures or links."""
    near: set[HtmlElement] = set()
    far: set[HtmlElement] = set()
    for block in chosen:
        if block.tag not in HEADINGS:
            for level, ancestor in enumerate(islice(block.element.iterancestors(), _WRAPPED)):
                far.add(ancestor)
                if level < 2:
                    near.add(ancestor)
    return [b for b in chosen if b.tag not in HEADINGS or _heads(b, near, far)]


def _heads(block: Block, near: set[HtmlElement], far: set[HtmlElement]) -> bool:
    node = block.element
    for level, ancestor in enumerate(islice(block.element.iterancestors(), _WRAPPED)):
        if level < 2 and ancestor in near:
            return True
        if ancestor in far:
            return block.link_share < 0.3 and not any(True for _ in node.iter("img", "a"))
        node = ancestor
    return False


def _trim(chosen: list[Block]) -> list[Block]:
    """No heading without text after it, neither at the end nor before a list of links that fell out."""
    while chosen and chosen[-1].tag in HEADINGS:
        chosen.pop()
    return chosen


def texts(blocks: Iterable[Block]) -> tuple[str, ...]:
    """The paragraphs of blocks."""
    return tuple(b.text for b in blocks)


#: Characters from which on a block between headline and body is taken for its opening.
OPENING: Final = 60


def signature_of(body: Sequence[Block]) -> Block | None:
    """A last line in bold type that is a person's name alone: where nothing else names an author, this does."""
    if not body or len(body) < 3:
        return None
    last = body[-1]
    return (
        last
        if last.bold_chars >= 0.9 * len(last.text) and looks_like_person(last.text) and last.text.istitle()
        else None
    )


_SIGNED: Final = re.compile(r"[(\[][\w/.,\s]{1,24}[)\]]|[A-Z]{2,6}/\w{2,6}")


def without_signature(body: Sequence[Block], authors: Sequence[str]) -> list[Block]:
    """The body without a last line that is only an author's name or initials in brackets."""
    kept = list(body)
    names = {key_of(a) for a in authors}
    while kept and (key_of(kept[-1].text) in names or _SIGNED.fullmatch(kept[-1].text)):
        kept.pop()
    return kept

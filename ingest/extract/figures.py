"""The words of a figure: caption and credit told apart, line by line.

A figure is any part around an image. Its lines are classed by the author's names for them, by how they read
(`schemas.credits`), and by their place. Which images belong to an article is left to `photos`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from lxml import etree
from lxml.html import HtmlElement

from ingest.extract.blocks import NAMES_KEPT
from ingest.extract.page import class_words, path_of
from schemas.articles import clean
from schemas.credits import looks_like_credit, split_caption_credit, strip_lead

#: Characters. A part with more text than this is no figure.
MAX_FIGURE_TEXT: Final = 1500


#: Characters. A caption element longer than this is a paragraph by a wrong name.
MAX_CAPTION: Final = 1200


CREDIT_NAME: Final = re.compile(
    r"credit|copyright|photographer|photo-?author|image-?author|image-?source|quelle|fotograf|urheber|(?:^|[-_\s])rights?(?:$|[-_\s])|rights-?holder|"
    r"agency|attribution|image-?by|photo-?by|photo-?credit|caption-?(?:author|source)|credito|crédit|fotocredit|distributor|autorfoto",
    re.I,
)


# Names that mean a credit only within a caption or figure.
_CREDIT_INSIDE: Final = re.compile(
    r"(?:^|[-_\s])(?:source|author|byline|autor|firma|auteur|provider|creator|owner|organization)(?:$|[-_\s])", re.I
)


CAPTION_NAME: Final = re.compile(
    r"caption|legend|bildunterschrift|bildtext|image-?desc|photo-?desc|media-?desc|img-?desc|pie-?(?:de-?)?foto|foto-?text|image-?text|"
    r"(?:^|[-_\s])(?:desc|description|subline|cutline|pie|leyenda|untertitel)(?:$|[-_\s])|image-?title|img-?txt|img-?cap",
    re.I,
)


_UI: Final = re.compile(
    r"^\s*(?:(?:enlarge|expand|view|open|zoom|toggle|show|hide|close|download|click to|tap to|load|play|"
    r"share)\s+(?:the\s+)?(?:full\s?screen|image|this image|photo|gallery|caption|"
    r"in gallery|image in (?:full\s?screen|gallery)|expand image|enlarge|video|in fullscreen)[^.]{0,40}?[.:]?|"
    r"bild vergrößern|vergrößern|bild in lightbox öffnen|(?:open|view) image in (?:gallery|fullscreen)|"
    r"ampliar(?: imagen| foto)?|agrandir(?: l.image)?|zvětšit|"
    r"image caption|legende|bildbeschreibung(?: einblenden)?:?|caption|legend|image source|"
    r"image \d+ (?:of|/) \d+|view \d+ (?:images?|photos?)|video loading|loading|\d+\s?/\s?\d+|"
    r"bild \d+ (?:von|/) \d+|이미지 확대(?:보기)?|拡大(?:する)?|画像を拡大|"
    r"advertisement|anzeige|(?:i|×|x)(?=\s|$))\s*",
    re.I,
)


PHOTO_TAGS: Final = ("img", "amp-img")


_SILENT: Final = frozenset(
    ("script", "style", "noscript", "button", "svg", "template", "iframe", "video", "audio", "input", "select", "form")
)


_HELPER: Final = re.compile(
    r"sr-only|screen-?reader|visually-?hidden|is_blind|tooltip|"
    r"(?:^|[-_\s])(?:a11y|button|btn|icon|share|sharing)(?:$|[-_\s])"
)


def _is_helper(node: HtmlElement) -> bool:
    words = node.get("class")
    return bool(words) and _names_helper(words) and not _wraps_figure(node)


@lru_cache(maxsize=NAMES_KEPT)
def _names_helper(words: str) -> bool:
    return _HELPER.search(words.lower()) is not None


@lru_cache(maxsize=NAMES_KEPT)
def names_credit(words: str) -> bool:
    """True where an element's own words, as of `class_words`, call it a credit."""
    return CREDIT_NAME.search(words) is not None


@lru_cache(maxsize=NAMES_KEPT)
def names_caption(words: str) -> bool:
    """True where an element's own words, as of `class_words`, call it a caption."""
    return CAPTION_NAME.search(words) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """A run of text in a figure, and what the author's names say it is."""

    text: str
    name: str  # credit | caption | plain
    inside: bool  # stands in a caption element
    element: HtmlElement


_INLINE: Final = frozenset(
    ("a", "b", "strong", "i", "em", "sup", "sub", "abbr", "u", "mark", "q", "font", "wbr", "time", "bdi", "span_text")
)


def _lines(scope: HtmlElement) -> list[_Line]:
    """The runs of text of a figure, parted at every element that is no mere emphasis."""
    lines: list[_Line] = []
    buffer: list[str] = []
    stack: list[tuple[HtmlElement, str, bool]] = [(scope, "plain", scope.tag == "figcaption")]
    skipped: list[HtmlElement] = []

    def flush() -> None:
        text = clean("".join(buffer))
        buffer.clear()
        if text and re.search(r"\w", text := _strip_ui(text)):
            element, name, inside = stack[-1]
            lines.append(_Line(text=text, name=name, inside=inside, element=element))

    events = etree.iterwalk(scope, events=("start", "end"))
    for event, node in events:
        if event == "start":
            if node is scope:
                buffer.append(node.text or "")
                continue
            if (
                not isinstance(node.tag, str)
                or (node.tag in _SILENT and not (node.tag == "button" and _wraps_figure(node)))
                or node.tag in PHOTO_TAGS
                or _is_helper(node)
            ):
                skipped.append(node)
                events.skip_subtree()
                continue
            words = class_words(node)
            if node.tag not in _INLINE or names_credit(words):
                flush()
                stack.append((node, *_named(node, words, stack[-1])))
            buffer.append(node.text or "")
        else:
            if node is scope:
                continue
            if skipped and skipped[-1] is node:
                skipped.pop()
                buffer.append(" ")
            elif stack[-1][0] is node:
                flush()
                stack.pop()
            buffer.append(node.tail or "")
    flush()
    return lines


def _wraps_figure(node: HtmlElement) -> bool:
    """A button or link around a whole figure opens it large; its words are the figure's."""
    return any(True for _ in node.iter("figure", "figcaption", "img"))


def _named(node: HtmlElement, words: str, outer: tuple[HtmlElement, str, bool]) -> tuple[str, bool]:
    if (
        outer[1] == "credit"
        or names_credit(words)
        or (outer[2] and (_CREDIT_INSIDE.search(words) or node.tag in ("cite", "footer")))
    ):
        return "credit", outer[2]
    if node.tag == "figcaption" or names_caption(words):
        return "caption", True
    return outer[1], outer[2]


def figure_words(scope: HtmlElement) -> tuple[str | None, str | None, str]:
    """Caption and credit as the figure shows them, and the path of the element that holds them."""
    lines = _lines(scope)
    figure = scope.tag == "figure" or any(True for _ in scope.iter("figure", "figcaption"))
    if not lines or (not figure and all(line.name == "plain" for line in lines) and not _plain_figure(lines)):
        return None, None, ""
    captions: list[str] = []
    credits: list[str] = []
    plain: list[_Line] = []
    for line in lines:
        if line.name == "credit":
            head, tail = split_caption_credit(line.text) if len(line.text) > 30 else ("", line.text)
            credits.append(tail or line.text)
            if tail and head and not captions:
                captions.append(head)
        elif looks_like_credit(line.text):
            credits.append(line.text)
        else:
            plain.append(line)
    named = [line for line in plain if line.name == "caption"]
    rest = [line for line in plain if line.name != "caption"]
    chosen = named or rest
    spare = rest if named else []
    if not credits and len(chosen) == 2 and not spare:
        chosen, spare = _short_apart(chosen)
    if not credits and len(chosen) == 1 and not spare:
        line = chosen[0]
        alone = line.name == "plain" and scope.tag == "figure" and len(line.text.split()) <= 3 and _short(line.text)
        if alone or re.fullmatch(r"[(\[（][^()\[\]]{2,80}[)\]）]", line.text):
            chosen, spare = [], chosen
    if not credits and spare:
        credits = [line.text for line in spare if _short(line.text) or line.text[0] in "([（"][:1]
    captions = list(dict.fromkeys([*captions, *(line.text for line in chosen)]))
    caption = clean(" ".join(captions)) if captions else ""
    credit = _join([c for c in credits if _is_credit_text(c)])
    if credit is None and caption:
        caption, credit = split_caption_credit(caption)
    caption = re.sub(
        r"\s*(?:©|\(c\)|(?:photo|image|foto|bild|picture|credit|crédits?|quelle|source|imagen|fotografía|写真)s?\s*[:：])\s*$",
        "",
        caption,
        flags=re.I,
    )
    caption = caption.strip(" |/–—·,([")
    if len(caption) > MAX_CAPTION or (credit and key_words(caption) == key_words(credit)):
        caption = ""
    path = path_of((chosen or lines)[0].element)
    return caption or None, credit, path


def words_beside(scope: HtmlElement, keep_out: set[HtmlElement]) -> tuple[str | None, str | None, str]:
    """Words of a part right after an image's own that is named a caption or credit and holds no image itself."""
    node: HtmlElement | None = scope
    for _ in range(2):
        following = node.getnext() if node is not None else None
        if following is None or node in keep_out:
            node = node.getparent() if node is not None else None
            continue
        if following not in keep_out and _is_caption_part(following):
            return figure_words(following)
        node = node.getparent() if node is not None else None
    return None, None, ""


def _is_caption_part(element: HtmlElement) -> bool:
    """True for a part without images that is named, or holds what is named, a caption or credit."""
    if not isinstance(element.tag, str) or len(element.text_content()) > MAX_FIGURE_TEXT:
        return False
    if any(True for _ in element.iter(*PHOTO_TAGS)):
        return False
    words = class_words(element)
    if names_caption(words) or names_credit(words):
        return True
    return any(line.name != "plain" for line in _lines(element))


def key_words(text: str) -> str:
    """A text by its word characters alone."""
    return re.sub(r"\W+", "", text).lower()


def _plain_figure(lines: Sequence[_Line]) -> bool:
    """A figure without telling names: one or two short lines, of which one is a credit."""
    return len(lines) <= 3 and any(looks_like_credit(line.text) or split_caption_credit(line.text)[1] for line in lines)


def _short(text: str) -> bool:
    return (
        len(text) <= 60
        and len(text.split()) <= 6
        and not text.endswith((".", "!", "?", "。", ":"))
        and any(c.isalpha() for c in text)
    )


def _short_apart(lines: Sequence[_Line]) -> tuple[list[_Line], list[_Line]]:
    """Two lines of which one is short and the other a sentence: the short one is the credit."""
    first, second = lines
    for long, short in ((first, second), (second, first)):
        bracketed = re.fullmatch(r"[(\[（].{2,80}[)\]）]", short.text) is not None
        if (
            (_short(short.text) or bracketed)
            and len(long.text) > 1.5 * len(short.text)
            and (bracketed or long.text.endswith((".", "!", "?", "。", "”", '"')))
        ):
            return [long], [short]
    return list(lines), []


_NO_CREDIT: Final = re.compile(
    r"^(?:autoplay|meinung|opinion|von|by|por|par|foto|photo|video|audio|live|video unavailable|"
    r"\d[\d:./ ]*|(?:von|by)\s.*\d{4}.*)$", re.I
)


def _is_credit_text(text: str) -> bool:
    bare = strip_lead(text)
    return bool(re.search(r"\w{2}|[^\W\d_a-zA-Z]", bare)) and not _NO_CREDIT.match(bare)


def _join(credits: Sequence[str]) -> str | None:
    kept: list[str] = []
    for credit in credits:
        bare = strip_lead(credit)
        if not any(bare in strip_lead(k) for k in kept):
            kept = [k for k in kept if strip_lead(k) not in bare]
            kept.append(credit)
    return " / ".join(kept) if kept else None


def _strip_ui(text: str) -> str:
    previous = None
    while previous != text:
        previous = text
        shorter = _UI.sub("", text, count=1)
        text = (
            shorter
            if shorter != text and (not shorter or not re.match(r"[a-zà-ÿ]", shorter) or len(text) - len(shorter) > 12)
            else text
        )
    return text.strip()

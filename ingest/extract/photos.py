"""The photos of an article, in order, each with the words that belong to it: caption, alternative text, credit.

The words of the figure go first, then attributes of the image, then JSON-LD. A figure is found by structure: the
largest part around an image that holds no other image and no paragraph of the article. Reading its words is left to
`figures`, splitting a credit to `schemas.credits`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urljoin, urlsplit

from lxml.html import HtmlElement

from ingest.extract.blocks import Block, away_reason
from ingest.extract.figures import (
    MAX_FIGURE_TEXT,
    PHOTO_TAGS,
    figure_words,
    key_words,
    names_caption,
    names_credit,
    words_beside,
)
from ingest.extract.jsonld import LinkedData, as_list, text_value
from ingest.extract.page import class_words, is_name, path_of
from schemas.articles import Photo, clean
from schemas.credits import Credit, parse_credit, split_caption_credit

#: Photos kept of one article: more is a picture archive.
MAX_PHOTOS: Final = 200


#: Pixels. Smaller images, where the page gives a size, are icons and faces of authors.
MIN_SIDE: Final = 90


#: Levels that a figure may reach above its image.
MAX_CLIMB: Final = 8


_JUNK_NAME: Final = re.compile(
    r"logo|icon|avatar|sprite|badge|emoji|profile|author|byline|byPhoto|pixel|tracking|spacer|placeholder-?only|newsletter|qr-?code|app-?store|"
    r"advert|(?:^|[-_\s])ads?(?:$|[-_\s])|sponsor|most-?read|trending",
    re.I,
)


_JUNK_URL: Final = re.compile(
    r"(?:logo|icon|avatar|sprite|pixel|spacer|blank|1x1|loading|placeholder|favicon)[^/]*$|\.svg(?:\?|$)|doubleclick|/ads?/",
    re.I,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundPhoto:
    """A photo and where its words stood."""

    photo: Photo
    caption_raw: str | None
    credit_raw: str | None
    source: str
    path: str
    credit_source: str
    credit_path: str


class _Images:
    """Address, file and worth of a page's images, each worked out once: every figure asks for its neighbours'."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._urls: dict[HtmlElement, str | None] = {}
        self._keys: dict[HtmlElement, str] = {}
        self._junk: dict[HtmlElement, bool] = {}

    def url(self, image: HtmlElement) -> str | None:
        """Its largest address, absolute."""
        if image not in self._urls:
            self._urls[image] = best_url(image, self._base)
        return self._urls[image]

    def key(self, image: HtmlElement) -> str:
        """The file that its address names."""
        if image not in self._keys:
            self._keys[image] = _key(self.url(image))
        return self._keys[image]

    def junk(self, image: HtmlElement) -> bool:
        """True for icons, faces of authors and the like."""
        if image not in self._junk:
            self._junk[image] = _is_junk(image, self.url(image))
        return self._junk[image]


def photos_of(
    tree: HtmlElement,
    *,
    base: str,
    head: HtmlElement | None,
    container: HtmlElement | None,
    body: Sequence[Block],
    linked: LinkedData,
) -> tuple[FoundPhoto, ...]:
    """The photos of the article, in page order."""
    keep_out = _ancestors([*(b.element for b in body), *([head] if head is not None else [])])
    region = _region(tree, head, container)
    found: list[FoundPhoto] = []
    seen: dict[str, int] = {}
    described = _described(linked, base)
    known = _Images(base)
    for image in _images(region, head, container, body):
        photo = _read(image, known, keep_out, described, len(found))
        if photo is None:
            continue
        key = _key(photo.photo.url) or f"{photo.photo.caption}|{photo.photo.credit}"
        if key in seen:  # the same file again, perhaps with the words that it lacked
            if photo.photo.credit and not found[seen[key]].photo.credit:
                found[seen[key]] = replace(photo, photo=replace(photo.photo, position=seen[key]))
            continue
        seen[key] = len(found)
        found.append(photo)
        if len(found) >= MAX_PHOTOS:
            break
    if not found and region is not tree:
        found = _lead_above(region, known, keep_out, described)
    return tuple(found)


#: Levels above the article's part that a lead image may stand in.
_LEAD_CLIMB: Final = 5


def _lead_above(
    region: HtmlElement,
    known: _Images,
    keep_out: set[HtmlElement],
    described: dict[str, tuple[str | None, str | None, str]],
) -> list[FoundPhoto]:
    """The image that stands before an article without any, if it has words: some pages set it in a part of its own."""
    node = region
    for _ in range(_LEAD_CLIMB):
        for sibling in node.itersiblings(preceding=True):
            if not isinstance(sibling.tag, str) or sibling.tag in ("nav", "aside", "footer"):
                continue
            for image in list(sibling.iter(*PHOTO_TAGS))[:10]:
                photo = _read(image, known, keep_out, described, 0)
                if photo is not None and photo.photo.credit and photo.photo.caption:
                    return [photo]
        parent = node.getparent()
        if parent is None or parent.tag in ("body", "html"):
            break
        node = parent
    return []


def _ancestors(elements: Iterable[HtmlElement]) -> set[HtmlElement]:
    result: set[HtmlElement] = set()
    for element in elements:
        node: HtmlElement | None = element
        while node is not None and node not in result:
            result.add(node)
            node = node.getparent()
    return result


def _region(tree: HtmlElement, head: HtmlElement | None, container: HtmlElement | None) -> HtmlElement:
    """The smallest part that holds both headline and body."""
    if container is None:
        return tree
    if head is None:
        for ancestor in container.iterancestors():
            if ancestor.tag in ("article", "main"):
                return ancestor
        return container.getparent() if container.getparent() is not None else container
    above = set(container.iterancestors()) | {container}
    node: HtmlElement | None = head
    while node is not None and node not in above:
        node = node.getparent()
    if node is None:
        return tree
    # The lead image may stand before the part that holds headline and body: one level of <article> or <main> more.
    for ancestor in node.iterancestors():
        if ancestor.tag in ("article", "main"):
            return ancestor
    return node


def _images(
    region: HtmlElement, head: HtmlElement | None, container: HtmlElement | None, body: Sequence[Block]
) -> Iterator[HtmlElement]:
    """Images of the region that are not in parts beside the article."""
    if not any(True for _ in region.iter(*PHOTO_TAGS)):
        return
    holds_body = _ancestors([*(b.element for b in body), *([head] if head is not None else [])])
    last = body[-1].element if body else None
    reached = False
    away: dict[HtmlElement, bool] = {}
    if last is None:
        wanted: tuple[str, ...] = PHOTO_TAGS
    else:
        wanted = (*PHOTO_TAGS, str(last.tag)) if is_name(str(last.tag)) else ()  # none: all
    for element in region.iter(*wanted):
        if element is last:
            reached = True
        if element.tag not in PHOTO_TAGS or _is_away(element, region, holds_body, away):
            continue
        if reached and not any(a is last or a is container for a in element.iterancestors()):
            continue  # after the article's end
        yield element


def _is_away(
    image: HtmlElement, region: HtmlElement, holds_body: set[HtmlElement], away: dict[HtmlElement, bool]
) -> bool:
    """True for an image in a part beside the article; `away` keeps what was found of each part."""
    asked: list[HtmlElement] = []
    verdict = False
    node: HtmlElement | None = image
    while node is not None:
        if node in away:
            verdict = away[node]
            break
        asked.append(node)
        node = node.getparent() if node is not region else None
    for part in reversed(asked):
        named = part.tag in ("nav", "footer", "aside", "form") and part not in holds_body
        verdict = away[part] = verdict or named or _beside(part, holds_body)
    return verdict


# Words that keep a part out of the text but are what figures are called.
_FIGURE_PARTS: Final = """
bildunterschrift caption captions carousel copyright credit credits embed embeds figcaption gallery hidden legend modal
overlay player skip slick slider slideshow swiper tooltip widget
"""
_FIGURE_WORDS: Final = frozenset(_FIGURE_PARTS.split())


def _beside(element: HtmlElement, holds_body: set[HtmlElement]) -> bool:
    """True for a part that by its names stands beside the article; figures and what they hold are judged apart."""
    if element in holds_body or element.tag in ("img", "figure", "figcaption", "picture", "source", "amp-img"):
        return False
    reason = away_reason(element)
    if reason is None or (reason in ("teaser", "teasers", "promo", "sidebar") and not _has_link(element)):
        return False
    return reason not in _FIGURE_WORDS


def _has_link(element: HtmlElement) -> bool:
    """True where a part holds or stands in a link: what is named teaser but leads nowhere is none."""
    return any(True for _ in element.iter("a")) or any(True for _ in element.iterancestors("a"))


def _read(
    image: HtmlElement,
    known: _Images,
    keep_out: set[HtmlElement],
    described: dict[str, tuple[str | None, str | None, str]],
    position: int,
) -> FoundPhoto | None:
    url = known.url(image)
    if (url is None and not any(True for _ in image.iterancestors("figure"))) or known.junk(image):
        return None
    scope = _scope(image, known, keep_out)
    if _is_teaser(image, scope):
        return None
    alt = clean(image.get("alt") or "") or None
    caption = credit = _NOTHING
    for more_caption, more_credit in _offers(image, scope, keep_out, described.get(known.key(image)), alt):
        if not caption.text:  # sources tell the same in other words: the first is taken
            caption = more_caption
        credit = more_credit
        if credit.text:
            break
    parsed: Credit | None = parse_credit(credit.text) if credit.text else None
    if parsed is not None and not parsed.text:
        parsed = None
    if url is None and not caption.text and parsed is None:
        return None
    return FoundPhoto(
        photo=Photo(
            url=url,
            caption=caption.text or None,
            alt=alt,
            credit=parsed.text if parsed else None,
            photographers=parsed.photographers if parsed else (),
            agencies=parsed.agencies if parsed else (),
            position=position,
        ),
        caption_raw=caption.text or None,
        credit_raw=credit.text if parsed else None,
        source=caption.source,
        path=caption.path,
        credit_source=credit.source,
        credit_path=credit.path,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Words:
    """Words about a photo and where they stood."""

    text: str | None
    source: str
    path: str


_NOTHING: Final = _Words(text=None, source="dom", path="")
_CREDIT_ATTRIBUTES: Final = (
    "data-credit", "data-copyright", "data-credits", "data-photo-credit", "data-author", "data-source",
    "data-photographer", "data-credit-text",
)  # fmt: skip
_TAG: Final = re.compile(r"<[^<>]*>")
_CAPTION_ATTRIBUTES: Final = ("data-caption", "data-image-caption", "data-description")


def _offers(
    image: HtmlElement,
    scope: HtmlElement,
    keep_out: set[HtmlElement],
    told: tuple[str | None, str | None, str] | None,
    alt: str | None,
) -> Iterator[tuple[_Words, _Words]]:
    """Caption and credit by every source, most trusted first: figure, attributes, JSON-LD, alternative text."""

    def pair(caption: str | None, credit: str | None, source: str, path: str) -> tuple[_Words, _Words]:
        return _Words(text=caption, source=source, path=path), _Words(text=credit, source=source, path=path)

    caption, credit, path = figure_words(scope)
    beside = None
    if not caption and not credit:
        caption, credit, path = beside = words_beside(scope, keep_out)
    yield pair(caption, credit, "dom", path)
    if caption and not credit:  # the figure holds the caption alone; the credit may stand right below it
        said, credit, path = beside or words_beside(scope, keep_out)
        if credit and (not said or key_words(said) == key_words(caption)):
            yield pair(None, credit, "dom", path)
    own = dict(image.items())
    caption = next((v for n in _CAPTION_ATTRIBUTES if n in own and (v := clean(_TAG.sub(" ", own[n])))), None)
    credit = next((v for n in _CREDIT_ATTRIBUTES if n in own and (v := clean(own[n]))), None)
    if caption or credit:
        yield pair(caption, credit, "dom", f"{path_of(image)}/@data")
    if told is not None:
        caption, credit = told[0], told[1]
        if caption and not credit:
            caption, credit = split_caption_credit(caption)
        yield pair(caption, credit, "jsonld", told[2])
    credit = split_caption_credit(alt)[1] if alt else None
    if credit:
        yield pair(None, credit, "dom", f"{path_of(image)}/@alt")


def best_url(image: HtmlElement, base: str) -> str | None:
    """The largest address that the page offers for an image, absolute."""
    offers: list[tuple[float, str]] = []
    elements = [image]
    parent = image.getparent()
    if parent is not None and parent.tag == "picture":
        elements += list(parent.iter("source"))
    for element in elements:
        for name in ("srcset", "data-srcset", "data-lazy-srcset", "data-original-set"):
            offers.extend(_srcset(element.get(name) or ""))
        for name in ("data-src", "data-original", "data-lazy-src", "data-full-src", "data-hi-res-src", "src"):
            value = (element.get(name) or "").strip()
            if value and not value.startswith("data:"):
                offers.append((1.0, value))
    for _size, value in sorted(offers, key=lambda o: -o[0]):
        try:
            url = urljoin(base, value)
            if urlsplit(url).scheme in ("http", "https") and len(url) <= 4096:
                return _SPACE.sub("%20", url)
        except ValueError:
            continue
    return None


_SPACE: Final = re.compile(r"\s")
# Neither goes back: a list without commas or spaces may be as long as a page.
_CANDIDATE: Final = re.compile(r"[^\s,]\S*+")
_DESCRIPTOR: Final = re.compile(r"\s*+(?:([\d.]++)([wx])(?=[\s,]|$))?[^,]*+")


def _srcset(value: str) -> Iterator[tuple[float, str]]:
    """Sizes and addresses (HTML, 4.8.4.2.2): an address goes on to white space, what describes it to a comma."""
    position = 0
    while (match := _CANDIDATE.search(value, position)) is not None:
        url, position, size = match.group().rstrip(","), match.end(), 1.0
        if value[position - 1] != "," and (described := _DESCRIPTOR.match(value, position)) is not None:
            position = described.end()
            number, unit = described.groups()
            with suppress(ValueError):  # points alone
                size = float(number) * (1000 if unit == "x" else 1) if number else 1.0
        if not url.startswith("data:"):
            yield size, url


_SIZE_PARAMETER: Final = re.compile(
    r"(?:^|&)(?:w|h|q|s|v|dpr|ar|fm|fit|rect|crop|sum|sig|size|auto|type|strip|width|height|quality|format|resize|imwidth|cropRect|impolicy|ver)=[^&]*"
)


def _key(url: str | None) -> str:
    """The file that an address names, whatever its size and format parameters."""
    if not url:
        return ""
    parts = urlsplit(url)
    tail = [p for p in parts.path.split("/") if p]
    name = "/".join(tail[-2:]) if tail else ""
    if not re.search(r"\.\w{3,4}$", name):
        return f"{parts.path}?{_SIZE_PARAMETER.sub('', parts.query)}"
    name = re.sub(r"[-_](?:\d{2,4}x\d{2,4}|scaled|\d{2,4}w?)(?=\.\w+$)", "", name)
    return name if re.search(r"\w{6,}", name) else f"{name}?{parts.query}"


def _is_junk(image: HtmlElement, url: str | None) -> bool:
    for name in ("width", "height"):
        value = image.get(name) or ""
        if value.isdigit() and 0 < int(value) < MIN_SIDE:
            return True
    if url and _JUNK_URL.search(urlsplit(url).path):
        return True
    words = class_words(image, ("class", "id"))
    parent = image.getparent()
    if parent is not None:
        words += " " + class_words(parent, ("class", "id"))
    return bool(_JUNK_NAME.search(words))


def _is_teaser(image: HtmlElement, scope: HtmlElement) -> bool:
    """An image with a headline or inside a link to another page belongs to that page."""
    if (
        any(True for _ in scope.iter("h2", "h3", "h4"))
        and scope.tag != "figure"
        and not any(True for _ in scope.iter("figcaption"))
    ):
        return True
    link = next((a for a in image.iterancestors("a")), None)
    if link is None:
        return False
    target = (link.get("href") or "").split("?")[0].lower()
    if re.search(r"/(?:autor|author|redaktion|people|profil|staff|journalist)", target) or "author" in (
        link.get("rel") or ""
    ):
        return True
    if not target or target.startswith(("#", "javascript:")) or re.search(r"\.(?:jpe?g|png|webp|avif|gif)$", target):
        return False
    holder = next((a for a in image.iterancestors("figure")), None)
    has_words = holder is not None and any(clean(c.text_content()) for c in holder.iter("figcaption"))
    return not has_words and not any(
        names_caption(words) or names_credit(words)
        for words in map(class_words, scope.iter("div", "span", "p", "figcaption"))
    )


def _scope(image: HtmlElement, known: _Images, keep_out: set[HtmlElement]) -> HtmlElement:
    """The largest part around an image that holds no other photo and nothing of the article's text."""
    scope = image
    own = known.key(image)
    for level, ancestor in enumerate(image.iterancestors()):
        if ancestor in keep_out or level >= MAX_CLIMB or ancestor.tag in ("body", "main", "article"):
            break
        others = any(
            i is not image and known.key(i) not in ("", own) and not known.junk(i) for i in ancestor.iter(*PHOTO_TAGS)
        )
        if others or len(ancestor.text_content()) > MAX_FIGURE_TEXT * 2:
            break
        scope = ancestor
        if ancestor.tag == "figure" and any(clean(c.text_content()) for c in ancestor.iter("figcaption")):
            break
    return scope


def _described(linked: LinkedData, base: str) -> dict[str, tuple[str | None, str | None, str]]:
    """Caption and credit of images by file, as JSON-LD tells them."""
    result: dict[str, tuple[str | None, str | None, str]] = {}
    for node in linked.of_type("ImageObject"):
        value = node.value
        url = next((u for n in ("contentUrl", "url", "@id") for u in as_list(value.get(n)) if isinstance(u, str)), None)
        if not url:
            continue
        caption = text_value(value.get("caption")) or text_value(value.get("description"))
        credit = next(
            (
                t
                for n in ("creditText", "copyrightNotice", "author", "creator", "copyrightHolder", "credit")
                for v in as_list(value.get(n))
                if (t := text_value(linked.resolve(v)))
            ),
            None,
        )
        if caption or credit:
            result.setdefault(_key(urljoin(base, url)), (caption, credit, node.path))
    return result

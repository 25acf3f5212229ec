"""A page: bytes to text by a checked encoding, text to one lxml tree that every later step shares.

Bounds stand here: bytes, depth, elements. Meaning is left to the other modules of this folder.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from lxml import etree, html
from lxml.html import HtmlComment, HtmlElement

from schemas.errors import ExtractionError

#: Bytes. The largest news page of the corpus has 2.2 MB; a page ten times that is no article.
MAX_BODY_BYTES: Final = 24 * 1024 * 1024
#: Nested elements. Real pages stay below 100; libxml2 and recursive libraries suffer far above.
MAX_DEPTH: Final = 400
#: Elements. A bound on the time of every later step; the largest page of the corpus has 24,000.
MAX_ELEMENTS: Final = 400_000
#: Bytes searched for a charset declaration. HTML asks for the first 1,024; real pages put it later.
_META_WINDOW: Final = 8192
#: Share of control characters in the first bytes above which a body is not text.
_BINARY_SHARE: Final = 0.02
#: Control characters that even a short text may hold by accident.
_FEW_CONTROLS: Final = 8

# What texts do not hold: C0 controls other than white space and the escape of ISO 2022.
_CONTROLS: Final = bytes(b for b in range(32) if b < 9 or (b > 13 and b != 27))

_META_CHARSET: Final = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:\-]{2,40})", re.I)
_HEADER_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:\-]{2,40})", re.I)
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# The Encoding standard reads these labels as their Windows supersets; so do browsers, so do the authors of pages.
_SUPERSETS: Final = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-11": "cp874",
    "big5": "big5hkscs",
}
# Codecs that are no character encodings or that are a way to smuggle: never honoured from a page.
_REFUSED: Final = frozenset({"utf-7", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})


class Marks:
    """Elements by the attributes that they carry; each attribute is looked for once, and where the source names it."""

    def __init__(self, elements: Sequence[HtmlElement], source: bytes | None) -> None:
        """`source` is the body in lower case; None where its attributes' names are no ASCII in it."""
        self._elements = elements
        self._source = source
        self._having: dict[str, dict[HtmlElement, str]] = {}

    def having(self, name: str) -> Mapping[HtmlElement, str]:
        """The elements that have an attribute, in page order, and its value."""
        if name not in self._having:
            named = self._source is None or name.encode("ascii") in self._source
            self._having[name] = {e: v for e in self._elements if (v := e.get(name)) is not None} if named else {}
        return self._having[name]


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A parsed page. The tree is shared by all steps and changed by none."""

    url: str
    body: bytes
    lower: bytes  # the body with ASCII letters in lower case
    charset: str  # Python's name of the codec that `text` was decoded with
    text: str
    tree: HtmlElement
    elements: tuple[HtmlElement, ...]  # every element in page order: held, so that lxml makes each but once
    tags: Mapping[str, Sequence[HtmlElement]]  # those of `INDEXED` by tag
    marks: Marks


def parse(*, body: bytes, url: str, content_type: str | None) -> Page:
    """Decode and parse an entity body.

    Raises ExtractionError: `empty`, `binary`, `too-large`, `too-deep`, `broken`.
    """
    if not body.strip():
        raise ExtractionError("the page is empty", code="empty", remedy="nothing to extract")
    if len(body) > MAX_BODY_BYTES:
        raise ExtractionError(f"the page has {len(body)} bytes, more than {MAX_BODY_BYTES}", code="too-large")
    text = _utf_8(body)
    charset = "utf-8" if text is not None else charset_of(body, content_type)
    if _is_binary(body, charset):
        raise ExtractionError("the body is not text", code="binary", remedy="only HTML pages give articles")
    if text is None:
        text = body.decode(charset, "replace")
    # What decoded without loss is given to the parser as it came.
    data = body if charset == "utf-8" and "\ufffd" not in text else text.encode("utf-8", "replace")
    tree = _tree(data)
    elements = _elements(tree)
    lower = body.lower()
    return Page(
        url=url,
        body=body,
        lower=lower,
        charset=charset,
        text=text,
        tree=tree,
        elements=elements,
        tags=_by_tag(tree),
        marks=Marks(elements, None if charset.startswith("utf-16") else lower),
    )


def _utf_8(body: bytes) -> str | None:
    """The text of a body that is UTF-8 throughout and has no byte order mark, as most are; else None."""
    if body.startswith(tuple(bom for bom, _ in _BOMS)):
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None


def charset_of(body: bytes, content_type: str | None) -> str:
    """The codec of a page: byte order mark, valid UTF-8, the header's label, the page's own, else Windows-1252.

    Valid UTF-8 with a non-ASCII character goes before the labels: other encodings do not look like it by chance,
    while mislabelled UTF-8 is common.
    """
    for bom, name in _BOMS:
        if body.startswith(bom):
            return name
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start > 0 and error.reason == "unexpected end of data" and error.end >= len(body) - 3:
            return "utf-8"  # cut off within a character
    else:
        return "utf-8"
    header = _HEADER_CHARSET.search(content_type or "")
    meta = _META_CHARSET.search(body[:_META_WINDOW])
    for label in (header.group(1) if header else None, meta.group(1).decode("ascii") if meta else None):
        codec = _codec(label)
        if codec and codec != "utf-8":
            return codec
        if codec:  # declared UTF-8 with some bad bytes: still UTF-8 if most of it is
            bad = body.decode("utf-8", "replace").count("\ufffd")
            if bad * 200 < len(body):
                return "utf-8"
    return "cp1252"


def _codec(label: str | None) -> str | None:
    if not label:
        return None
    try:
        name = codecs.lookup(label).name
        "".encode(name)
    except (LookupError, UnicodeError):
        return None
    if name in _REFUSED:
        return None
    return _SUPERSETS.get(name, name)


def _is_binary(body: bytes, charset: str) -> bool:
    if charset.startswith("utf-16"):
        return False
    head = body[:4096]
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return controls > max(_FEW_CONTROLS, len(head) * _BINARY_SHARE)


# One class for all elements, looked up in C: lxml.html asks Python for the class of each element that is touched.
_CLASSES: Final = etree.ElementDefaultClassLookup(element=HtmlElement, comment=HtmlComment)


def _tree(data: bytes) -> HtmlElement:
    """The tree of a page in UTF-8. Raises ExtractionError."""
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    parser.set_element_class_lookup(_CLASSES)
    data = data.replace(b"\x00", b"")  # libxml2 ends at a NUL
    try:
        tree = html.document_fromstring(data, parser=parser)
    except etree.ParserError as error:  # nothing but white space, comments and stray end tags
        raise ExtractionError("the page holds no element and no text", code="empty") from error
    except (etree.LxmlError, ValueError, AssertionError) as error:
        raise ExtractionError(f"the page cannot be parsed: {error}", code="broken") from error
    if _TOO_DEEP(tree.getroottree()):
        raise ExtractionError(f"the page nests deeper than {MAX_DEPTH} elements", code="too-deep")
    return tree


# One child step a level: evaluated in C, level by level, so linear in the size of the page.
_TOO_DEEP: Final = etree.XPath("boolean(" + "/*" * MAX_DEPTH + ")")


def _elements(tree: HtmlElement) -> tuple[HtmlElement, ...]:
    """All elements, bounded in number. Raises ExtractionError."""
    elements = tuple(islice(tree.iter("*"), MAX_ELEMENTS + 1))
    if len(elements) > MAX_ELEMENTS:
        raise ExtractionError(f"the page has more than {MAX_ELEMENTS} elements", code="too-large")
    return elements


#: What several steps look for in the whole page: found in one pass.
INDEXED: Final = ("title", "meta", "link", "script", "h1", "h2", "footer")


def _by_tag(tree: HtmlElement) -> Mapping[str, Sequence[HtmlElement]]:
    found: dict[str, list[HtmlElement]] = {tag: [] for tag in INDEXED}
    for element in tree.iter(*INDEXED):
        found[element.tag].append(element)
    return found


def meta_content(page: Page) -> dict[str, list[str]]:
    """All `meta` values by lower-case name, property or itemprop, in page order."""
    found: dict[str, list[str]] = {}
    for meta in page.tags["meta"]:
        content = meta.get("content")
        if content is None:
            continue
        for attribute in ("property", "name", "itemprop", "http-equiv"):
            name = meta.get(attribute)
            if name:
                found.setdefault(name.strip().lower(), []).append(content)
    return found


class Paths:
    """Short, readable element paths for evidence: tag, id, position among like siblings.

    Positions are kept by parent, so that asking for every child of a long list stays linear.
    """

    def __init__(self) -> None:
        self._positions: dict[HtmlElement, dict[HtmlElement, int]] = {}

    def of(self, element: HtmlElement) -> str:
        """The path of an element up to the nearest id, else to the body."""
        steps: list[str] = []
        node: HtmlElement | None = element
        while node is not None and isinstance(node.tag, str) and node.tag not in ("html", "body"):
            if node.get("id", "").split():
                steps.append(f"{node.tag}#{_ascii(node.get('id', ''))}")
                break
            position = self._position(node)
            steps.append(f"{node.tag}[{position}]" if position > 1 else node.tag)
            node = node.getparent()
        return "/".join(reversed(steps)) or str(element.tag)

    def _position(self, node: HtmlElement) -> int:
        parent = node.getparent()
        if parent is None:
            return 1
        if parent not in self._positions:
            counts: dict[str, int] = {}
            positions: dict[HtmlElement, int] = {}
            for child in parent:
                if isinstance(child.tag, str):
                    counts[child.tag] = positions[child] = counts.get(child.tag, 0) + 1
            self._positions[parent] = positions
        return self._positions[parent].get(node, 1)


def is_name(tag: str) -> bool:
    """True for a tag that lxml takes for a name: it refuses some of those that its parser gives."""
    return tag.isprintable()


def path_of(element: HtmlElement) -> str:
    """The path of a single element: as `Paths.of`, its positions counted in C."""
    steps: list[str] = []
    node: HtmlElement | None = element
    while node is not None and isinstance(node.tag, str) and node.tag not in ("html", "body"):
        name = _ascii(node.get("id", ""))
        if name:
            steps.append(f"{node.tag}#{name}")
            break
        position = 1 + sum(1 for _ in node.itersiblings(node.tag, preceding=True)) if is_name(node.tag) else 1
        steps.append(f"{node.tag}[{position}]" if position > 1 else node.tag)
        node = node.getparent()
    return "/".join(reversed(steps)) or str(element.tag)


def _ascii(value: str) -> str:
    return value.encode("ascii", "backslashreplace").decode("ascii").split()[0] if value.split() else ""


def class_words(
    element: HtmlElement, attributes: Sequence[str] = ("class", "id", "data-testid", "itemprop", "role")
) -> str:
    """The author's own words about an element, lower case: its classes, id, test id, itemprop and role."""
    own = dict(element.items())
    return " ".join([own[a] for a in attributes if own.get(a)]).lower() if own else ""

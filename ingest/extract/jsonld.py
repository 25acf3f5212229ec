"""JSON-LD of a page, read once, tolerant of its usual faults, and the node that describes the article.

Faults met on real pages: arrays and @graph, HTML comments or CDATA around the JSON, raw control characters, trailing
commas, several Article nodes (teasers), types with or without the schema.org prefix. Nothing here is resolved over
the network. What the fields mean is left to `metadata` and `photos`.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lxml.html import HtmlElement

from schemas.articles import clean

#: Characters of one script. The largest real block of the corpus has 130 kB; beyond, it is data and no description.
MAX_SCRIPT_CHARS: Final = 4_000_000
#: Nodes visited over all blocks: a bound on time.
MAX_NODES: Final = 20_000
_ARTICLE_TYPES: Final = (
    "NewsArticle",
    "ReportageNewsArticle",
    "AnalysisNewsArticle",
    "OpinionNewsArticle",
    "BackgroundNewsArticle",
    "ReviewNewsArticle",
    "AskPublicNewsArticle",
    "Report",
    "LiveBlogPosting",
    "BlogPosting",
    "Article",
    "SocialMediaPosting",
    "Review",
    "TechArticle",
    "AdvertiserContentArticle",
    "SatiricalArticle",
    "ScholarlyArticle",
    "Recipe",
    "Interview",
)
_WRAPPING: Final = re.compile(
    r"^\s*(?:<!--|//\s*<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/|<!\[CDATA\[)|"
    r"(?:-->|//\s*\]\]>|/\*\s*\]\]>\s*\*/|\]\]>)\s*;?\s*$"
)
_TRAILING_COMMA: Final = re.compile(r",(\s*[}\]])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One JSON-LD object and where it stands."""

    path: str  # block number and JSON pointer
    value: dict[str, Any]
    types: tuple[str, ...]  # without the vocabulary's address


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkedData:
    """All nodes of a page, and the one of the article where there is one."""

    nodes: tuple[Node, ...]
    article: Node | None
    ids: Mapping[str, Sequence[Node]]  # the first node of an id that says more than its id, and more than its type

    def get(self, name: str) -> Any:
        """A property of the article node, or None."""
        return self.article.value.get(name) if self.article else None

    def of_type(self, *types: str) -> Iterator[Node]:
        """Nodes of any of the types."""
        wanted = set(types)
        return (n for n in self.nodes if wanted.intersection(n.types))

    def resolve(self, value: Any) -> Any:
        """Follow a bare `{"@id": ...}` to the node of that id within the page."""
        if isinstance(value, dict) and isinstance(value.get("@id"), str) and set(value) <= {"@id", "@type"}:
            for node in self.ids.get(value["@id"], ()):
                if len(node.value) > len(value):
                    return node.value
        return value


def as_list(value: Any) -> list[Any]:
    """A JSON-LD value is one or a list of many."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text_value(value: Any) -> str | None:
    """A string out of a JSON-LD value: itself, its name or @value; entities and tags resolved."""
    if isinstance(value, dict):
        value = value.get("name") or value.get("@value")
    if isinstance(value, list):
        value = next((v for v in value if isinstance(v, str) and v.strip()), None)
    if not isinstance(value, str):
        return None
    return clean(plain(value)) or None


def plain(value: str) -> str:
    """Entities resolved (twice: escaped twice is common) and tags dropped."""
    if "&" in value:
        value = html.unescape(html.unescape(value))
    return re.sub(r"</?[a-zA-Z][^<>]{0,400}>", " ", value) if "<" in value else value


def read(scripts: Sequence[HtmlElement], url: str, title: str | None) -> LinkedData:
    """All JSON-LD among the scripts of a page; never raises on bad JSON."""
    nodes: list[Node] = []
    for number, script in enumerate(_texts(scripts)):
        value = _loads(script)
        if value is not None:
            _collect(value, f"/{number}", nodes)
    return LinkedData(nodes=tuple(nodes), article=_choose(nodes, url, title), ids=_by_id(nodes))


def _by_id(nodes: Sequence[Node]) -> Mapping[str, Sequence[Node]]:
    ids: dict[str, list[Node]] = {}
    for node in nodes:
        name = node.value.get("@id")
        if isinstance(name, str) and len(node.value) > 1:
            same = ids.setdefault(name, [])
            if not same or len(node.value) > 2 >= len(same[-1].value):
                same.append(node)
    return ids


def _texts(scripts: Sequence[HtmlElement]) -> Iterator[str]:
    for script in scripts:
        if "ld+json" in (script.get("type") or "").lower():
            text = script.text or "".join(script.itertext())
            if text and len(text) <= MAX_SCRIPT_CHARS:
                yield text


def _loads(text: str) -> Any:
    for candidate in _repairs(text):
        try:
            return json.loads(candidate, strict=False)
        except (ValueError, RecursionError):
            continue
    return None


def _repairs(text: str) -> Iterator[str]:
    yield text
    stripped = _WRAPPING.sub("", _WRAPPING.sub("", text)).strip().rstrip(";")
    yield stripped
    stripped = _TRAILING_COMMA.sub(r"\1", stripped)
    yield stripped
    yield re.sub(r'\\(?!["\\/bfnrtu])', r"\\\\", stripped)
    if "&quot;" in stripped:
        yield html.unescape(stripped)


def _collect(root: Any, path: str, nodes: list[Node]) -> None:
    """Every object with a type, breadth first, without recursion and in page order."""
    queue: list[tuple[str, Any]] = [(path, root)]
    seen = 0
    while queue and seen < MAX_NODES:
        next_level: list[tuple[str, Any]] = []
        for where, value in queue:
            seen += 1
            if isinstance(value, list):
                next_level.extend((f"{where}/{i}", v) for i, v in enumerate(value) if isinstance(v, dict | list))
            elif isinstance(value, dict):
                if "@type" in value:
                    nodes.append(Node(path=where, value=value, types=_types_of(value)))
                next_level.extend((f"{where}/{_pointer(k)}", v) for k, v in value.items() if isinstance(v, dict | list))
        queue = next_level


def _types_of(value: dict[str, Any]) -> tuple[str, ...]:
    return tuple(t.rsplit("/", 1)[-1] for t in as_list(value.get("@type")) if isinstance(t, str))


def _pointer(key: str) -> str:
    return key.encode("ascii", "backslashreplace").decode("ascii").replace("~", "~0").replace("/", "~1")


def _choose(nodes: list[Node], url: str, title: str | None) -> Node | None:
    """The article's own node: right type, then address, title and fullness; earlier wins."""
    best: tuple[float, Node] | None = None
    words = set(re.findall(r"\w+", (title or "").lower()))
    for order, node in enumerate(nodes):
        ranks = [_ARTICLE_TYPES.index(t) for t in node.types if t in _ARTICLE_TYPES]
        if not ranks:
            continue
        score = 10 - min(ranks) * 0.1 - min(order, 50) * 0.02
        score += 3 * _same_address(node.value, url)
        score += sum(1 for k in ("headline", "datePublished", "author", "articleBody", "image") if node.value.get(k))
        headline = set(re.findall(r"\w+", (text_value(node.value.get("headline")) or "").lower()))
        if words and headline:
            score += 4 * len(words & headline) / len(words | headline)
        if re.search(
            r"/(?:itemListElement|hasPart|isPartOf|mentions|citation|blogPost|liveBlogUpdate|review)\b", node.path
        ):
            score -= 6
        if best is None or score > best[0]:
            best = (score, node)
    return best[1] if best else None


def _same_address(value: dict[str, Any], url: str) -> bool:
    entity = value.get("mainEntityOfPage")
    candidates = [value.get("url"), value.get("@id"), entity.get("@id") if isinstance(entity, dict) else entity]
    bare = url.split("#")[0].split("?")[0].rstrip("/").split("://")[-1]
    return any(
        isinstance(c, str) and c.split("#")[0].split("?")[0].rstrip("/").split("://")[-1] == bare for c in candidates
    )

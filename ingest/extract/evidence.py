"""Evidence: for every value of an article where it stood, gathered once the values are chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ingest.extract.blocks import Block
from ingest.extract.page import Paths
from ingest.extract.photos import FoundPhoto
from ingest.extract.scripted import SCRIPTED
from ingest.extract.sources import Found, Sources
from ingest.extract.spans import Finder
from ingest.extract.told import TOLD
from schemas.articles import Evidence, Span, clean

_VIA = {"dom": "html", "jsonld": "json", "meta": "attr", "http": "header"}

# A date as machines read it: it stands in an attribute.
_MACHINE = re.compile(r"^\d{4}-\d\d-\d\d(?:T|$)")


def collect(
    sources: Sources,
    fields: Mapping[str, Found | None],
    standfirst: Block | None,
    body: Sequence[Block],
    photos: Sequence[FoundPhoto],
) -> dict[str, Evidence]:
    """Evidence by field: `title`, `paragraphs/0`, `photos/0/credit` and so on."""
    finder = Finder(sources.page.body, sources.page.text, sources.page.charset, sources.page.lower)
    paths = Paths()
    found: dict[str, Evidence] = {}
    for name, value in fields.items():
        if value is not None and value.source != "url":
            raw = clean(value.raw)
            found[name] = Evidence(
                source=value.source, path=_ascii(value.path), raw=raw, span=_span(finder, raw, value)
            )
        elif value is not None:
            found[name] = Evidence(source="url", path=value.path, raw=None)
    if standfirst is not None:
        found["standfirst"] = _block(finder, paths, standfirst)
    for number, block in enumerate(body):
        if block is standfirst:
            found[f"paragraphs/{number}"] = found["standfirst"]
        elif block.tag in (TOLD, SCRIPTED):
            found[f"paragraphs/{number}"] = _told(finder, sources, block)
        else:
            found[f"paragraphs/{number}"] = _block(finder, paths, block)
    finder.rewind()
    for number, photo in enumerate(photos):
        for kind, shown, source, path in (
            ("caption", photo.caption_raw, photo.source, photo.path),
            ("credit", photo.credit_raw, photo.credit_source, photo.credit_path),
        ):
            if shown:
                via = "attr" if path.endswith(("/@data", "/@alt")) else _VIA[source]
                found[f"photos/{number}/{kind}"] = Evidence(
                    source=source, path=_ascii(path), raw=shown, span=finder.find(shown, via=via)
                )
    return found


def _span(finder: Finder, raw: str, value: Found) -> Span | None:
    if value.source == "dom" and ("@" in value.path or _MACHINE.search(raw)):
        span = finder.find(raw, via="attr")
        if span is not None:
            return span
    return finder.find(raw, via=_VIA.get(value.source, "html"))


def _block(finder: Finder, paths: Paths, block: Block) -> Evidence:
    return Evidence(
        source="dom", path=_ascii(paths.of(block.element)), raw=None, span=finder.find(block.text, via="html")
    )


def _told(finder: Finder, sources: Sources, block: Block) -> Evidence:
    span = finder.find(block.text, via="json")
    if block.tag == SCRIPTED:
        return Evidence(source="dom", path="script", raw=None, span=span)
    article = sources.linked.article
    path = f"{article.path}/articleBody" if article else "articleBody"
    return Evidence(source="jsonld", path=path, raw=None, span=span)


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")

"""What the metadata steps read - the page, its meta fields, its JSON-LD - and what they give: a value and its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ingest.extract.jsonld import LinkedData, text_value
from ingest.extract.page import Page
from schemas.articles import clean


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A value and where it was found."""

    value: str
    source: str
    path: str
    raw: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What the functions of this module read: the page, its meta fields, its JSON-LD."""

    page: Page
    meta: Mapping[str, Sequence[str]]
    linked: LinkedData


def meta_values(sources: Sources, names: Sequence[str]) -> Iterator[Found]:
    for name in names:
        for raw in sources.meta.get(name, ()):
            value = clean(raw)
            if value:
                yield Found(value=value, source="meta", path=name, raw=value)


def linked_values(sources: Sources, *names: str) -> Iterator[Found]:
    article = sources.linked.article
    if article is None:
        return
    for name in names:
        value = text_value(article.value.get(name))
        if value:
            yield Found(value=value, source="jsonld", path=f"{article.path}/{name}", raw=value)

"""Articles: JSON both ways, digests, identity, spans, and the published schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import canonical
from schemas.articles import (
    ACCESS,
    FIELD_ORDER,
    KINDS,
    SOURCES,
    VIAS,
    WALLS,
    Article,
    Evidence,
    Extractor,
    OutletRef,
    Photo,
    Right,
    Rights,
    Span,
    article_id,
    clean,
    content_key,
    paragraph_evidence,
    paragraphs_of,
    read_span,
    text_of,
    text_sha256,
    word_count,
    words_in,
)
from schemas.errors import InvalidValue

SCHEMA = Path(__file__).parents[2] / "schemas" / "json" / "article.schema.json"

texts = st.text(st.characters(codec="utf-8"), max_size=40).map(clean)
optional = st.none() | texts
names = st.lists(texts, max_size=3).map(tuple)
spans = st.builds(
    Span,
    layer=st.just("entity-body"),
    start=st.integers(0, 100),
    end=st.integers(0, 100),
    charset=st.just("utf-8"),
    via=st.sampled_from(VIAS),
)
evidences = st.builds(Evidence, source=st.sampled_from(SOURCES), path=texts, raw=optional, span=st.none() | spans)
rights = st.none() | st.builds(Right, value=texts, source=texts, observed=st.just("2026-01-02T03:04:05Z"))
photos = st.builds(
    Photo,
    url=optional,
    caption=optional,
    alt=optional,
    credit=optional,
    photographers=names,
    agencies=names,
    position=st.integers(0, 9),
)
extractors = st.builds(
    Extractor,
    name=texts,
    version=texts,
    settings=st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.booleans() | st.integers(0, 9) | texts),
    libraries=st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), texts),
    unicode=texts,
)
articles = st.builds(
    Article,
    id=st.just("a" + "0" * 24),
    version=st.integers(0, 5),
    url=texts,
    canonical_url=texts,
    outlet=st.builds(OutletRef, id=texts, name=texts, domain=texts),
    title=optional,
    standfirst=optional,
    authors=names,
    published=st.sampled_from([None, "2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05+02:00"]),
    modified=st.sampled_from([None, "2026-01-02T03:04:05.120000Z"]),
    language=optional,
    section=optional,
    tags=names,
    kind=st.sampled_from(KINDS),
    access=st.sampled_from(ACCESS),
    wall=st.none() | st.sampled_from(WALLS),
    rights=st.builds(Rights, robots=rights, tdm_reservation=rights, license=rights, copyright_notice=rights),
    paragraphs=names,
    photos=st.lists(photos, max_size=2).map(tuple),
    evidence=st.dictionaries(st.from_regex(r"[a-z/0-9]{1,9}", fullmatch=True), evidences, max_size=3),
    extractor=extractors,
    capture=st.none() | st.just({"record": "urn:uuid:1"}),
)

SIMPLE = Article(
    id=article_id("paper", "https://paper.example/a"),
    version=1,
    url="https://paper.example/a?utm_source=x",
    canonical_url="https://paper.example/a",
    outlet=OutletRef(id="paper", name="The Paper", domain="paper.example"),
    title="Harbour opens",
    standfirst=None,
    authors=("Ada Quay",),
    published="2026-01-02T03:04:05Z",
    modified=None,
    language="en",
    section=None,
    tags=(),
    kind="article",
    access="free",
    wall=None,
    rights=Rights(robots=Right(value="noai", source="meta:robots", observed="2026-01-02T04:00:00Z")),
    paragraphs=("One.", "Two words."),
    photos=(Photo(url="https://paper.example/p.jpg", caption="A quay", alt=None, credit="A. Name/AP"),),
    evidence={"title": Evidence(source="dom", path="h1", raw="Harbour opens")},
    extractor=Extractor(name="t", version="1", settings={}, libraries={}, unicode="15"),
)


@given(articles)
def test_json_round_trip(article: Article) -> None:
    assert Article.from_json(json.loads(json.dumps(article.to_json()))) == article


@given(articles)
def test_block_round_trip_without_version_and_capture(article: Article) -> None:
    block = article.block()
    assert Article.from_block(block) == replace(article, version=0, capture=None)
    assert canonical.dumps(canonical.loads(block)) == block


@given(articles, st.integers(0, 12), st.booleans())
def test_parts_of_a_block_are_read_as_the_whole_is(article: Article, known: int, canonical_form: bool) -> None:
    """Whatever its strings and settings look like."""
    odd = ',"paragraphs":["x"]' + ',"evidence":{"paragraphs/0":{}}'
    evidence = {f"paragraphs/{n}": Evidence(source="dom", path=odd, raw=odd) for n in range(1, known + 1)}
    changed = replace(
        article,
        authors=(odd,),
        paragraphs=(*article.paragraphs, odd),
        evidence={**article.evidence, **evidence},
        extractor=replace(article.extractor, settings={"paragraphs": odd, "paragraphs/1": 1}),
    )
    block = changed.block().decode() if canonical_form else json.dumps(changed.to_json())
    whole = json.loads(block)
    assert paragraphs_of(block) == whole["paragraphs"]
    for numbers in ([], [0], [1, 99], range(20)):
        found = paragraph_evidence(block, numbers)
        assert found == {n: whole["evidence"][f"paragraphs/{n}"] for n in numbers if 0 < n <= known}


def test_a_block_without_paragraphs_has_none() -> None:
    assert paragraphs_of("{}") == []
    assert paragraph_evidence("{}", [0]) == {}
    for broken in ('{"a":1', '{"a":1,"paragraphs":["x'):
        with pytest.raises(ValueError, match=r"delimiter|Unterminated"):
            paragraphs_of(broken)


@given(articles)
def test_article_follows_the_documented_order(article: Article) -> None:
    assert tuple(article.to_json()) == FIELD_ORDER


def test_unknown_field_is_refused() -> None:
    with pytest.raises(InvalidValue, match="unknown fields: mood"):
        Article.from_json({**SIMPLE.to_json(), "mood": "fine"})


@pytest.mark.parametrize("name", ["id", "title", "paragraphs", "rights", "extractor", "text_sha256"])
def test_missing_field_is_refused(name: str) -> None:
    value = SIMPLE.to_json()
    del value[name]
    with pytest.raises(InvalidValue):
        Article.from_json(value)


def test_digest_that_does_not_fit_is_refused() -> None:
    value = SIMPLE.to_json()
    value["paragraphs"] = ["One.", "Three words."]
    with pytest.raises(InvalidValue, match="text_sha256"):
        Article.from_json(value)


def test_text_digest_is_over_paragraphs_and_blank_lines() -> None:
    assert text_of(["e\u0301", "b"]) == "é\n\nb"
    assert text_sha256(["One.", "Two words."]) == "e2ba8e728384ac3ccae27f0bc0f83c410d1e6764b5ad497216de7b429f3fb361"
    assert word_count(["One.", "Two words."]) == 3


@given(st.text(st.characters(max_codepoint=0x7F)) | st.text())
def test_words_are_the_runs_of_word_characters(text: str) -> None:
    assert words_in(text) == re.findall(r"\w+", text)


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Harbor opens"},
        {"standfirst": "New"},
        {"authors": ("Ada Quay", "B. Mole")},
        {"published": "2026-01-02T03:04:06Z"},
        {"modified": "2026-01-03"},
        {"paragraphs": ("One.Two words.",)},
        {"photos": (replace(SIMPLE.photos[0], credit="A. Name"),)},
        {"photos": (replace(SIMPLE.photos[0], caption="The quay"),)},
    ],
)
def test_a_change_that_readers_see_is_a_new_version(change: dict[str, object]) -> None:
    assert content_key(replace(SIMPLE, **change)) != content_key(SIMPLE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"photos": (replace(SIMPLE.photos[0], url="https://paper.example/p.jpg?w=2"),)},
        {"version": 7},
        {"url": "https://paper.example/a?x=1"},
        {"evidence": {}},
        {"tags": ("harbour",)},
    ],
)
def test_a_change_that_readers_do_not_see_is_none(change: dict[str, object]) -> None:
    assert content_key(replace(SIMPLE, **change)) == content_key(SIMPLE)  # type: ignore[arg-type]


def test_identity_ignores_tracking_and_keeps_outlets_apart() -> None:
    plain = article_id("paper", "https://paper.example/a")
    assert article_id("paper", "https://paper.example/a?utm_source=feed#top") == plain
    assert article_id("other", "https://paper.example/a") != plain
    assert article_id("paper", "https://paper.example/b") != plain
    assert len(plain) == 25
    assert plain.startswith("a")


@given(st.text())
def test_clean_is_settled_and_fit_for_canonical_json(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert canonical.loads(canonical.dumps(once)) == once
    assert "\x00" not in once


def test_extractor_identity_covers_every_part() -> None:
    base = SIMPLE.extractor
    assert replace(base, settings={"fast": True}).identity != base.identity
    assert replace(base, libraries={"lxml": "6"}).identity != base.identity
    assert replace(base, unicode="16").identity != base.identity
    assert replace(base).identity == base.identity


@pytest.mark.parametrize(
    ("body", "via", "raw"),
    [
        (b"<p>It&rsquo;s <b>so</b>\n fine</p>", "html", "It\u2019s so fine"),
        (b'{"a":"It\\u2019s \\"so\\""}', "json", 'It\u2019s "so"'),
        (b"Tom &amp; Ada", "attr", "Tom & Ada"),
    ],
)
def test_spans_read_back(body: bytes, via: str, raw: str) -> None:
    start, end = (6, len(body) - 2) if via == "json" else (0, len(body))
    assert read_span(body, Span(layer="entity-body", start=start, end=end, charset="utf-8", via=via)) == raw


def test_span_that_leaves_the_body_is_refused() -> None:
    with pytest.raises(InvalidValue, match="leaves the body"):
        read_span(b"abc", Span(layer="entity-body", start=1, end=9, charset="utf-8", via="html"))


def test_span_that_does_not_decode_is_refused() -> None:
    with pytest.raises(InvalidValue, match="does not decode"):
        read_span(b"\xff\xff", Span(layer="entity-body", start=0, end=2, charset="utf-8", via="html"))


TYPES: dict[str, type] = {
    "object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)
}  # fmt: skip


def misfits(schema: dict[str, Any], value: Any, at: str = "$") -> Iterator[str]:
    """What of a value does not fit: so much of JSON Schema as the article's schema uses."""
    allowed = schema.get("type", [])
    kinds = [allowed] if isinstance(allowed, str) else allowed
    if kinds and not any(isinstance(value, TYPES[k]) and not (k == "integer" and value is True) for k in kinds):
        yield f"{at}: not {kinds}"
        return
    if "anyOf" in schema and not any(not list(misfits(s, value, at)) for s in schema["anyOf"]):
        yield f"{at}: fits none"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: none of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{at}: not {schema['const']}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{at}: does not match"
    if isinstance(value, int) and value < schema.get("minimum", value):
        yield f"{at}: too small"
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from misfits(schema.get("items", {}), item, f"{at}[{number}]")
    if isinstance(value, dict):
        yield from (f"{at}: lacks {name}" for name in schema.get("required", []) if name not in value)
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            if inner is False:
                yield f"{at}: unknown {name}"
            else:
                yield from misfits(inner, item, f"{at}.{name}")


@given(articles)
def test_published_schema_fits_every_article(article: Article) -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    assert list(misfits(schema, article.to_json())) == []
    assert list(misfits(schema, canonical.loads(article.block()))) == []
    assert tuple(schema["properties"]) == FIELD_ORDER


@pytest.mark.parametrize(
    "change", [{"kind": "rumour"}, {"paragraphs": "x"}, {"published": "yesterday"}, {"mood": 1}, {"wall": "brick"}]
)
def test_published_schema_refuses(change: dict[str, object]) -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    assert list(misfits(schema, {**SIMPLE.to_json(), **change}))

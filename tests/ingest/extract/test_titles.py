"""Headlines: which wording of a page is taken, and that the outlet's name is no part of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.extract import extract
from ingest.extract.titles import strip_suffix
from tests.ingest.extract.pages import CAPTURED, PARAGRAPHS, URL

NAMES = ["The Lantern", "lantern.example", "lantern"]


@pytest.mark.parametrize(
    ("title", "bare"),
    [
        ("Storm in the harbour | The Lantern", "Storm in the harbour"),
        ("Storm in the harbour - World - The Lantern", "Storm in the harbour"),
        ("Storm in the harbour | World News | Lantern", "Storm in the harbour"),
        ("Pilots at sea - how nine ports lost their best people - The Lantern",
         "Pilots at sea - how nine ports lost their best people"),
        ("Storm in the harbour — live", "Storm in the harbour — live"),
        ("Storm in the harbour", "Storm in the harbour"),
        ("The Lantern | Storm in the harbour", "The Lantern | Storm in the harbour"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_outlets_name_is_stripped_and_no_more(title: str, bare: str) -> None:
    assert strip_suffix(title, NAMES) == bare


@pytest.mark.parametrize(
    ("title", "bare"),
    [
        ("港の会議が火曜日に始まった：灯台新聞デジタル", "港の会議が火曜日に始まった"),
        ("항구 회담이 화요일에 시작되었다ㅣ등대일보", "항구 회담이 화요일에 시작되었다"),
        ("Переговоры начались во вторник — Маяк", "Переговоры начались во вторник"),
    ],
)
def test_names_in_other_scripts(title: str, bare: str) -> None:
    assert strip_suffix(title, ["灯台新聞デジタル", "등대일보", "Маяк"]) == bare


@given(st.text(max_size=120), st.lists(st.text(max_size=12), max_size=4))
def test_any_title_can_be_asked(title: str, names: list[str]) -> None:
    bare = strip_suffix(title, names)
    assert bare == title or title.startswith(bare)


def page(
    *, head: str = "", linked: str = "", shared: str = "", window: str = "", more: str = "", body: str = ""
) -> str | None:
    """The title of a page with these wordings."""
    metas = f"<meta property='og:title' content='{shared}'>" if shared else ""
    data = json.dumps({"@type": "NewsArticle", "headline": linked}) if linked else "{}"
    text = "".join(f"<p>{p}</p>" for p in PARAGRAPHS)
    html = (
        f"<html><head><title>{window or linked or head} | The Lantern</title>{metas}{more}"
        f"<meta property='og:site_name' content='The Lantern'><script type='application/ld+json'>{data}</script></head>"
        f"<body>{body or f'<article><h1>{head}</h1><div class=article-body>{text}</div></article>'}</body></html>"
    )
    return extract(body=html.encode(), url=URL, captured=CAPTURED, content_type="text/html; charset=utf-8").title


LONG = "Nine ports open their talks with a long list of grievances"
SHORT = "Nine ports open their talks with a list of grievances"
OTHER = "What the pilots want from Tuesday"


def test_what_two_statements_agree_on() -> None:
    assert page(head=LONG, linked=OTHER, shared=LONG) == LONG
    assert page(head=OTHER, linked=LONG, shared=LONG) == LONG
    assert page(head=LONG, linked=LONG, shared=LONG, window=OTHER) == LONG


def test_a_headline_told_shorter_for_others_is_the_shared_one() -> None:
    assert page(head=LONG, linked=LONG, shared=SHORT) == SHORT


def test_a_shared_title_in_wholly_other_words_needs_a_second_witness() -> None:
    assert page(head=LONG, linked=LONG, shared=OTHER) == LONG
    assert page(head=LONG, linked=LONG, shared=OTHER, more=f"<meta name=parsely-title content='{OTHER}'>") == OTHER


def test_a_shared_title_that_the_window_repeats_was_made_for_search() -> None:
    assert page(head=LONG, linked=LONG, shared=SHORT, window=SHORT) == LONG


def test_a_shared_title_that_was_cut_is_none() -> None:
    assert page(head=LONG, linked=LONG, shared="Nine ports open their talks with a long …") == LONG
    assert page(head='Nine ports "open" their talks', linked="", shared="Nine ports", window="x") == (
        'Nine ports "open" their talks'
    )


def test_different_kickers_before_one_headline() -> None:
    assert page(head=f"Harbours - {LONG}", shared=f"Storm season: {LONG}") == LONG


def test_a_section_between_headline_and_name() -> None:
    section = "<meta name=category content=정치>"
    title = "항구 회담이 화요일에 시작되었다 아홉 항구"
    names = f"{title}-정치ㅣThe Lantern"
    assert page(linked="", shared=names, window=title, more=section, body=f"<p>{PARAGRAPHS[0]}") == title


def test_a_name_alone_is_no_headline() -> None:
    assert page(head=LONG, linked="The Lantern", shared="The Lantern") == LONG


def test_a_headline_below_a_trail_of_links_is_the_one_that_is_seen() -> None:
    text = "".join(f"<p>{p}</p>" for p in PARAGRAPHS)
    body = f"<main><nav><ul><li><a href='/'>Home</a><li><h1>{OTHER}</h1></ul></nav><h2>{LONG}</h2>{text}</main>"
    assert page(linked=LONG, shared=OTHER, window=OTHER, body=body) == LONG


def test_without_any_field_the_window_title_serves() -> None:
    assert page(window=LONG, body=f"<p>{PARAGRAPHS[0]}</p>") == LONG

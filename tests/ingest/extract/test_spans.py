"""Spans: the first place where a string is shown, whatever stands around it or within it."""

from __future__ import annotations

import pytest

from ingest.extract.spans import Finder
from schemas.articles import read_span

SENTENCE = "The harbour talks opened on Tuesday with delegates from nine ports and a long list of grievances."


def found(body: str, raw: str = SENTENCE) -> bytes | None:
    data = body.encode()
    span = Finder(data, body, "utf-8").find(raw, via="html")
    if span is None:
        return None
    assert read_span(data, span) == raw
    return data[span.start : span.end]


@pytest.mark.parametrize(
    "shown",
    [
        SENTENCE,
        SENTENCE.replace("talks", "<a href='/t?a=1&amp;b=2'>talks</a>"),
        SENTENCE.replace("nine ports", "<b>nine</b>\n   ports"),
        SENTENCE.replace("The", "<b>The</b>"),
        SENTENCE.replace("long", "&#108;ong"),
        SENTENCE.replace(" ", " \n "),
        SENTENCE.replace("grievances.", "<i>grievances</i>."),
    ],
)
@pytest.mark.parametrize(
    "hidden",
    [
        "",
        "<!-- {} -->",
        "<script>var a = '{}';</script>",
        "<SCRIPT >'{}'</SCRIPT\n>",
        "<style>/* {} */</style>",
        '<p title="{}">x</p>',
    ],
)
def test_the_shown_place_is_found(shown: str, hidden: str) -> None:
    place = found(f"<html><body>{hidden.format(SENTENCE)}<scripted>x</scripted><p>{shown}</p><p>x</p>")
    assert place is not None
    assert place.decode() == shown.removeprefix("<b>")


def test_what_is_only_hidden_has_no_place() -> None:
    assert found(f"<html><!-- {SENTENCE} --><script>{SENTENCE}</script><style>{SENTENCE}") is None


def test_anchors_far_apart_are_not_one_string() -> None:
    start, end = SENTENCE[:20], SENTENCE[-20:]
    assert found(f"<p>{start}</p>{'<p>other words</p>' * 3000}<p>{end}</p>") is None

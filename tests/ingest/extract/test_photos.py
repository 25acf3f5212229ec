"""Addresses of images and the JSON-LD about them: lists of sizes, and what an id leads to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from ingest.extract import jsonld
from ingest.extract.photos import best_url

BASE = "https://paper.example/news/"


@pytest.mark.parametrize(
    ("offers", "taken"),
    [
        ("a.jpg 100w, b.jpg 900w, c.jpg 300w", "b.jpg"),
        ("a.jpg 1x,b.jpg 2x", "b.jpg"),
        ("a.jpg, b.jpg 3x", "b.jpg"),
        ("a.jpg", "a.jpg"),
        (" ,, a.jpg 640w ,", "a.jpg"),
        ("w_100,h_200/a.jpg 100w, w_900,h_800/b.jpg 900w", "w_900,h_800/b.jpg"),
        ("a.jpg 100w 50h, b.jpg 900w 450h", "b.jpg"),
        ("data:image/gif;base64,R0lGOD 900w, a.jpg 100w", "a.jpg"),
        ("a.jpg ...x, b.jpg 2x", "b.jpg"),
        ("a.jpg\n\t100w,\n\tb.jpg\n\t200w", "b.jpg"),
    ],
)
def test_the_largest_of_a_list_of_sizes_is_taken(offers: str, taken: str) -> None:
    image = html.fromstring("<img>")
    image.set("srcset", offers)
    assert best_url(image, BASE) == BASE + taken


node = st.fixed_dictionaries(
    {"@type": st.sampled_from(["Person", "ImageObject"])},
    optional={"@id": st.sampled_from(["#a", "#b"]), "name": st.sampled_from(["Ada", "Bo"]), "url": st.just("/x")},
)


@given(st.lists(node, max_size=8), st.sampled_from([{"@id": "#a"}, {"@id": "#b", "@type": "Person"}, {"@id": "#c"}]))
def test_an_id_leads_to_the_first_node_that_says_more(nodes: list[dict[str, Any]], asked: dict[str, Any]) -> None:
    script = html.Element("script", type="application/ld+json")
    script.text = json.dumps(nodes)
    linked = jsonld.read([script], BASE, None)
    expected = (n for n in nodes if n.get("@id") == asked["@id"] and len(n) > len(asked))
    assert linked.resolve(asked) == next(expected, asked)
    assert all(len(same) <= 2 for same in linked.ids.values())

"""Bylines to names, in the languages and manners of many outlets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.extract.names import authors_of, split_byline


@pytest.mark.parametrize(
    ("byline", "names"),
    [
        ("By Ada Quay and Bo Mole", ["Ada Quay", "Bo Mole"]),
        ("By Ada Quay, Bo Mole and Cy Pier", ["Ada Quay", "Bo Mole", "Cy Pier"]),
        ("By Ada Quay, World Editor", ["Ada Quay"]),
        ("Ada Quay Staff writer", ["Ada Quay"]),
        ("By Ada Quay in Port Quill", ["Ada Quay"]),
        ("By Ada Quay ada@lantern.example", ["Ada Quay"]),
        ("By Ada Quay | dpa", ["Ada Quay"]),
        ("ADA QUAY, AP Harbour Writer", ["ADA QUAY"]),
        ("Published by Ada Quay", ["Ada Quay"]),
        ("Von Max Muster und Erika Beispiel", ["Max Muster", "Erika Beispiel"]),
        ("Text: Max Muster, Foto: Erika Lins", ["Max Muster"]),
        ("Par Anne Lentille", ["Anne Lentille"]),
        ("Por Ana Lente y Juan Foco", ["Ana Lente", "Juan Foco"]),
        ("Di Anna Lente", ["Anna Lente"]),
        ("Door Anna Lens", ["Anna Lens"]),
        ("Av Anna Lins og Bo Lins", ["Anna Lins", "Bo Lins"]),
        ("Автор: Иван Петров", ["Иван Петров"]),
        ("Oleh Budi Lensa", ["Budi Lensa"]),
        ("بقلم: أحمد علي", ["أحمد علي"]),
        ("文／王小明", ["王小明"]),
        ("홍길동 기자", ["홍길동"]),
        ("記者 李明", ["李明"]),
        ("https://lantern.example/ada", []),
    ],
)
def test_names_of_bylines(byline: str, names: list[str]) -> None:
    assert list(split_byline(byline)) == names


@given(st.lists(st.text(max_size=80), max_size=4))
def test_any_bylines_can_be_asked(bylines: list[str]) -> None:
    names = authors_of(bylines)
    assert len({n.casefold() for n in names}) == len(names)
    assert all(n.strip() == n and n for n in names)

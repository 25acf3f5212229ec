"""Fingerprints: what counts as a letter, that a shared run shares a fingerprint, and that the index finds it."""

from __future__ import annotations

import html
import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import fingerprints
from storage.archive import Archive
from storage.fingerprints import (
    DENSE_WEIGHT,
    GRAM,
    GUARANTEE,
    WINDOW,
    candidates,
    gram_hashes,
    index_version,
    letters,
    normalise,
    winnow,
)
from tests.support.archives import settings

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
MARKED = st.lists(
    st.sampled_from(["&amp;", "&eacute;", "&#8217;", "&#x41;", "&copy", "&notit;", "&;", "&lt", "ß", "が", " ", "x;"])
    | TEXT,
    max_size=8,
).map("".join)
SENTENCE = "“It’s über-late,” said Zoë — café №7 at 9:30 AM… the ﬁnal straße, naïve coöperation & more."


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive.create(settings(tmp_path)) as made:
        yield made


def prose(seed: int, words: int) -> str:
    """Words of no language; no two seeds share a run of letters worth the name."""
    source = random.Random(seed)
    return " ".join("".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=source.randint(2, 9))) for _ in range(words))


# -- letters ---------------------------------------------------------------------------------------------------------


@given(TEXT | MARKED)
def test_both_ways_to_letters_agree(text: str) -> None:
    found = normalise(text)
    assert found.letters == letters(text)
    assert len(found.positions) == len(found.letters)
    assert list(found.positions) == sorted(found.positions)
    assert all(0 <= at < len(text) for at in found.positions)


@given(TEXT)
def test_letters_of_letters_are_the_same(text: str) -> None:
    plain = "".join(char for char in letters(text) if letters(char) == char)
    assert letters(plain) == plain
    assert not set(letters(text)) & set(" \n\t\u00a0\u200b\u00ad'\"“”‘’«»–—-.,;:!?…")


@pytest.mark.parametrize(
    "mangle",
    [
        str.upper, str.lower, str.title,
        lambda text: text.replace(" ", ""), lambda text: text.replace(" ", "\n\n  "),
        lambda text: unicodedata.normalize("NFD", text), lambda text: unicodedata.normalize("NFKC", text),
        lambda text: unicodedata.normalize("NFKD", text),
        lambda text: text.replace("“", '"').replace("”", '"').replace("’", "'").replace("—", "--").replace("…", "..."),
        html.escape, lambda text: html.escape(text).replace(" ", "&nbsp;").upper(),
        lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
        lambda text: "\u00ad".join(text), lambda text: "\u200b".join(text), lambda text: text.replace(" ", "\u00a0"),
    ],
)  # fmt: skip
def test_typography_does_not_count(mangle: object) -> None:
    assert callable(mangle)
    # Case first: upper case of ß is SS, and titles are cut at apostrophes.
    assert letters(mangle(SENTENCE)) == letters(SENTENCE)


@pytest.mark.parametrize(
    "pair",
    [
        ("ｶﾞｽ", "ガス"),
        ("㍿", "株式会社"),
        ("ＡＢＣ１", "abc1"),
        ("한국", unicodedata.normalize("NFD", "한국")),
        ("ΣΑΣ", "σας"),
    ],
)
def test_forms_of_other_scripts_are_one(pair: tuple[str, str]) -> None:
    assert letters(pair[0]) == letters(pair[1])


def test_a_dense_character_weighs_more() -> None:
    assert len(letters("船が港を出た")) == 6 * DENSE_WEIGHT
    assert len(letters("ship")) == 4


def test_a_span_is_where_the_letters_stood() -> None:
    text = "  “Caf&eacute; №7”, she said — ﬁnally."
    found = normalise(text)
    at = found.letters.index("she")
    assert text[slice(*found.span(at, at + 3))] == "she"
    at = found.letters.index("fi")
    assert text[slice(*found.span(at, at + 7))] == "ﬁnally"
    at = found.letters.index("cafe")
    assert text[slice(*found.span(at, at + 4))] == "Caf&eacute;"
    assert text[slice(*found.span(at, at + 5))] == "Caf&eacute; №"


# -- hashes and what is kept of them ---------------------------------------------------------------------------------


@given(st.text("abc", max_size=60))
def test_hashes_are_those_of_each_gram(value: str) -> None:
    hashes = gram_hashes(value)
    grams = [value[i : i + GRAM] for i in range(len(value) - GRAM + 1)]
    assert len(hashes) == len(grams)
    assert [h for gram in grams for h in gram_hashes(gram)] == hashes
    assert len(set(hashes)) == len(set(grams))
    assert all(0 <= h < 2**63 for h in hashes)


@given(st.lists(st.integers(0, 30), max_size=200))
def test_each_window_keeps_one(hashes: list[int]) -> None:
    kept = winnow(hashes)
    assert all(hashes[at] == value for value, at in kept)
    places = [at for _, at in kept]
    assert places == sorted(set(places))
    for start in range(max(len(hashes) - WINDOW + 1, min(len(hashes), 1))):
        window = range(start, min(start + WINDOW, len(hashes)))
        assert any(at in window and value == min(hashes[i] for i in window) for value, at in kept)


@given(
    st.text("abcd", max_size=50), st.text("abcd", max_size=50), st.text("abcd", min_size=GUARANTEE, max_size=120),
    st.text("efgh", max_size=50), st.text("efgh", max_size=50),
)  # fmt: skip
def test_a_shared_run_shares_a_fingerprint(a: str, b: str, run: str, c: str, d: str) -> None:
    one = {value for value, _ in winnow(gram_hashes(a + run + b))}
    other = {value for value, _ in winnow(gram_hashes(c + run + d))}
    assert one & other


def test_little_is_kept() -> None:
    hashes = gram_hashes(letters(prose(1, 3000)))
    assert len(winnow(hashes)) < 2.3 * len(hashes) / WINDOW


# -- the index -------------------------------------------------------------------------------------------------------


def test_the_index_finds_the_text_that_shares_most(archive: Archive) -> None:
    texts = [prose(seed, 200) for seed in range(5)]
    with archive.catalog.begin() as tx:
        for row_id, text in enumerate(texts, 1):
            index_version(tx, row_id, text)
        index_version(tx, 6, texts[2][:300] + prose(9, 100))
    with archive.catalog.read() as tx:
        for row_id, text in enumerate(texts, 1):
            assert candidates(tx, letters(text[200:400]), 10)[0][0] == row_id
        found = candidates(tx, letters(texts[2]), 10)
        assert [row_id for row_id, _ in found] == [3, 6]
        assert found[0][1] > found[1][1]
        assert len(candidates(tx, letters(texts[2]), 1)) == 1
        assert candidates(tx, letters(prose(7, 200)), 10) == []


@pytest.mark.parametrize("size", [GUARANTEE, 200, 3_900, 4_100, 9_000])
def test_a_fragment_of_any_length_is_found(archive: Archive, size: int) -> None:
    text = letters(prose(1, 3000))
    with archive.catalog.begin() as tx:
        index_version(tx, 1, text)
    with archive.catalog.read() as tx:
        for start in (0, 1, 997, len(text) - size):
            assert candidates(tx, text[start : start + size], 5), start


def test_too_short_to_tell(archive: Archive) -> None:
    with archive.catalog.begin() as tx:
        index_version(tx, 1, "Too short.")
        index_version(tx, 2, "")
    with archive.catalog.read() as tx:
        assert tx.fingerprints.count() == 0
        assert candidates(tx, "tooshort", 5) == candidates(tx, "", 5) == []


def test_what_too_many_share_tells_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "MAX_SHARED", 3)
    notice = prose(1, 40)
    with archive.catalog.begin() as tx:
        for row_id in range(1, 5):
            index_version(tx, row_id, notice + " " + prose(row_id + 10, 100))
    with archive.catalog.read() as tx:
        assert candidates(tx, letters(notice), 5) == []
        assert candidates(tx, letters(notice + " " + prose(12, 100)), 5)[0][0] == 2


def test_a_text_that_repeats_itself_is_not_indexed_again_and_again(archive: Archive) -> None:
    with archive.catalog.begin() as tx:
        index_version(tx, 1, "ha" * 20_000)
        assert tx.fingerprints.count() == 1
        assert candidates(tx, "ha" * 50, 5) == [(1, 1)]


def test_japanese_needs_twenty_characters(archive: Archive) -> None:
    source = random.Random(5)
    text = "".join(chr(0x4E00 + source.randrange(0x5000)) for _ in range(400))
    with archive.catalog.begin() as tx:
        index_version(tx, 1, text)
    with archive.catalog.read() as tx:
        for start in range(0, 380, 13):
            spaced = letters("、".join(text[start : start + 20]))
            assert [row_id for row_id, _ in candidates(tx, spaced, 5)] == [1]

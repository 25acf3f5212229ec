"""Fingerprints: what counts as a letter, that a shared run shares a fingerprint, and that the index finds it."""

from __future__ import annotations

import html
import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.archive import Archive
from storage.fingerprints import (
    ABUGIDA_WEIGHT,
    GRAM,
    GUARANTEE,
    HAN_WEIGHT,
    WINDOW,
    every_gram,
    has_markup,
    index_version,
    letters,
    normalise,
    selected,
)
from storage.fingerprints import candidates as sharing
from storage.fingerprints.grams import KEY_BITS, _least, places
from storage.fingerprints.segments import build
from tests.support.archives import settings

#: Pieces that a reader might take for something else than they are.
ODD = st.sampled_from([
    "<the caller from the north>", "<b>", "</p>", "<!-- a draft -->", "‹der Zeuge von gestern›", "«hier»",
    "a < b and c > d",
    "&amp;", "&lt;p class=lead&gt;", "&CounterClockwiseContourIntegral;",
    "&#8217;", "&", "AT&T;", "Ã©tÃ©", "â€œwordâ€\x9d",
    "à¸™à¸²à¸¢", "à¸™à¸²à€€à¸²à¸¢à¸™à¸²", "é »", "words", "of", "the harbour", "3", "船", "ship", "naïve",
])  # fmt: skip
#: Letters at most that a piece cut in two may leave at an end of a cut.
CUT_LETTERS = 32
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


def candidates(archive: Archive, value: str, limit: int) -> list[tuple[int, int]]:
    """(row id, keys shared), the best first."""
    with archive.catalog.read() as tx:
        return [(c.row_id, c.hits) for c in archive.traces.candidates(tx, value, limit).found]


def _cp1252(text: str) -> str:
    """UTF-8 read as Windows-1252; what that leaves open as Latin-1, as browsers do."""
    return "".join(bytes([b]).decode("cp1252", "replace").replace("\ufffd", chr(b)) for b in text.encode())


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
        lambda text: text.encode().decode("latin-1"), lambda text: _cp1252(text),
        lambda text: text.replace("9:30", "٩:٣٠"),
        lambda text: "\u00ad".join(text), lambda text: "\u200b".join(text), lambda text: text.replace(" ", "\u00a0"),
    ],
)  # fmt: skip
def test_typography_does_not_count(mangle: object) -> None:
    assert callable(mangle)
    # Case first: upper case of ß is SS, and titles are cut at apostrophes.
    assert letters(mangle(SENTENCE)) == letters(SENTENCE)


@pytest.mark.parametrize(
    "mark_up",
    [lambda text: f"<p>{text}</p><!-- x -->", lambda text: text.replace(" ", "<br/>\n"),
     lambda text: "<p class='lead'>" + text.replace(" ", " <b>", 3) + "</b></p>"],
)  # fmt: skip
def test_tags_are_letters_or_none_as_the_reader_says(mark_up: object) -> None:
    assert callable(mark_up)
    text = mark_up(SENTENCE)
    assert has_markup(text)
    assert normalise(text, markup=True).letters == letters(SENTENCE)
    assert normalise(text).letters == letters(text) != letters(SENTENCE)


@given(
    text=st.lists(ODD, min_size=1, max_size=40).map(" ".join), start=st.integers(0, 2000), length=st.integers(0, 2000)
)
def test_the_letters_of_a_cut_are_those_of_the_text_but_at_its_ends(text: str, start: int, length: int) -> None:
    """A cut within an entity or a mis-read sequence is read as it stands there, and nothing beyond it otherwise."""
    cut = text[start : start + length]
    whole, found = letters(text), letters(cut)
    inner = found[CUT_LETTERS : len(found) - CUT_LETTERS]
    assert inner in whole


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
    assert len(letters("船が港を出た")) == 6 * HAN_WEIGHT
    assert len(letters("เรือออก")) == 6 * ABUGIDA_WEIGHT  # of seven characters one is a mark
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
def test_keys_are_those_of_each_gram(value: str) -> None:
    keys = every_gram(value).tolist()
    grams = [value[i : i + GRAM] for i in range(len(value) - GRAM + 1)]
    assert len(keys) == len(grams)
    assert [key for gram in grams for key in every_gram(gram).tolist()] == keys
    assert len(set(keys)) == len(set(grams))
    assert all(0 <= key < 1 << KEY_BITS for key in keys)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(1, 40))
def test_the_smallest_of_each_window(values: list[int], window: int) -> None:
    found = _least(np.array(values, np.uint64), window).tolist()
    windows = [values[start : start + window] for start in range(max(1, len(values) - window + 1))]
    assert found == [min(some) for some in windows]


@given(st.text("abcdefgh", max_size=200))
def test_each_window_keeps_one(value: str) -> None:
    keys, at = places(value)
    every = every_gram(value).tolist()
    assert [every[place] for place in at.tolist()] == keys.tolist()
    assert at.tolist() == sorted(set(at.tolist()))
    for start in range(max(len(every) - WINDOW + 1, min(len(every), 1))):
        assert any(start <= place < start + WINDOW for place in at.tolist())


@given(
    st.text("abcd", max_size=50), st.text("abcd", max_size=50), st.text("abcd", min_size=GUARANTEE, max_size=120),
    st.text("efgh", max_size=50), st.text("efgh", max_size=50),
)  # fmt: skip
def test_a_shared_run_shares_a_fingerprint(a: str, b: str, run: str, c: str, d: str) -> None:
    one, other = selected(a + run + b).tolist(), selected(c + run + d).tolist()
    assert set(one) & set(other)
    assert one == sorted(set(one))


def test_little_is_kept() -> None:
    value = letters(prose(1, 3000))
    assert len(selected(value)) < 2.3 * len(value) / WINDOW


# -- the index -------------------------------------------------------------------------------------------------------


def test_the_index_finds_the_text_that_shares_most(archive: Archive) -> None:
    texts = [prose(seed, 200) for seed in range(5)]
    with archive.catalog.begin() as tx:
        for row_id, text in enumerate(texts, 1):
            index_version(tx, row_id, text)
        index_version(tx, 6, texts[2][:300] + prose(9, 100))
    for row_id, text in enumerate(texts, 1):
        assert candidates(archive, letters(text[200:400]), 10)[0][0] == row_id
    found = candidates(archive, letters(texts[2]), 10)
    assert [row_id for row_id, _ in found] == [3, 6]
    assert found[0][1] > found[1][1]
    assert len(candidates(archive, letters(texts[2]), 1)) == 1
    assert candidates(archive, letters(prose(7, 200)), 10) == []


@pytest.mark.parametrize("size", [GUARANTEE, 80, 200, 3_900, 4_100, 9_000])
def test_a_fragment_of_any_length_is_found(archive: Archive, size: int) -> None:
    text = letters(prose(1, 3000))
    with archive.catalog.begin() as tx:
        index_version(tx, 1, text)
    for start in (0, 1, 997, len(text) - size):
        assert candidates(archive, text[start : start + size], 5), start


def test_too_short_to_tell(archive: Archive) -> None:
    with archive.catalog.begin() as tx:
        index_version(tx, 1, "Too short.")
        index_version(tx, 2, "")
    assert candidates(archive, "tooshort", 5) == candidates(archive, "", 5) == []


def test_what_too_many_share_is_read_last(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    notice = prose(1, 40)
    with archive.catalog.begin() as tx:
        for row_id in range(1, 31):
            index_version(tx, row_id, notice + " " + prose(row_id + 10, 100))
    mixed = letters(notice + " " + prose(12, 100))
    everyone = candidates(archive, mixed, 50)
    assert everyone[0][0] == 2
    assert len(everyone) == 30
    monkeypatch.setattr(sharing, "MAX_POSTINGS", 100)
    with archive.catalog.read() as tx:
        asked = archive.traces.candidates(tx, mixed, 50)
    assert asked.found[0].row_id == 2
    assert asked.common > 0
    monkeypatch.setattr(sharing, "MAX_POSTINGS", 3)
    assert len(candidates(archive, letters(notice), 50)) == 30  # one phrase is read however common


PLAIN = st.text("abcdefgh", max_size=150)


@given(
    st.text("abcdefgh", min_size=48, max_size=120), PLAIN, PLAIN, PLAIN, PLAIN, st.integers(1, 40),
    st.lists(PLAIN, max_size=3),
)  # fmt: skip
def test_a_run_in_common_is_never_left_out(
    run: str, a: str, b: str, c: str, d: str, postings: int, others: list[str]
) -> None:
    """Whatever else the fragment repeats, and whichever of its keys are too common to be read."""
    texts = [a + run + b, *others, c + d, c + c]
    segment = build(range(len(texts)), [selected(text) for text in texts])
    with mock.patch.object(sharing, "MAX_POSTINGS", postings):
        asked = sharing.find([segment], c + run + d, 9, run=len(run), many=1 << 30)
    distinct = set(selected(run).tolist()) & set(selected(texts[0]).tolist())
    if distinct and not asked.common:
        assert 0 in [candidate.row_id for candidate in asked.found]
    elif 0 not in [candidate.row_id for candidate in asked.found]:
        assert asked.cut or not distinct


@given(st.lists(PLAIN, min_size=1, max_size=12), PLAIN, st.integers(1, 4), st.integers(1, 3), st.data())
def test_it_does_not_matter_in_which_segments_texts_lie(
    texts: list[str], value: str, parts: int, least: int, data: st.DataObject
) -> None:
    """Counted one by one, or sieved first: the same texts with the same keys."""
    keys = [selected(text) for text in texts]
    rows = data.draw(st.permutations(range(1, len(texts) + 1)))
    whole = sharing.find([build(rows, keys)], value, 9, least=least)
    lots = [build(rows[n::parts], keys[n::parts]) for n in range(parts)]
    with mock.patch.object(sharing, "_SIEVED", 0):
        assert sharing.find(lots, value, 9, least=least) == whole
    asked = set(every_gram(value).tolist())
    shared = {row: len(asked & set(some.tolist())) for row, some in zip(rows, keys, strict=True)}
    assert whole.cut or {c.row_id: c.hits for c in whole.found} == {r: n for r, n in shared.items() if n >= least}


def test_a_phrase_here_and_there_is_left_out(archive: Archive) -> None:
    """Two phrases of 24 letters share keys as well, but not as near each other as those of a longer run are."""
    whole, fragment = prose(1, 100), letters(prose(2, 200))
    first, second = letters(whole)[100:124], letters(whole)[300:324]
    mixed = fragment[:200] + first + fragment[200:500] + second + fragment[500:]
    with archive.catalog.begin() as tx:
        index_version(tx, 1, whole)
        index_version(tx, 2, prose(2, 200))
    with archive.catalog.read() as tx:
        phrases = archive.traces.candidates(tx, mixed, 9, least=2, run=60, many=5)
        assert [candidate.row_id for candidate in phrases.found] == [2]
        assert not phrases.cut
        assert [c.row_id for c in archive.traces.candidates(tx, mixed, 9).found] == [2, 1]
        assert archive.traces.candidates(tx, mixed, 1).cut


def test_a_text_that_repeats_itself_is_not_indexed_again_and_again(archive: Archive) -> None:
    with archive.catalog.begin() as tx:
        index_version(tx, 1, "ha" * 20_000)
        ((_, keys),) = tx.fingerprints.after(0, 10)
        assert len(keys) == 5
    assert candidates(archive, "ha" * 50, 5) == [(1, 1)]


def test_japanese_needs_eight_characters(archive: Archive) -> None:
    source = random.Random(5)
    text = "".join(chr(0x4E00 + source.randrange(0x5000)) for _ in range(400))
    with archive.catalog.begin() as tx:
        index_version(tx, 1, text)
    for start in range(0, 380, 13):
        spaced = letters("、".join(text[start : start + 8]))
        assert [row_id for row_id, _ in candidates(archive, spaced, 5)] == [1]

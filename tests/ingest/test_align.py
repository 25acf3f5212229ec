"""Alignment: runs are what both share, none overlaps, and what was planted is found."""

from __future__ import annotations

import random
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import align as alignment
from ingest.align import MAX_PLACES, MIN_PART, MIN_RUN, Run, align, covered, passages
from storage.fingerprints import PIECE, Pieces, grams

SHORT = st.text("ab", max_size=120)


def noise(seed: int, size: int, alphabet: str) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=size))


@given(SHORT, SHORT)
def test_runs_are_shared_and_do_not_overlap(fragment: str, text: str) -> None:
    done = 0
    for run in align(fragment, text):
        assert run.start >= done
        assert run.length >= MIN_PART
        assert fragment[run.start : run.end] == text[run.other : run.other + run.length]
        done = run.end
    assert all(passage.shared >= MIN_RUN for passage in passages(fragment, text))
    assert 0 <= covered(align(fragment, text), len(fragment)) <= 1


@given(
    st.integers(0, 2**32), st.integers(MIN_RUN, 300), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100),
    st.integers(0, 100),
)  # fmt: skip
def test_a_planted_run_is_found_whole(seed: int, size: int, a: int, b: int, c: int, d: int) -> None:
    planted = noise(seed, size, "abcdefghijklmnop")
    fragment = noise(seed + 1, a, "qrstu") + planted + noise(seed + 2, b, "qrstu")
    text = noise(seed + 3, c, "vwxyz") + planted + noise(seed + 4, d, "vwxyz")
    assert align(fragment, text) == [Run(start=a, other=c, length=size)]


def test_a_text_covers_itself() -> None:
    text = noise(1, 5000, "abcdefghijklmnopqrstuvwxyz")
    assert align(text, text) == [Run(start=0, other=0, length=5000)]
    assert covered(align(text, text), 5000) == 1.0
    assert align(text[100:300], text) == [Run(start=0, other=100, length=200)]


def test_parts_in_another_order_are_runs_of_their_own() -> None:
    parts = [noise(seed, 200, "abcdefghijklmnopqrstuvwxyz") for seed in range(3)]
    runs = align(parts[2] + parts[0], "".join(parts))
    assert [(run.start, run.other, run.length) for run in runs] == [(0, 400, 200), (200, 0, 200)]


def test_a_changed_letter_parts_a_run() -> None:
    text = noise(1, 300, "abcdefghijklmnopqrstuvwxyz")
    runs = align(text[:150] + "0" + text[151:], text)
    assert [(run.start, run.other, run.length) for run in runs] == [(0, 0, 150), (151, 151, 149)]
    assert covered(runs, 300) == 299 / 300


def test_the_longer_of_two_places_is_taken() -> None:
    text = noise(1, 300, "abcdefghijklmnopqrstuvwxyz")
    other = text[:60] + "0" * 36 + text
    assert align(text, other) == [Run(start=0, other=96, length=300)]


def test_chance_is_no_run() -> None:
    shared = noise(1, MIN_RUN - 1, "abcdefghijklmnopqrstuvwxyz")
    assert align("0" * 12 + shared + "1" * 30, shared + "2" * 30) == []
    assert align("", "abc") == align("abc", "") == align("abc", "abc") == []
    assert covered([], 0) == 0.0


def test_short_runs_between_edited_words_make_one_passage() -> None:
    text = noise(1, 400, "abcdefghijklmnopqrstuvwxyz")
    edited = text[100:112] + "01234" + text[117:130] + "012" + text[135:150]
    (passage,) = passages("9" * 30 + edited, text)
    assert [(run.other, run.length) for run in passage.runs] == [(100, 12), (117, 13), (135, 15)]
    assert (passage.shared, passage.extent) == (40, 48)
    apart = text[100:112] + "0" * 100 + text[135:150]
    assert passages(apart, text) == []  # each alone is chance


@given(st.integers(0, 2**32), st.integers(0, 250), st.integers(60, 200), st.lists(st.integers(0, 199), max_size=4))
def test_an_edited_passage_is_covered_but_for_its_edits(seed: int, start: int, size: int, edits: list[int]) -> None:
    text = noise(seed, 500, "abcdefghijklmnop")
    letters = list(text[start : start + size])
    for at in edits:
        letters[at % size] = "0"
    fragment = "".join(letters)
    long_parts = sum(len(part) for part in fragment.split("0") if len(part) >= MIN_RUN)
    assert sum(run.length for run in align(fragment, text)) >= long_parts


def test_parts_of_a_text_put_together_anew_are_its_parts() -> None:
    text = noise(1, 3000, "abcdefghijklmnopqrstuvwxyz")
    fragment = text[500:700] + "0" * 9 + text[710:1000] + text[:300]
    assert align(fragment, text) == [
        Run(start=0, other=500, length=200), Run(start=209, other=710, length=290), Run(start=499, other=0, length=300)
    ]  # fmt: skip


@given(st.text("abc", max_size=400), st.text("abc", max_size=400), st.integers(0, 300), st.integers(0, 300))
def test_pieces_are_where_they_are_looked_for(fragment: str, text: str, start: int, size: int) -> None:
    """Looked for one by one, or in a table of the text's: the same places, and the same runs."""
    text += fragment[start : start + size] + text[:50]
    standing: dict[str, list[int]] = {}
    for at in range(len(text) - PIECE + 1):
        standing.setdefault(text[at : at + PIECE], []).append(at)
    found = []
    for searched in (1 << 30, -1):
        with mock.patch.object(grams, "_SEARCHED", searched):
            shared = Pieces(fragment).within(text)
            assert shared.starts == sorted(set(shared.starts))
            for at in range(len(fragment) - PIECE + 1):
                places = standing.get(fragment[at : at + PIECE], [])
                assert list(shared.places(fragment[at : at + PIECE], MAX_PLACES)) == places[:MAX_PLACES]
                assert not places or at in shared.starts
            found.append(passages(fragment, text, Pieces(fragment).within))
    assert found[0] == found[1] == passages(fragment, text)


def test_a_text_that_repeats_itself_costs_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece is tried at so many places; without that this would take minutes."""
    tried = []
    extend = alignment._extend
    monkeypatch.setattr(alignment, "_extend", lambda *given: tried.append(1) or extend(*given))
    for repeated in ("ab" * 100_000, "a" * 200_000):
        tried.clear()
        assert covered(align(repeated[:100_000], repeated), 100_000) == 1.0
        assert len(tried) <= MAX_PLACES

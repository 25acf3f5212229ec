"""The order of candidates: the best first, copies once, and no further ones where none matched."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st

from ingest.trace.queue import AGAIN, LEADING, STEP, Queue
from storage.fingerprints import Candidate


def found(*weights: float) -> list[Candidate]:
    return [Candidate(row_id=n, hits=int(weight), weight=weight) for n, weight in enumerate(weights)]


def tried(queue: Queue, matching: Collection[int] = ()) -> list[list[int]]:
    """What is taken, where these rows match and have no copies."""
    taken = []
    while some := queue.take():
        taken.append([candidate.row_id for candidate in some])
        queue.tried(len(some), sum(candidate.row_id in matching for candidate in some))
    return taken


def test_where_none_matches_a_few_are_tried() -> None:
    many = [20.0 - n / 10 for n in range(30)]
    queue = Queue(found(*many), 0.1, cut=False)
    assert tried(queue) == [[*range(STEP)]]
    assert not queue.whole
    queue = Queue(found(*many[:STEP]), 0.1, cut=False)
    assert tried(queue) == [[*range(STEP)]]
    assert queue.whole
    assert Queue([], 0.1, cut=False).whole
    assert not Queue([], 0.1, cut=True).whole


def test_those_near_the_best_come_first_and_then_a_few_more() -> None:
    queue = Queue(found(100.0, 100.0 * LEADING, *(40.0 - n for n in range(9))), 0.1, cut=False)
    assert tried(queue, {0, 1}) == [[0, 1], [*range(2, 2 + AGAIN)]]


def test_as_long_as_all_match_ever_more_are_tried() -> None:
    queue = Queue(found(*(30.0 - n / 10 for n in range(30))), 0.1, cut=False)
    assert [len(some) for some in tried(queue, range(30))] == [STEP, AGAIN, 2 * AGAIN, 4 * AGAIN, 30 - STEP - 7 * AGAIN]
    assert queue.whole


def test_what_weighs_little_is_left_out() -> None:
    queue = Queue(found(100.0, 29.0), 0.3, cut=False)
    assert tried(queue, {0}) == [[0]]
    assert not queue.whole


def test_of_those_that_look_alike_one_tells_of_the_others() -> None:
    queue = Queue(found(9.0, 9.0, 9.0, 8.0), 0.1, cut=False)
    first, other = queue.take()
    assert (first.row_id, other.row_id) == (0, 3)
    assert queue.alike(first)
    assert not queue.alike(other)
    queue.drop(first, {0, 1}, more=False)
    queue.tried(2, 1)
    assert [candidate.row_id for candidate in queue.take()] == [2]
    assert queue.whole
    queue = Queue(found(9.0, 9.0, 9.0), 0.1, cut=True)
    (first,) = queue.take()
    queue.drop(first, {0, 1}, more=True)
    queue.tried(1, 1)
    assert queue.take() == []
    assert queue.alike(first)  # the index may have left out others
    assert not queue.whole


@given(st.lists(st.integers(1, 40).map(float), max_size=64), st.sets(st.integers(0, 63)))
def test_each_is_tried_once(weights: list[float], matching: set[int]) -> None:
    candidates = found(*sorted(weights, reverse=True))
    queue = Queue(candidates, 0.0, cut=False)
    taken = [row_id for some in tried(queue, matching) for row_id in some]
    assert len(set(taken)) == len(taken)
    assert queue.whole is (len(taken) == len(candidates))
    assert candidates == [] or 0 in taken

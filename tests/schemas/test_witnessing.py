"""The body of `add-checkpoint` and of its answer 409: what reads back, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidValue
from schemas.witnessing import AddCheckpoint, parse_size, print_size

NOTE = b"o\n1\nroot\n\n- signature\n"


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.binary(min_size=1))
def test_a_request_reads_back(old: int, proof: list[bytes], checkpoint: bytes) -> None:
    request = AddCheckpoint(old=old, proof=tuple(proof), checkpoint=checkpoint)
    assert AddCheckpoint.parse(request.encode()) == request


@given(st.binary(max_size=200))
def test_what_is_accepted_prints_back(data: bytes) -> None:
    for text in (data, b"old 3\n" + data, b"old 3\n\n" + data):
        try:
            found = AddCheckpoint.parse(text)
        except InvalidValue:
            continue
        assert found.encode() == text


@pytest.mark.parametrize(
    "body",
    [
        b"", b"old 1\n", b"old 1\n\n", b"old 01\n\n" + NOTE, b"old -1\n\n" + NOTE, b"old 1 \n\n" + NOTE,
        b"Old 1\n\n" + NOTE, b"old 9223372036854775808\n\n" + NOTE, b"old 1\r\n\n" + NOTE, b"\nold 1\n\n" + NOTE,
        b"old 1\nAAAA\n\n" + NOTE, b"old 1\n" + b"A" * 43 + b"=\n" * 64 + b"\n" + NOTE,
        b"old 1\n" + (b"A" * 43 + b"=\n") * 64 + b"\n" + NOTE, b"old 1\n" + b"A" * 42 + b"B=\n\n" + NOTE,
        b"old \xd9\xa1\n\n" + NOTE,
    ],
)  # fmt: skip
def test_a_request_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidValue):
        AddCheckpoint.parse(body)


@given(st.integers(0, 2**63 - 1))
def test_a_size_reads_back(size: int) -> None:
    assert parse_size(print_size(size)) == size


@pytest.mark.parametrize("body", [b"", b"1", b"01\n", b"1\n\n", b" 1\n", b"-1\n", b"9223372036854775808\n"])
def test_a_size_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidValue):
        parse_size(body)

"""Canonical JSON: one value, one text; everything else refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.canonical import INTEGER_BOUND, MAX_DEPTH, dumps, loads
from schemas.errors import InvalidValue

texts = st.text(st.characters(exclude_categories=("Cs",)))
keys = st.text(st.characters(max_codepoint=127))
scalars = st.none() | st.booleans() | st.integers(1 - INTEGER_BOUND, INTEGER_BOUND - 1) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)


@given(values)
def test_what_is_written_reads_back(value: Any) -> None:
    data = dumps(value)
    assert loads(data) == value
    assert dumps(loads(data)) == data
    assert json.loads(data) == value


def test_the_form() -> None:
    value = {"b": [1, True, None, "é\u2028\x7f"], "a": '\x00\n"\\/\x1f', "A": {}}
    assert dumps(value) == (
        '{"A":{},"a":"\\u0000\\n\\"\\\\/\\u001f","b":[1,true,null,"é\u2028\x7f"]}'.encode()
    )  # RFC 8785 section 3.2.2.2


@pytest.mark.parametrize(
    "data",
    [
        b"", b" {}", b"{} ", b'{"a": 1}', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b"1.0", b"1e3", b"-0", b"01", b"NaN",
        b"Infinity", b"9007199254740992", b"-9007199254740992", b"1" * 5000, '{"ä":1}'.encode(), b'"\\ud800"',
        b'"\xff"', b'"\\u0041"', b'"\\/"', b'"\x01"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}", b"[1,]", b"[" * 100_000,
        b'"\\u001F"', b"{}{}",
    ],
)  # fmt: skip
def test_what_is_not_canonical_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidValue):
        loads(data)


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), 2**53, -(2**53), {"ä": 1}, {1: 2}, "\ud800", b"x", {1, 2}, ["\udfff"], {"a": object()}]
)
def test_what_has_no_canonical_form_is_not_written(value: Any) -> None:
    with pytest.raises(InvalidValue):
        dumps(value)


def test_depth_is_bounded() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert loads(dumps(value)) == value
    with pytest.raises(InvalidValue):
        dumps([value])
    with pytest.raises(InvalidValue):
        loads(b"[" + dumps(value) + b"]")


@given(st.binary(max_size=60))
def test_bytes_at_random_are_read_back_or_refused(data: bytes) -> None:
    try:
        value = loads(data)
    except InvalidValue:
        return
    assert dumps(value) == data

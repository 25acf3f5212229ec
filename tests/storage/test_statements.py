"""Statements: what the archive says of a capture, as one field that stays on its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import canonical
from schemas.errors import InvalidValue
from storage.statements import print_statement, read_statement

VALUES = st.dictionaries(
    st.text(st.characters(codec="ascii")), st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text()
)


@given(VALUES)
def test_what_is_printed_is_read_back_and_stays_on_one_line(value: dict[str, object]) -> None:
    try:
        block = print_statement(value)
    except InvalidValue:  # lone surrogates
        return
    assert block.count(b"\n") == block.count(b"\r") == 1
    assert block.endswith(b"\r\n")
    assert read_statement(block) == value
    assert read_statement(canonical.dumps(value)) == value, "as archives have it that are older"


@pytest.mark.parametrize("block", [b"", b"pressmark-json: {}", b"j: {}\r\n", b'pressmark-json: {"a": 1}\r\n', b"{} "])
def test_what_is_no_statement_is_refused(block: bytes) -> None:
    with pytest.raises(InvalidValue):
        read_statement(block)

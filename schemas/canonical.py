"""Canonical JSON: one value, one sequence of bytes.

RFC 8785 (JCS) on a narrow profile: objects with ASCII keys, arrays, strings without lone surrogates, integers
below 2^53 in magnitude, true, false, null. No floats, no duplicate keys. Where RFC 8785 leaves work to
ECMAScript (number printing, UTF-16 key order), the profile leaves nothing to do. Writing and reading both
refuse what lies outside.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

from schemas.errors import InvalidValue

#: Levels of nesting; deeper input is hostile, and Python's own parser recurses.
MAX_DEPTH: Final = 64

#: Integers at or beyond this magnitude are not exact in every JSON reader (RFC 8785 section 3.1, RFC 7493
#: 2.2).
INTEGER_BOUND: Final = 2**53

# Digits of the largest integer allowed, and a sign: longer texts are refused before they are converted.
_INTEGER_CHARS: Final = 17

_LEAVES: Final = frozenset({str, bool, type(None)})  # types whose every value may stand
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def dumps(value: Any) -> bytes:
    """The canonical bytes of a value made of dict, list, tuple, str, int, bool and None.

    Raises InvalidValue.
    """
    _check_value(value, 0)
    try:
        return _ENCODER.encode(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidValue("canonical JSON has no lone surrogates") from error


def loads(data: bytes) -> Any:
    """Read canonical bytes; refuses any whose re-encoding differs. Raises InvalidValue."""
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_pairs,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            parse_int=_bounded_integer,
        )
    except InvalidValue:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"not JSON in UTF-8: {error}") from error
    if dumps(value) != data:
        raise InvalidValue("JSON that is not in canonical form (RFC 8785): its re-encoding differs")
    return value


def _check_value(value: Any, depth: int) -> None:
    # Leaves, by far the most, are passed by type; a subclass of one of these takes the slower way.
    if type(value) in _LEAVES or isinstance(value, (str, bool)):
        return
    if isinstance(value, int):
        if abs(value) >= INTEGER_BOUND:
            raise InvalidValue("canonical JSON has no integers of 2^53 or more")
        return
    if depth >= MAX_DEPTH:
        raise InvalidValue(f"canonical JSON nests at most {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for key in value if not _are_ascii(value) else ():
            if not isinstance(key, str) or not key.isascii():
                raise InvalidValue(f"canonical JSON has ASCII keys only, not {str(key)[:40]!r}")
        _check_items(value.values(), depth + 1)
    elif isinstance(value, (list, tuple)):
        _check_items(value, depth + 1)
    else:
        raise InvalidValue(f"canonical JSON has no {type(value).__name__}")


def _check_items(items: Collection[Any], depth: int) -> None:
    if _LEAVES.issuperset(map(type, items)):
        return
    for item in items:
        kind = type(item)
        if kind not in _LEAVES and (kind is not int or not -INTEGER_BOUND < item < INTEGER_BOUND):
            _check_value(item, depth)


def _are_ascii(keys: dict[Any, Any]) -> bool:
    """Whether all keys are ASCII texts, asked of all at once."""
    try:
        return "".join(keys).isascii()
    except TypeError:
        return False


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidValue("JSON object with a duplicate key")
    return found


def _refuse_number(text: str) -> Any:
    raise InvalidValue(f"canonical JSON has no number such as {text[:30]!r}")


def _bounded_integer(text: str) -> int:
    if len(text) > _INTEGER_CHARS:
        raise InvalidValue("canonical JSON has no integers of 2^53 or more")
    return int(text)

"""What the archive says of a capture: canonical JSON as the one field of an `application/warc-fields` block.

ISO 28500:2017 section 6.5 has metadata records in this media type, and replay tools pass over it. JSON under a media
type of its own they take for a capture of the target: pywb served our metadata in the place of the page. What the JSON
says is left to `events` and `imports`.
"""

from __future__ import annotations

from typing import Any, Final

from schemas import canonical

#: Name of the field whose value is the JSON.
FIELD: Final = "pressmark-json"
_BEFORE: Final = f"{FIELD}: ".encode()
_AFTER: Final = b"\r\n"


def print_statement(value: Any) -> bytes:
    """The block that holds a value. Raises InvalidValue for one that has no canonical JSON (`schemas.canonical`)."""
    return _BEFORE + canonical.dumps(value) + _AFTER  # a control character is escaped in it: the field stays one line


def read_statement(block: bytes) -> Any:
    """The value in a block, or in one of bare JSON, as they were before. Raises InvalidValue."""
    if block.startswith(_BEFORE) and block.endswith(_AFTER):
        block = block[len(_BEFORE) : -len(_AFTER)]
    return canonical.loads(block)

"""FORMAT.md says what the code does, where that can be compared."""

import re
from importlib import resources

from schemas.bundle_layout import BUNDLE_FORMAT
from schemas.canonical import MAX_DEPTH
from schemas.entries import _SHAPES, ENTRY_TYPES, MAX_ENTRY_BYTES
from schemas.proofs import PROOF_HEADER
from schemas.records import NONCE

PAGE = resources.files("schemas").joinpath("FORMAT.md").read_text("utf-8")


def test_every_type_of_entry_is_told_with_its_fields() -> None:
    rows = dict(re.findall(r"^\| `([a-z]+)` \| (.*?) \|", PAGE.split("## 5.")[1].split("## 6.")[0], re.MULTILINE))
    assert set(rows) == set(ENTRY_TYPES)
    for kind, (required, optional) in _SHAPES.items():
        told = set(re.findall(r"`([a-z_0-9]+)`", rows[kind]))
        assert required.keys() | optional.keys() <= told, kind


def test_constants_are_those_of_the_code() -> None:
    for text in (f"{MAX_ENTRY_BYTES:,} bytes", f"{MAX_DEPTH} levels", BUNDLE_FORMAT, PROOF_HEADER, f"`{NONCE}`"):
        assert text in PAGE


def test_the_table_of_sections_is_right() -> None:
    told = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert told == re.findall(r"^## (\d+)\. (.+)$", PAGE, re.MULTILINE)

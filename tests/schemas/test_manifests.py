"""Snapshot manifests: what they hold reads back, and rows lead to the root."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.canonical import dumps
from schemas.digests import Digest
from schemas.errors import InvalidValue
from schemas.manifests import ROW_NONCE, Column, Manifest, row_digest, rows_root
from schemas.merkle import EMPTY_ROOT, leaf_hash, node_hash
from tests.schemas.evidence import add_capture, capture_world, make_manifest

WORLD = capture_world()
MANIFEST = make_manifest(WORLD, [{"title": "Ferry", ROW_NONCE: "00"}])

columns = st.builds(
    Column,
    name=st.text("abc_", min_size=1),
    type=st.sampled_from(["string", "integer"]),
    digested=st.booleans(),
    description=st.text(st.characters(exclude_categories=("Cs",))),
)


@given(
    st.lists(columns).map(tuple), st.dictionaries(st.text("abc", min_size=1), st.integers(0, 99)), st.integers(0, 12)
)
def test_a_manifest_reads_back(made: tuple[Column, ...], counts: Mapping[str, int], size: int) -> None:
    manifest = replace(MANIFEST, columns=made, counts=counts, tree_size=size)
    assert Manifest.decode(manifest.encode()) == manifest
    assert manifest.sha256 == Digest.sha256(manifest.encode())
    assert manifest.digested_columns == tuple(column.name for column in made if column.digested)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "pressmark-snapshot/2"}, {"row_digest": "md5"}, {"name": "Not A Name"}, {"name": 5},
        {"version": "1.0"},
        {"version": "01.0.0"}, {"rows": -1}, {"rows": True}, {"root": "sha1:" + "0" * 40}, {"tree_size": 999},
        {"origin": "elsewhere.example/log"}, {"checkpoint": "nonsense"}, {"columns": [{"name": "x"}]},
        {"counts": {"a": "b"}},
        {"selection": 5}, {"more": 1}, {"extractors": None}, {"checkpoint": None}, {"columns": [{"nam": 1}]},
    ],
)  # fmt: skip
def test_any_other_shape_is_refused(changes: dict[str, Any]) -> None:
    value = {**json.loads(MANIFEST.encode()), **changes}
    with pytest.raises(InvalidValue):
        Manifest.decode(dumps(value))


@pytest.mark.parametrize("data", [b"[]", b"5", b"{}", b"null", b"", MANIFEST.encode() + b"\n"])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidValue):
        Manifest.decode(data)


def test_rows_lead_to_the_root() -> None:
    rows = [{"title": "a", ROW_NONCE: "1"}, {"title": None, ROW_NONCE: "2"}]
    first, second = (row_digest(row) for row in rows)
    assert first == Digest.sha256(b'{"row_nonce":"1","title":"a"}').value
    assert rows_root([first, second]).value == node_hash(leaf_hash(first), leaf_hash(second))
    assert rows_root([]).value == EMPTY_ROOT
    assert rows_root([second, first]) != rows_root([first, second])
    with pytest.raises(InvalidValue):
        row_digest({"share": 0.5})


def test_a_later_checkpoint_of_the_log_will_do() -> None:
    world = capture_world()
    size = len(world.entries)
    add_capture(world, first=50)
    later = replace(MANIFEST, checkpoint=world.checkpoint().decode(), tree_size=size)
    assert Manifest.decode(later.encode()) == later

"""The tree: roots, proofs of every size, the vectors of others, and what must not verify."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import CheckFailed, InvalidValue
from schemas.merkle import (
    EMPTY_ROOT,
    CompactRange,
    GetHash,
    complete_subtrees,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LARGEST = 40


def by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, as it is written there: an oracle."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + by_definition(leaves[:split]) + by_definition(leaves[split:])).digest()


ENTRIES = [bytes([number]) * number for number in range(LARGEST)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


@pytest.fixture(scope="module")
def get_hash() -> GetHash:
    nodes: dict[tuple[int, int], bytes] = {}
    tree = CompactRange()
    for leaf in LEAVES:
        nodes.update({(level, index): value for level, index, value in tree.append(leaf)})
    return lambda level, index: nodes[level, index]


def test_roots_are_those_of_the_definition(get_hash: GetHash) -> None:
    for size in range(LARGEST + 1):
        root = by_definition(ENTRIES[:size])
        assert root_of(LEAVES[:size]) == root
        assert CompactRange.restore(size, get_hash).root() == root


def test_every_inclusion_proof_verifies_and_no_other_leaf_does(get_hash: GetHash) -> None:
    for size in range(1, LARGEST + 1):
        root = root_of(LEAVES[:size])
        for index in range(size):
            proof = inclusion_path(index, size, get_hash)
            verify_inclusion(index, size, LEAVES[index], proof, root)
            for wrong_index in {0, index - 1, index + 1, size - 1, size} - {index}:
                with pytest.raises(CheckFailed):
                    verify_inclusion(wrong_index, size, LEAVES[index], proof, root)
            for wrong in (proof[:-1], [*proof, root], [root, *proof], proof[1:]):
                if wrong != proof:
                    with pytest.raises(CheckFailed):
                        verify_inclusion(index, size, LEAVES[index], wrong, root)


def test_every_consistency_proof_verifies(get_hash: GetHash) -> None:
    roots = [root_of(LEAVES[:size]) for size in range(LARGEST + 1)]
    for new in range(LARGEST + 1):
        for old in range(new + 1):
            proof = consistency_path(old, new, get_hash)
            verify_consistency(old, new, proof, roots[old], roots[new])
            with pytest.raises(CheckFailed):
                verify_consistency(old, new, [*proof, EMPTY_ROOT], roots[old], roots[new])
            with pytest.raises(CheckFailed):
                verify_consistency(old, new, proof, leaf_hash(b"other"), roots[new])
            if old:
                with pytest.raises(CheckFailed):
                    verify_consistency(old, new, proof, roots[old], leaf_hash(b"other"))
            if proof:
                with pytest.raises(CheckFailed):
                    verify_consistency(old, new, proof[:-1], roots[old], roots[new])


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_subtrees_tile_a_range(start: int, length: int) -> None:
    at = start
    for level, index in complete_subtrees(start, start + length):
        assert index << level == at
        at += 1 << level
    assert at == start + length


def test_bad_sizes_are_refused(get_hash: GetHash) -> None:
    with pytest.raises(InvalidValue):
        inclusion_path(5, 5, get_hash)
    with pytest.raises(InvalidValue):
        consistency_path(6, 5, get_hash)
    with pytest.raises(InvalidValue):
        CompactRange(3, [EMPTY_ROOT])
    with pytest.raises(InvalidValue):
        CompactRange(1, [b"short"])
    with pytest.raises(CheckFailed):
        verify_inclusion(0, 1, b"short", [], b"short")
    with pytest.raises(CheckFailed):
        verify_consistency(2, 1, [], EMPTY_ROOT, EMPTY_ROOT)
    # A node cannot pass for a leaf: the prefixes differ.
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])


def decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")


@pytest.mark.shared
@pytest.mark.parametrize(("kind", "least"), [("inclusion", 50), ("consistency", 40)])
def test_the_vectors_of_transparency_dev(shared: Path, kind: str, least: int) -> None:
    rows = json.loads((shared / f"vectors/merkle/{kind}.json").read_text("utf-8"))
    judged_wrong = []
    for row in rows:
        proof = [decoded(line) for line in row["proof"] or []]
        try:
            if kind == "inclusion":
                leaf, root = decoded(row["leafHash"]), decoded(row["root"])
                verify_inclusion(row["leafIdx"], row["treeSize"], leaf, proof, root)
            else:
                old, new = decoded(row["root1"]), decoded(row["root2"])
                verify_consistency(row["size1"], row["size2"], proof, old, new)
            refused = False
        except CheckFailed:
            refused = True
        if refused != row["wantErr"]:
            judged_wrong.append(row["name"])
    assert len(rows) >= least
    assert not judged_wrong

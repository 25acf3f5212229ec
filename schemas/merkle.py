"""The Merkle tree of RFC 6962 section 2.1 and RFC 9162 section 2.1, over SHA-256.

Hashes, roots, proofs and their verification, on values alone; where hashes are kept is left to `tiles` and
the log. A complete subtree is named (level, index): it covers the leaves index * 2^level up to (index + 1) *
2^level.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from schemas.errors import CheckFailed, InvalidValue

#: Bytes of a node.
HASH_SIZE: Final = 32

#: Trees are at most this large; C2SP and RFC 9162 count leaves in 64 bits.
MAX_TREE_SIZE: Final = 2**63 - 1

#: Root of the tree without leaves: the hash of nothing (RFC 9162 section 2.1.1).
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

#: Gives the hash of the complete subtree at (level, index).
GetHash = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class CompactRange:
    """Roots of the complete subtrees of a tree of `size` leaves, largest first: all that appending needs."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if len(hashes) != size.bit_count() or any(len(h) != HASH_SIZE for h in hashes):
            raise InvalidValue(
                f"a tree of {size} leaves has {size.bit_count()} complete subtrees of 32-byte roots"
            )
        self.size = size
        self.hashes = list(hashes)

    @classmethod
    def restore(cls, size: int, get_hash: GetHash) -> CompactRange:
        """The range of a tree of `size` leaves from its stored subtrees."""
        return cls(size, [get_hash(level, index) for level, index in complete_subtrees(0, size)])

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add one leaf hash; gives the complete subtrees that came to be, (level, index, hash), upward."""
        level, index, current = 0, self.size, leaf
        made = [(level, index, current)]
        while index & 1:
            current = node_hash(self.hashes.pop(), current)
            level, index = level + 1, index >> 1
            made.append((level, index, current))
        self.hashes.append(current)
        self.size += 1
        return made

    def root(self) -> bytes:
        """Root of the tree."""
        return _fold_right(self.hashes)


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """Root of the tree over these leaf hashes, in order."""
    tree = CompactRange()
    for leaf in leaf_hashes:
        tree.append(leaf)
    return tree.root()


def complete_subtrees(start: int, stop: int) -> list[tuple[int, int]]:
    """The largest complete subtrees (level, index) that tile the leaves from `start` up to `stop`, left to
    right.

    `start` must be a multiple of every power of two below the range's length, as in RFC 6962 splits.
    """
    found = []
    while start < stop:
        level = (stop - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        found.append((level, start >> level))
        start += 1 << level
    return found


def inclusion_path(index: int, size: int, get_hash: GetHash) -> list[bytes]:
    """Proof that leaf `index` is in the tree of `size` leaves, from the leaf's sibling up (RFC 9162 2.1.3.1).

    Raises InvalidValue where the leaf is not in the tree.
    """
    if not 0 <= index < size:
        raise InvalidValue(f"there is no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(_range_hash(middle, stop, get_hash))
            stop = middle
        else:
            path.append(_range_hash(start, middle, get_hash))
            start = middle
    return path[::-1]


def consistency_path(old: int, new: int, get_hash: GetHash) -> list[bytes]:
    """Proof that the tree of `old` leaves is a prefix of that of `new` (RFC 9162 2.1.4.1); empty where old is
    0 or new.

    Raises InvalidValue where old is beyond new.
    """
    if not 0 <= old <= new:
        raise InvalidValue(f"a tree of {old} leaves is no prefix of one of {new}")
    if old in (0, new):
        return []
    path: list[bytes] = []
    start, stop, whole = 0, new, True
    while old != stop:
        middle = start + _split(stop - start)
        if old <= middle:
            path.append(_range_hash(middle, stop, get_hash))
            stop = middle
        else:
            path.append(_range_hash(start, middle, get_hash))
            start, whole = middle, False
    if not whole:
        path.append(_range_hash(start, stop, get_hash))
    return path[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check an inclusion proof by the steps of RFC 9162 section 2.1.3.2.

    Raises CheckFailed where it does not hold.
    """
    # 1. The leaf must lie in the tree.
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise CheckFailed(f"inclusion: there is no leaf {index} in a tree of {size}")
    _check_sizes([leaf, root, *proof])
    # 2. Two cursors: the node on the way up (fn), the last node of its level (sn).
    fn, sn, found = index, size - 1, leaf
    for sibling in proof:
        # 4a. Every level is used up: the proof is too long.
        if sn == 0:
            raise CheckFailed("inclusion: the proof has more hashes than the tree has levels")
        # 4b. A right child, or the last node of its level, is hashed with what stands left of it.
        if fn & 1 or fn == sn:
            found = node_hash(sibling, found)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = node_hash(found, sibling)
        fn, sn = fn >> 1, sn >> 1
    # 5. All levels done, and the same root.
    if sn != 0:
        raise CheckFailed("inclusion: the proof has fewer hashes than the tree has levels")
    if found != root:
        raise CheckFailed("inclusion: the entry and the proof do not lead to the tree's root")


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check a consistency proof by the steps of RFC 9162 section 2.1.4.2. Raises CheckFailed where it does
    not hold.

    The tree without leaves is a prefix of every tree: its root must be the empty root and the proof empty.
    """
    if not 0 <= old <= new <= MAX_TREE_SIZE:
        raise CheckFailed(f"consistency: a tree of {old} leaves is no prefix of one of {new}")
    _check_sizes([old_root, new_root, *proof])
    if old in (0, new):
        same = old_root == (new_root if old == new else EMPTY_ROOT)
        if proof or not same or (new == 0 and new_root != EMPTY_ROOT):
            raise CheckFailed("consistency: trees of one size differ, or a proof is given where none is due")
        return
    # 1. An empty proof proves nothing here.
    if not proof:
        raise CheckFailed("consistency: no proof is given")
    # 2. Where the old size is a power of two, its root is itself the first node.
    path = [old_root, *proof] if old.bit_count() == 1 else list(proof)
    # 3. and 4. Cursors at the last node of the old tree, moved up while it is a right child.
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    # 5. and 6. Both roots grow from the first node.
    found_old = found_new = path[0]
    for sibling in path[1:]:
        if sn == 0:
            raise CheckFailed("consistency: the proof has more hashes than the tree has levels")
        if fn & 1 or fn == sn:
            found_old, found_new = node_hash(sibling, found_old), node_hash(sibling, found_new)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            found_new = node_hash(found_new, sibling)
        fn, sn = fn >> 1, sn >> 1
    # 7. Both roots reached, and nothing left over.
    if found_old != old_root or found_new != new_root or sn != 0:
        raise CheckFailed("consistency: the proof does not lead from the old root to the new one")


def _split(length: int) -> int:
    """The largest power of two smaller than `length`."""
    return 1 << ((length - 1).bit_length() - 1)


def _range_hash(start: int, stop: int, get_hash: GetHash) -> bytes:
    return _fold_right([get_hash(level, index) for level, index in complete_subtrees(start, stop)])


def _fold_right(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return EMPTY_ROOT
    found = hashes[-1]
    for left in reversed(hashes[:-1]):
        found = node_hash(left, found)
    return found


def _check_sizes(hashes: Sequence[bytes]) -> None:
    if any(len(value) != HASH_SIZE for value in hashes):
        raise CheckFailed("a node of the tree has 32 bytes")

"""`.tlog-proof` files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import CheckFailed, InvalidValue
from schemas.proofs import LogProof
from tests.schemas.evidence import Key, capture_world

hashes = st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple)


@given(st.integers(0, 2**62), hashes, st.binary(min_size=1, max_size=80), st.none() | st.binary(max_size=40))
def test_a_proof_reads_back(index: int, path: tuple[bytes, ...], checkpoint: bytes, extra: bytes | None) -> None:
    proof = LogProof(index=index, hashes=path, checkpoint=checkpoint, extra=extra)
    assert LogProof.parse(proof.encode()) == proof


def test_the_form() -> None:
    proof = LogProof(index=5, hashes=(bytes(32),), checkpoint=b"note\n", extra=b"x")
    assert proof.encode() == (
        b"c2sp.org/tlog-proof@v1\nextra eA==\nindex 5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nnote\n"
    )


GOOD = LogProof(index=5, hashes=(bytes(32),), checkpoint=b"note\n").encode()


@pytest.mark.parametrize(
    "data",
    [
        b"", GOOD.split(b"\n\n")[0], GOOD.replace(b"@v1", b"@v2"), GOOD.replace(b"index 5", b"index 05"),
        GOOD.replace(b"index 5", b"index -5"), GOOD.replace(b"index 5", b"index 5 "), GOOD.replace(b"index 5\n", b""),
        GOOD.replace(b"AAA=\n", b"AAB=\n"), GOOD.replace(b"AAA=\n", b"AAA\n"), GOOD.replace(b"AAAA", b"", 1),
        GOOD.replace(b"index 5", b"extra eB==\nindex 5"), GOOD.replace(b"index 5", b"index 5\nextra eA=="),
        GOOD.replace(b"note\n", b""), GOOD.replace(b"index", b"\xffndex"), b"\n" + GOOD, b"x" * 3_000_000,
        GOOD.replace(b"index 5\n", b"index 5\n" + b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 63),
    ],
)  # fmt: skip
def test_what_is_no_proof_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidValue):
        LogProof.parse(data)


def test_a_proof_verifies_for_its_entry_alone() -> None:
    world = capture_world()
    for index, entry in enumerate(world.entries):
        proof = LogProof.parse(world.proof(index).encode())
        assert proof.verify(entry, world.key.vkey).size == len(world.entries)
        with pytest.raises(CheckFailed, match="inclusion"):
            proof.verify(entry + b" ", world.key.vkey)
        with pytest.raises(CheckFailed, match="no signature"):
            proof.verify(entry, Key.make(2).vkey)

"""Ed25519 verification against RFC 8032's vectors and an independent implementation."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.ed25519 import ed25519_verify

# RFC 8032 section 7.1: public key, message, signature.
RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe"
        "24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302ae"
        "eb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28"
        "dc027beceea1ec40a",
    ),
]

ORDER = 2**252 + 27742317777372353535851937790883648493
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


def other_says(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_the_vectors_of_rfc_8032(public: str, message: str, signature: str) -> None:
    assert ed25519_verify(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message))


@settings(max_examples=40)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511), st.integers(0, 255))
def test_it_agrees_with_an_independent_implementation(seed: bytes, message: bytes, bit: int, key_bit: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert ed25519_verify(public, signature, message)
    flipped = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(64, "big")
    assert not ed25519_verify(public, flipped, message)
    other = (int.from_bytes(public, "big") ^ 1 << key_bit).to_bytes(32, "big")
    assert ed25519_verify(other, signature, message) == other_says(other, signature, message) is False
    assert not ed25519_verify(public, signature, message + b"\0")


def test_a_signature_has_one_form() -> None:
    signature = KEY.sign(b"text")
    s = int.from_bytes(signature[32:], "little") + ORDER
    assert not ed25519_verify(PUBLIC, signature[:32] + s.to_bytes(32, "little"), b"text")


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), (2**255 - 20).to_bytes(32, "little")])
def test_keys_of_small_order_are_refused(public: bytes) -> None:
    # With such a key, R = [S]B "signs" every message for which the challenge cancels out; for S = 0, R = identity.
    assert not ed25519_verify(public, b"\x01" + bytes(63), b"any text")


@pytest.mark.parametrize(
    ("public", "signature"),
    [
        (b"", KEY.sign(b"")),
        (PUBLIC, b""),
        (PUBLIC[:-1], KEY.sign(b"")),
        (PUBLIC, KEY.sign(b"")[:-1]),
        (b"\xff" * 32, KEY.sign(b"")),  # y is not below p
        (b"\x02" + bytes(31), KEY.sign(b"")),  # no point has that y
        (b"\x01" + bytes(30) + b"\x80", KEY.sign(b"")),  # x = 0 with its sign set
    ],
)
def test_malformed_input_does_not_verify(public: bytes, signature: bytes) -> None:
    assert not ed25519_verify(public, signature, b"")

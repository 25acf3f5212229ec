"""Digests in the two spellings of WARC files, and strict base64."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.digests import DIGEST_SIZES, Digest, strict_base64, strict_sha256
from schemas.errors import InvalidValue

digests = st.sampled_from(sorted(DIGEST_SIZES)).flatmap(
    lambda name: st.builds(Digest, st.just(name), st.binary(min_size=DIGEST_SIZES[name], max_size=DIGEST_SIZES[name]))
)


@given(digests)
def test_every_spelling_reads_back(digest: Digest) -> None:
    for text in (str(digest), str(digest).upper(), digest.base32, digest.base32.lower(), f"{digest.base32}="):
        assert Digest.parse(text) == digest


def test_known_values() -> None:
    digest = Digest.sha256(b"abc")
    assert str(digest) == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert Digest.of("sha256", b"abc") == digest
    # As crawlers since Heritrix write SHA-1.
    assert Digest.parse("sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ") == Digest.of("sha1", b"")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "sha256:xyz",
        "crc32:00000000",
        "sha1:" + "0" * 64,
        "sha256:" + "g" * 64,
        "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBY1",  # 1 is no base32 digit
        "md5:" + "A" * 25 + "B",  # stray bits behind the last byte
        "sha256:é" + "0" * 63,
    ],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        Digest.parse(text)


def test_a_value_of_another_length_is_refused() -> None:
    with pytest.raises(InvalidValue):
        Digest("sha256", b"short")
    with pytest.raises(InvalidValue):
        Digest.of("whirlpool", b"")


def test_the_log_takes_one_spelling_only() -> None:
    digest = Digest.sha256(b"x")
    assert strict_sha256(str(digest)) == digest
    for text in (digest.base32, str(digest).upper(), f" {digest}", str(Digest.of("sha1", b"x"))):
        with pytest.raises(InvalidValue):
            strict_sha256(text)


@given(st.binary())
def test_base64_reads_back(data: bytes) -> None:
    assert strict_base64(base64.b64encode(data).decode()) == data


@pytest.mark.parametrize("text", ["QQ", "QR==", "QQ==\n", " QQ==", "QQ=!", "QQ==QQ==", "-_==", "Q"])
def test_base64_that_does_not_encode_the_same_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        strict_base64(text)

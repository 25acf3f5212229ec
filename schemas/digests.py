"""Digests: what algorithm, which bytes, and the two ways in which WARC files spell them.

Pressmark writes `sha256:` and lower-case hex. Readers must also take what others wrote: base32 (most crawlers
since Heritrix) or hex, for MD5, SHA-1, SHA-256, SHA-384 and SHA-512 (ISO 28500:2017 5.8, 5.9:
`labelled-digest`). What is hashed, and where a digest stands, is left to `records` and `entries`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from schemas.errors import InvalidValue

#: Algorithm name -> bytes of a digest.
DIGEST_SIZES: Final[dict[str, int]] = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}

_STRICT: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest with its algorithm. `str()` gives `algorithm:hex`, the form that Pressmark writes."""

    algorithm: str
    value: bytes

    def __post_init__(self) -> None:
        size = DIGEST_SIZES.get(self.algorithm)
        if size is None:
            raise InvalidValue(f"unknown digest algorithm {self.algorithm[:20]!r}")
        if len(self.value) != size:
            raise InvalidValue(f"a {self.algorithm} digest has {size} bytes, not {len(self.value)}")

    @classmethod
    def sha256(cls, data: bytes | memoryview) -> Digest:
        """SHA-256 of `data`."""
        return cls("sha256", hashlib.sha256(data).digest())

    @classmethod
    def of(cls, algorithm: str, data: bytes) -> Digest:
        """Digest of `data` by a named algorithm. Raises InvalidValue where the algorithm is unknown."""
        if algorithm not in DIGEST_SIZES:
            raise InvalidValue(f"unknown digest algorithm {algorithm[:20]!r}")
        return cls(algorithm, hashlib.new(algorithm, data, usedforsecurity=False).digest())

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `algorithm:value`, the value in hex or base32 of any case, told apart by its length.

        Raises InvalidValue.
        """
        label, colon, value = text.strip().partition(":")
        algorithm = label.lower().replace("-", "")
        size = DIGEST_SIZES.get(algorithm)
        if not colon or size is None or not value.isascii():
            raise InvalidValue(f"not a labelled digest of a known algorithm: {text[:80]!r}")
        try:
            if len(value) == 2 * size:
                return cls(algorithm, binascii.unhexlify(value))
            bare = value.rstrip("=").upper()
            raw = base64.b32decode(bare + "=" * (-len(bare) % 8))
        except ValueError as error:
            raise InvalidValue(f"not hex and not base32 of a {algorithm} digest: {text[:80]!r}") from error
        if base64.b32encode(raw).decode().rstrip("=") != bare:
            raise InvalidValue(f"base32 with stray bits at its end: {text[:80]!r}")
        return cls(algorithm, raw)

    @property
    def hex(self) -> str:
        """The value in lower-case hex."""
        return self.value.hex()

    @property
    def base32(self) -> str:
        """`algorithm:BASE32`, the form that most other crawlers write."""
        return f"{self.algorithm}:{base64.b32encode(self.value).decode().rstrip('=')}"

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value.hex()}"


def strict_sha256(text: str) -> Digest:
    """Read exactly `sha256:` and 64 lower-case hex digits, the only form in log entries.

    Raises InvalidValue.
    """
    if not is_strict_sha256(text):
        raise InvalidValue(f"not a digest of the form sha256:<64 lower-case hex digits>: {text[:80]!r}")
    return Digest("sha256", bytes.fromhex(text[7:]))


def is_strict_sha256(text: str) -> bool:
    """True for a text that `strict_sha256` reads."""
    return _STRICT.fullmatch(text) is not None


def strict_base64(text: str) -> bytes:
    """Decode RFC 4648 section 4 base64 that re-encodes to the same text. Raises InvalidValue."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidValue(f"not base64: {text[:60]!r}") from error
    if base64.b64encode(raw).decode("ascii") != text:
        raise InvalidValue(f"base64 that does not re-encode identically: {text[:60]!r}")
    return raw

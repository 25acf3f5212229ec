"""Ed25519 signature verification (RFC 8032 section 5.1.7) on Python's integers.

For a stranger with nothing but the standard library. Verification handles public values only, so it need not
run in constant time; signing does, and is left to the log's room. The encoded points are compared, so that a
signature has one form: S must be below the group order, and R must be the canonical encoding of the point
computed.
"""

from __future__ import annotations

import hashlib
from typing import Final

#: Bytes of a public key, and of a signature.
PUBLIC_KEY_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64

_P: Final = 2**255 - 19
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_SQRT_M1: Final = pow(2, (_P - 1) // 4, _P)

# Extended homogeneous coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.
_Point = tuple[int, int, int, int]

_NEUTRAL: Final[_Point] = (0, 1, 1, 0)


def ed25519_verify(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """True where `signature` is that of `message` by the holder of `public_key`. Malformed input is False."""
    # 1. Split the signature into R and S; decode the public key A and the number S, which is below the order.
    if len(public_key) != PUBLIC_KEY_SIZE or len(signature) != SIGNATURE_SIZE:
        return False
    encoded_r, s = signature[:32], int.from_bytes(signature[32:], "little")
    point_a = _decode_point(public_key)
    if point_a is None or s >= _ORDER:
        return False
    # A key of small order would let one signature fit many messages.
    if _same_point(_multiply(8, point_a), _NEUTRAL):
        return False
    # 2. k = SHA-512(R || A || M) as a little-endian number.
    k = int.from_bytes(hashlib.sha512(encoded_r + public_key + message).digest(), "little") % _ORDER
    # 3. Check [S]B = R + [k]A, as: the encoding of [S]B - [k]A is R.
    x, y, z, t = point_a
    return _encode_point(_multiply_two(s, _BASE, k, (-x % _P, y, z, -t % _P))) == encoded_r


def _add(p: _Point, q: _Point) -> _Point:
    """RFC 8032 section 5.1.4; complete, so it doubles too."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = 2 * p[3] * q[3] * _D % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _multiply(scalar: int, point: _Point) -> _Point:
    return _multiply_two(scalar, point, 0, _NEUTRAL)


def _multiply_two(a: int, p: _Point, b: int, q: _Point) -> _Point:
    """[a]P + [b]Q, both scalars walked at once."""
    both = _add(p, q)
    found = _NEUTRAL
    for bit in range(max(a.bit_length(), b.bit_length()) - 1, -1, -1):
        found = _add(found, found)
        addend = (None, q, p, both)[(a >> bit & 1) << 1 | b >> bit & 1]
        if addend is not None:
            found = _add(found, addend)
    return found


def _decode_point(data: bytes) -> _Point | None:
    """RFC 8032 section 5.1.3; None where the bytes are no point in canonical encoding."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * _SQRT_M1 % _P
    if x * x % _P != square or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _encode_point(point: _Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _same_point(p: _Point, q: _Point) -> bool:
    return (p[0] * q[2] - q[0] * p[2]) % _P == 0 and (p[1] * q[2] - q[1] * p[2]) % _P == 0


def _base_point() -> _Point:
    """B: y = 4/5 with even x (RFC 8032 section 5.1)."""
    point = _decode_point((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    assert point is not None
    return point


_BASE: Final = _base_point()

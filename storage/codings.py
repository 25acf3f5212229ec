"""Content-codings undone: the ones of the standard library, and br and zstd, which servers send without being asked.

Every layer is bounded by the same limit, so that a bomb costs no more than what was allowed. Which capture a body is
of is left to `archive`; gzip and deflate to `schemas.http1`, so that a stranger needs neither library for what we asked
for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import brotli
import zstandard

from schemas.errors import InvalidValue
from schemas.http1 import MAX_CODINGS, ResponseView, entity_body

#: Bytes of output that a decoder is asked for at a time: what a limit is overshot by.
STEP: Final = 1 << 20
#: Bytes of coded zstd fed at a time: four of them can become 128 KiB (RFC 8878 section 3.1.1.2, RLE blocks).
_FEED: Final = 128
#: Bytes of a zstd window that a sender of HTTP may ask for (RFC 9659 section 3).
MAX_WINDOW: Final = 8 << 20
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"


def decode(view: ResponseView, limit: int) -> tuple[bytes, str | None]:
    """The entity body of a response: (at most `limit` bytes, what was cut), as `schemas.http1.entity_body` says it.

    Knows br (RFC 7932) and zstd (RFC 8878) besides. Raises InvalidValue for an unknown coding, for too many, and where
    there is no payload.
    """
    if view.payload is None:
        raise InvalidValue("the response has no readable head and so no entity body")
    codings = [
        token
        for value in view.all("Content-Encoding")
        for part in value.split(",")
        if (token := part.partition(";")[0].strip().lower()) not in ("", "identity")
    ]
    if len(codings) > MAX_CODINGS:
        raise InvalidValue(f"more than {MAX_CODINGS} content-codings, one inside the other")
    data, cut = view.payload, None
    for coding in reversed(codings):
        if coding == "br":
            data, layer = _brotli(data, limit)
        elif coding == "zstd":
            data, layer = _zstd(data, limit)
        else:
            data, layer = entity_body(replace(view, payload=data, headers=(("Content-Encoding", coding),)), limit)
        cut = cut or layer
    if len(data) > limit:
        return data[:limit], "limit"
    return data, cut


def _brotli(data: bytes, limit: int) -> tuple[bytes, str | None]:
    decoder, out = brotli.Decompressor(), bytearray()
    fed = data
    try:
        while not decoder.is_finished():
            piece = decoder.process(fed, output_buffer_limit=STEP)
            fed = b""
            out += piece
            if len(out) > limit:
                return bytes(out[:limit]), "limit"
            if not piece and decoder.can_accept_more_data():
                return bytes(out), None if decoder.is_finished() else "truncated"
    except brotli.error:
        if data.lstrip()[:1] == b"<":  # brotli has no magic number; markup is what it is declared over by mistake
            return data, "not-encoded"
        return bytes(out), "truncated"
    return bytes(out), None


def _zstd(data: bytes, limit: int) -> tuple[bytes, str | None]:
    if data and not data.startswith(_ZSTD_MAGIC):
        return data, "not-encoded"
    out, at = bytearray(), 0
    try:
        while data.startswith(_ZSTD_MAGIC, at):  # frames in turn are one body (RFC 8878 section 3)
            decoder = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()
            while not decoder.eof:
                if at >= len(data):
                    return bytes(out), "truncated"
                chunk = data[at : at + _FEED]
                out += decoder.decompress(chunk)
                at += len(chunk)
                if len(out) > limit:
                    return bytes(out[:limit]), "limit"
            at -= len(decoder.unused_data)
    except zstandard.ZstdError:
        return bytes(out), "truncated"
    return bytes(out), None

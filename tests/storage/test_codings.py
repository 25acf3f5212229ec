"""Bodies in br and zstd, which nobody asked for: read where they are sound, bounded where they are bombs."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidValue
from schemas.http1 import ResponseView, parse_response
from storage.codings import decode

CODERS: dict[str, Callable[[bytes], bytes]] = {
    "br": lambda data: brotli.compress(data, quality=5),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "gzip": lambda data: gzip.compress(data, mtime=0),
}
codings = pytest.mark.parametrize("coding", ["br", "zstd"])
PAGE = b"<p>The ferry runs again.</p>" * 100


def view(body: bytes, coding: str) -> ResponseView:
    return parse_response(f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n\r\n".encode() + body)


@given(st.binary(max_size=5000), st.lists(st.sampled_from(sorted(CODERS)), max_size=4))
def test_whatever_was_coded_comes_back(data: bytes, layers: list[str]) -> None:
    coded = data
    for layer in layers:
        coded = CODERS[layer](coded)
    assert decode(view(coded, ", ".join(layers)), 10_000) == (data, None)


@codings
@pytest.mark.parametrize("room", [0, 1, len(PAGE) - 1])
def test_a_limit_holds(coding: str, room: int) -> None:
    assert decode(view(CODERS[coding](PAGE), coding), room) == (PAGE[:room], "limit")
    assert decode(view(CODERS[coding](PAGE), coding), len(PAGE)) == (PAGE, None)


@codings
def test_a_bomb_costs_no_more_than_the_limit(coding: str) -> None:
    bomb = CODERS[coding](bytes(32 << 20))
    assert len(bomb) < 50_000
    tracemalloc.start()
    data, cut = decode(view(bomb, coding), 1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(data), cut) == (1 << 20, "limit")
    assert peak < 24 << 20


def test_a_bomb_in_layers_is_cut_in_each() -> None:
    bomb = CODERS["br"](CODERS["gzip"](CODERS["zstd"](bytes(8 << 20))))
    data, cut = decode(view(bomb, "zstd, gzip, br"), 1 << 16)
    assert len(data) <= 1 << 16
    assert cut in ("limit", "truncated")


@codings
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_cut_body_is_called_truncated(coding: str, share: float) -> None:
    noise = bytes(i * i * 7919 % 251 for i in range(20_000))
    coded = CODERS[coding](noise)
    data, cut = decode(view(coded[: int(len(coded) * share)], coding), 1 << 20)
    assert cut == "truncated"
    assert noise.startswith(data)


@codings
def test_a_page_that_was_never_coded_is_given_as_it_is(coding: str) -> None:
    assert decode(view(PAGE, coding), 1 << 20) == (PAGE, "not-encoded")


@codings
@given(junk=st.binary(max_size=300))
def test_junk_is_no_crash(coding: str, junk: bytes) -> None:
    data, _ = decode(view(junk, coding), 1000)
    assert len(data) <= 1000


def test_zstd_frames_in_turn_are_one_body() -> None:
    coded = CODERS["zstd"](b"one ") + CODERS["zstd"](b"two")
    assert decode(view(coded, "zstd"), 100) == (b"one two", None)


def test_a_window_that_no_sender_of_http_may_ask_for_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=27, compression_level=1)
    coded = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    body = coded.compress(PAGE) + coded.flush()
    assert decode(view(body, "zstd"), 1 << 20)[1] == "truncated"


def test_unknown_and_too_many_codings_are_refused() -> None:
    with pytest.raises(InvalidValue, match="x-morse"):
        decode(view(PAGE, "x-morse"), 100)
    with pytest.raises(InvalidValue, match="more than 4"):
        decode(view(PAGE, ", ".join(["gzip"] * 5)), 100)

"""Bytes to text: encodings declared, mis-declared and missing."""

from __future__ import annotations

import pytest

from ingest.extract.page import charset_of, meta_content, parse


@pytest.mark.parametrize(
    ("body", "content_type", "charset"),
    [
        ("<p>Größe".encode(), "text/html; charset=iso-8859-1", "utf-8"),
        ("<p>Größe".encode("cp1252"), "text/html; charset=iso-8859-1", "cp1252"),
        (b'<meta charset="shift_jis"><p>' + "日本".encode("cp932"), None, "cp932"),
        (b"<meta http-equiv=content-type content='text/html; charset=gb2312'>" + "中文".encode("gbk"), None, "gb18030"),
        ("<p>Größe".encode("cp1252"), "text/html; charset=utf-8", "cp1252"),
        (b"\xef\xbb\xbf<p>x", None, "utf-8"),
        ("\ufeff<p>x".encode("utf-16-le"), None, "utf-16-le"),
        (b"<p>\xff", "text/html; charset=utf-7", "cp1252"),
        (b"<p>\xff", "text/html; charset=no-such-thing", "cp1252"),
        (b"<p>\xff", "text/html; charset=zip", "cp1252"),
        (b"<p>plain", None, "utf-8"),
    ],
)
def test_charset(body: bytes, content_type: str | None, charset: str) -> None:
    assert charset_of(body, content_type) == charset


def test_a_character_cut_off_at_the_end_is_still_utf8() -> None:
    assert charset_of("<p>Größe".encode()[:-1] + "ß".encode()[:1], None) == "utf-8"


def test_a_few_bad_bytes_do_not_undo_a_declaration() -> None:
    body = b'<meta charset="utf-8">' + "Größe ".encode() * 200 + b"\xff"
    assert charset_of(body, None) == "utf-8"


def test_nul_does_not_end_the_page() -> None:
    page = parse(body=b"<p>one\x00two</p><p>three</p>", url="https://a.example/", content_type=None)
    assert page.tree.text_content() == "onetwothree"


def test_meta_fields_by_name_property_and_itemprop() -> None:
    body = b'<meta name="A" content="1"><meta property="a" content="2"><meta itemprop="b" content="3"><meta name="c">'
    page = parse(body=body, url="https://a.example/", content_type=None)
    assert meta_content(page) == {"a": ["1", "2"], "b": ["3"]}

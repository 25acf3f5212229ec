"""Reading images: what is inside, where it stands, and that no file breaks the reader."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from ingest.images import READER, pixels, read_image
from schemas.articles import read_span
from schemas.errors import ExtractionError
from schemas.images import ImageReading, distance, parse_hash
from tests.ingest.images.files import agency_photo, exif_of, iim, photoshop, picture, saved, xmp


def told(reading: ImageReading) -> list[tuple[str, str, str | None]]:
    return [(c.field, c.evidence.path, c.evidence.raw) for c in reading.claims]


def apart(one: bytes, other: bytes) -> int:
    first, second = read_image(one).phash, read_image(other).phash
    assert first is not None
    assert second is not None
    return distance(parse_hash(first), parse_hash(second))


def test_all_claims_of_a_photo_are_kept_where_they_disagree() -> None:
    body = agency_photo()
    reading = read_image(body)
    assert told(reading) == [
        ("creator", "iptc/2:80", "Kostas Liber"),
        ("credit", "iptc/2:110", "AP"),
        ("source", "iptc/2:115", "AP"),
        ("copyright", "iptc/2:116", "\u00a9 AP, rights of all"),
        ("creator", "xmp/dc:creator/0", "Kostas Liber"),
        ("copyright", "xmp/dc:rights/0", "\u00a9 2026 Lantern & Co"),
        ("creator", "exif/0x013B", "Kostas Liber"),
        ("copyright", "exif/0x8298", "Harbour Photo Desk"),
    ]
    assert (reading.media_type, reading.width, reading.height, reading.problems) == ("image/jpeg", 320, 200, ())
    assert reading.reader == READER


def test_spans_lead_back_to_each_claim_and_to_a_place_of_its_own() -> None:
    body = agency_photo()
    spans = [(c.evidence.span, c.evidence.raw) for c in read_image(body).claims]
    for span, raw in spans:
        assert span is not None
        assert read_span(body, span) == raw
    assert len({span.start for span, _ in spans if span}) == len(spans)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF"])
def test_each_format_gives_the_same_look(format: str) -> None:
    original = saved(picture(4), "PNG")
    assert apart(original, saved(picture(4), format)) <= 4
    assert read_image(saved(picture(4), format)).media_type == f"image/{format.lower()}"


def test_copies_stay_near_and_other_pictures_far() -> None:
    picture_, far = picture(7, (1200, 800)), picture(8, (1200, 800))
    original = saved(picture_, "JPEG", quality=92)
    for copy in (
        saved(picture_, "JPEG", quality=25),
        saved(picture_.resize((300, 200)), "JPEG"),
        saved(picture_.resize((640, 427)), "WEBP", quality=50),
        saved(picture_.convert("L"), "JPEG"),
        saved(picture_.convert("P"), "GIF"),
        saved(picture_.convert("CMYK"), "JPEG"),
    ):
        assert apart(original, copy) <= 4
    assert apart(original, saved(far, "JPEG", quality=92)) > 15


@pytest.mark.parametrize("turn", range(2, 9))
def test_a_photo_lying_on_its_side_looks_as_it_is_meant(turn: int) -> None:
    upright = picture(5)
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[turn]  # what undoes each EXIF orientation
    lying = upright.transpose(Image.Transpose(back))
    body = saved(lying, "PNG", exif=exif_of(lying, {0x0112: turn}))
    assert apart(saved(upright, "PNG"), body) <= 2


def test_what_is_transparent_lies_on_white() -> None:
    image = picture(3)
    clear, white = image.convert("RGBA"), image.copy()
    clear.paste((0, 0, 0, 0), (40, 30, 200, 150))
    white.paste((255, 255, 255), (40, 30, 200, 150))
    assert apart(saved(clear, "PNG"), saved(white, "PNG")) <= 1


@pytest.mark.parametrize(
    ("value", "utf8", "shown", "codec"),
    [
        ("Zo\u00eb Quay".encode(), True, "Zo\u00eb Quay", "utf-8"),
        ("Zo\u00eb Quay".encode(), False, "Zo\u00eb Quay", "utf-8"),
        ("Zo\u00eb Quay".encode("cp1252"), False, "Zo\u00eb Quay", "cp1252"),
        ("\u5c71\u7530".encode(), True, "\u5c71\u7530", "utf-8"),
        (b"  Ada \x00\x00", True, "Ada", "utf-8"),
    ],
)
def test_iptc_is_read_as_it_was_written(value: bytes, utf8: bool, shown: str, codec: str) -> None:
    data = saved(picture(), "JPEG")
    body = data[:2] + photoshop(iim([(80, value)], utf8=utf8)) + data[2:]
    (claim,) = read_image(body).claims
    assert claim.evidence.raw == shown
    assert claim.evidence.span is not None
    assert claim.evidence.span.charset == codec
    assert read_span(body, claim.evidence.span) == shown


def test_xmp_is_read_from_every_format_that_holds_it() -> None:
    packet = xmp(attributes=' photoshop:Credit="Quay &amp; Mole"', more="<photoshop:Source>Wire</photoshop:Source>")
    wanted = [
        ("creator", "xmp/dc:creator/0", "Kostas Liber"),
        ("credit", "xmp/photoshop:Credit/0", "Quay & Mole"),
        ("source", "xmp/photoshop:Source/0", "Wire"),
        ("copyright", "xmp/dc:rights/0", "\u00a9 2026 AP"),
    ]
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", packet.decode())
    for body in (
        saved(picture(), "JPEG", xmp=packet),
        saved(picture(), "WEBP", xmp=packet),
        saved(picture(), "AVIF", xmp=packet),
        saved(picture(), "TIFF", tiffinfo={700: packet}),
        saved(picture(), "PNG", pnginfo=text),
    ):
        reading = read_image(body)
        assert told(reading) == wanted, reading.media_type
        for claim in reading.claims:
            assert claim.evidence.span is not None
            assert read_span(body, claim.evidence.span) == claim.evidence.raw


@pytest.mark.parametrize(
    "packet",
    [
        b"<x:xmpmeta><broken", b"\xff\xfe\x00", b"<a>" * 5000,
        b'<!DOCTYPE a [<!ENTITY b "cccccccccc">]><a>&b;</a>',
        b'<a xmlns:x="y">' + b" " * (1 << 20) + b"</a>",
    ],
)  # fmt: skip
def test_xmp_that_is_none_costs_only_itself(packet: bytes) -> None:
    image = picture()
    body = saved(image, "WEBP", xmp=packet, exif=exif_of(image, {0x013B: "Ada"}))
    reading = read_image(body)
    assert reading.problems == ("xmp",)
    assert told(reading) == [("creator", "exif/0x013B", "Ada")]


def test_a_photo_that_was_cut_off_keeps_what_its_head_says() -> None:
    body = agency_photo()
    reading = read_image(body[: len(body) * 2 // 3])
    assert reading.phash is None
    assert reading.problems == ("pixels",)
    assert len(reading.claims) == 8


def test_a_bomb_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 60_000
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", rows, rows, 1, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" * 1_000_000, 9)),
        (b"IEND", b""),
    ]
    body = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    monkeypatch.setattr(pixels, "_luma", lambda image: pytest.fail("decoded"))
    reading = read_image(body)
    assert (reading.width, reading.phash, reading.problems) == (rows, None, ("too-many-pixels",))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty"), (b"<html><body>no image</body></html>", "not-an-image"), (b"\xff\xd8\xff", "not-an-image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not-an-image"),
        (saved(picture(), "BMP"), "not-an-image"), (saved(picture(), "PPM"), "not-an-image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "not-an-image"),
        (b"\xff\xd8" + b"\0" * pixels.MAX_IMAGE_BYTES, "too-large"),
    ],
)  # fmt: skip
def test_what_is_no_photo_is_labelled(body: bytes, code: str) -> None:
    with pytest.raises(ExtractionError) as raised:
        read_image(body)
    assert raised.value.code == code


@pytest.mark.parametrize("side", [0, 1 << 53, (1 << 64) - 1])
def test_a_size_that_none_can_have_is_labelled(side: int) -> None:
    tags = [(0x0100, side), (0x0101, 40), (0x0106, 1), (0x0111, 8), (0x0117, 40)]
    entries = b"".join(struct.pack("<HHQQ", tag, 16, 1, value) for tag, value in tags)  # type 16: 64 bits
    body = b"II\x2b\0\x08\0\0\0" + struct.pack("<Q", 16) + struct.pack("<Q", len(tags)) + entries + b"\0" * 8
    with pytest.raises(ExtractionError) as raised:
        read_image(body)
    assert raised.value.code in ("not-an-image", "broken")


@pytest.mark.parametrize("size", [(31, 200), (200, 31), (1, 1)])
def test_an_icon_has_no_look(size: tuple[int, int]) -> None:
    assert read_image(saved(picture().resize(size), "PNG")).problems == ("too-small",)


def test_a_plain_picture_has_no_look() -> None:
    assert read_image(saved(Image.new("RGB", (90, 90), "grey"), "PNG")).problems == ("plain",)


def test_more_and_longer_claims_than_there_can_be_are_left_out() -> None:
    data = saved(picture(), "JPEG")
    lines = iim([(80, b"name %d" % n) for n in range(100)] + [(110, b"x" * 5000)])
    reading = read_image(data[:2] + photoshop(lines) + data[2:])
    assert len(reading.claims) == 64
    assert all(len(c.evidence.raw or "") < 100 for c in reading.claims)


SEEDS = [
    agency_photo(),
    saved(picture(2), "PNG", exif=exif_of(picture(2), {0x013B: "A"})),
    saved(picture(3, (64, 48)), "WEBP", xmp=xmp()),
    saved(picture(4, (64, 48)), "AVIF", xmp=xmp()),
    saved(picture(5, (64, 48)), "GIF"),
    saved(picture(6, (64, 48)), "TIFF", tiffinfo={700: xmp(), 33723: iim([(80, b"A")])}),
]


@settings(max_examples=150)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=6)), max_size=8),
    cut=st.none() | st.integers(0, 8000),
)
def test_no_damage_breaks_the_reader(seed: bytes, edits: list[tuple[int, bytes]], cut: int | None) -> None:
    body = bytearray(seed)
    for at, data in edits:
        at %= len(body)
        body[at : at + len(data)] = data
    data = bytes(body[:cut])
    try:
        reading = read_image(data)
    except ExtractionError:
        return
    for claim in reading.claims:
        if claim.evidence.span is not None:
            assert read_span(data, claim.evidence.span) == claim.evidence.raw
    assert ImageReading.from_json(reading.to_json()) == reading


def test_the_same_bytes_give_the_same_reading() -> None:
    body = agency_photo()
    assert read_image(body).dumps() == read_image(io.BytesIO(body).getvalue()).dumps()

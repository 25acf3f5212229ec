"""Images: found by bytes and by look, and tied to the photos that have their address."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.errors import InvalidValue
from schemas.images import format_hash
from storage.catalog import Catalog, ImageRow
from tests.storage.catalog import make

LOOK = 0x0123456789ABCDEF


def image(name: str, **fields: object) -> ImageRow:
    values = {
        "capture_id": f"urn:{name}", "reader": "r1", "url": f"https://lantern.example/{name}.jpg", "date": 5,
        "payload_digest": make.sha256(name), "phash": format_hash(LOOK), "reading": "{}",
    }  # fmt: skip
    return ImageRow(**{**values, **fields})  # type: ignore[arg-type]


def add(catalog: Catalog, *rows: ImageRow) -> None:
    with catalog.begin() as tx:
        for row in rows:
            tx.images.add(row)


def test_an_image_is_every_photo_with_its_address(catalog: Catalog) -> None:
    quay = image("quay")
    with catalog.begin() as tx:
        one = tx.articles.add_version(make.version("a", 1)).row_id
        two = tx.articles.add_version(make.version("b", 2)).row_id
        assert one is not None
        assert two is not None
        tx.images.add_photos(
            one, [(0, "https://lantern.example/other.jpg"), (1, "https://LANTERN.example:443/quay.jpg")]
        )
        tx.images.add_photos(
            two, [(0, quay.url), (1, None), (2, "data:image/gif;base64,AA"), (3, "mailto:a@b.example")]
        )
        tx.images.add_photos(two, [])
    add(catalog, quay, image("alone"))
    with catalog.read() as tx:
        found = tx.images.by_payload(quay.payload_digest)
        assert [(m.row_id, m.position, m.image) for m in found] == [(one, 1, quay), (two, 0, quay)]
        (alone,) = tx.images.by_payload(make.sha256("alone"))
        assert (alone.row_id, alone.position) == (None, None)
        assert tx.images.by_payload(make.sha256("none")) == []
        assert tx.images.for_version(two) == [(0, quay)]
        assert tx.images.for_version(one) == [(1, quay)]
        assert tx.images.count() == 2


def test_known_readings_stay_and_readers_stand_side_by_side(catalog: Catalog) -> None:
    first = image("quay")
    later, other = replace(first, reading='{"x":1}'), replace(first, reader="r2", phash=None)
    add(catalog, first, later, other)
    with catalog.read() as tx:
        assert tx.images.get(first.capture_id) == [first, other]
        assert tx.images.same_bytes(first.payload_digest, "r2") == other
        assert tx.images.same_bytes(first.payload_digest, "r3") is None
        assert tx.images.count() == 1


@pytest.mark.parametrize("within", [0, 1, 3, 4, 8, 15])
def test_near_hashes_are_found_and_far_ones_not(catalog: Catalog, within: int) -> None:
    # Bits are flipped round the four bands, so that none of them stays equal by chance.
    looks = []
    look = LOOK
    for count in range(21):
        looks.append(look)
        look ^= 1 << (count % 4 * 16 + count // 4)
    add(catalog, *(image(f"i{n:02}", phash=format_hash(v)) for n, v in enumerate(looks)), image("none", phash=None))
    with catalog.read() as tx:
        found = tx.images.near(format_hash(LOOK), within)
    assert [(m.distance, m.image.capture_id) for m in found] == [(n, f"urn:i{n:02}") for n in range(within + 1)]


@pytest.mark.parametrize(("look", "within"), [("0" * 16, 16), ("0" * 16, -1), ("x", 3)])
def test_what_cannot_be_searched_is_refused(catalog: Catalog, look: str, within: int) -> None:
    with catalog.read() as tx, pytest.raises(InvalidValue):
        tx.images.near(look, within)

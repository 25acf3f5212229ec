"""The pixels of an image: opened within bounds, reduced to 32 x 32 luma values, hashed.

The bits of the hash are made in `schemas.images`; what stands in the file beside pixels is read in `claims`.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from PIL import (
    AvifImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from schemas.errors import ExtractionError
from schemas.images import HASH_SIDE, perceptual_hash

#: Formats that news pages show photos in, by their name in the library; of others not one byte is parsed.
FORMATS: Final = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # several JPEG images in one file: the first is the photo
    "PNG": "image/png",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
}
_OPENED: Final = tuple(name for name in FORMATS if name != "MPO")  # which is found by opening a JPEG
#: Bytes of an image file: as much as a body may have by default.
MAX_IMAGE_BYTES: Final = 64 * 1024 * 1024
#: Pixels that are decoded: at 4 bytes each, and 4 more for a copy, half a gigabyte. A camera's largest photo has 61
#: million; a "bomb" of a few kilobytes can claim billions.
MAX_PIXELS: Final = 64_000_000
#: Pixels of a side that a head may claim: PNG's bound, the widest of the formats'; a BigTIFF can claim 2**64.
MAX_SIDE: Final = 2**31 - 1
#: EXIF tag: how the stored pixels are to be turned.
_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: Loaded by name: the library else loads readers for forty formats.
_READERS: Final = (
    AvifImagePlugin, GifImagePlugin, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin,
)  # fmt: skip

# The bound is ours, checked before pixels are decoded; and half a photo is no photo to hash.
Image.MAX_IMAGE_PIXELS = None
ImageFile.LOAD_TRUNCATED_IMAGES = False


@contextmanager
def opened(body: bytes) -> Iterator[Any]:
    """An image opened, its head read and no pixel decoded. Raises ExtractionError (`not-an-image`)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's remarks on odd files: what matters is in the reading
        try:
            image = Image.open(io.BytesIO(body), formats=_OPENED)
        except UnidentifiedImageError as error:
            raise ExtractionError("the body is no image of a known format", code="not-an-image") from error
        with image:
            yield image


def hash_of(image: Any) -> tuple[int | None, str | None]:
    """The perceptual hash of an opened image, or None and a code that says why there is none."""
    if image.width * image.height > MAX_PIXELS:
        return None, "too-many-pixels"
    try:
        image.load()  # a PNG's last chunks, which may hold credits, come with it
        luma = _luma(image) if min(image.size) >= HASH_SIDE else None
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - cut off or broken behind its head: what the head says is kept
        return None, "pixels"
    if luma is None:
        return None, "too-small"
    found = perceptual_hash(luma)
    return found, None if found is not None else "plain"


def _luma(image: Any) -> list[int]:
    """The mean luma of 32 x 32 equal cells, as the image is meant to be seen, transparent parts on white."""
    turn = _TURNS.get(_orientation(image))
    frame = image
    if frame.mode in ("P", "PA"):
        frame = frame.convert("RGBA" if "transparency" in image.info or frame.mode == "PA" else "RGB")
    elif frame.mode in ("1", "I;16", "I;16L", "I;16B", "I;16N"):
        frame = frame.convert("L") if frame.mode == "1" else frame.convert("I").point(lambda v: v / 256).convert("L")
    small = frame.resize((HASH_SIDE, HASH_SIDE), Image.Resampling.BOX)
    if small.mode in ("LA", "RGBA"):
        ground = Image.new("RGBA", small.size, (255, 255, 255, 255))
        small = Image.alpha_composite(ground, small.convert("RGBA"))
    small = small.convert("RGB").convert("L")
    if turn is not None:
        small = small.transpose(turn)
    return list(small.tobytes())


def exif_of(image: Any) -> Any:
    """The EXIF tags of an opened image. Of a PNG the library would first decode all pixels, bomb or not."""
    return Image.Image.getexif(image)


def _orientation(image: Any) -> int:
    try:
        value = exif_of(image).get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - EXIF that cannot be read turns nothing
        return 1
    return value if isinstance(value, int) else 1

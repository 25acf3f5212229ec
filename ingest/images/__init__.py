"""Images: from the bytes of one image to what they say - size, credit lines inside the file, perceptual hash.

Pure: the same bytes give the same reading. Image files are hostile: formats are few, pixels bounded before anything is
decoded, and whatever a decoder does costs this image alone, labelled. Time and memory are bounded by the worker that
this runs in (`ingest.extract.worker`). Fetching and keeping are left to others; the hash itself is made in
`schemas.images`.
"""

from __future__ import annotations

import unicodedata
from importlib.metadata import version
from typing import Final

from PIL import features

from ingest.images import claims, pixels
from ingest.images.pixels import FORMATS, MAX_IMAGE_BYTES, MAX_PIXELS, MAX_SIDE
from schemas.articles import Extractor
from schemas.errors import ExtractionError
from schemas.images import HASH_CONTRAST, HASH_SIDE, ImageReading, format_hash

READER: Final = Extractor(
    name="pressmark-images",
    version="1",
    settings={
        "hash": f"dct-{HASH_SIDE}x{HASH_SIDE}-box",
        "hash_contrast": HASH_CONTRAST,
        "max_bytes": MAX_IMAGE_BYTES,
        "max_claim": claims.MAX_CLAIM,
        "max_claims": claims.MAX_CLAIMS,
        "max_pixels": MAX_PIXELS,
    },
    libraries={
        "lxml": version("lxml"),
        "pillow": version("pillow"),
        **{
            name: found
            for name, asked in (("libavif", "avif"), ("libjpeg-turbo", "libjpeg_turbo"), ("libwebp", "webp"),
                                ("libtiff", "libtiff"))
            if (found := features.version(asked))
        },
    },
    unicode=unicodedata.unidata_version,
)  # fmt: skip


def read_image(body: bytes) -> ImageReading:
    """What the bytes of an image say. `body` is the entity body, transfer- and content-decoded.

    Raises ExtractionError, never anything else, where they are no image of a known format: `empty`, `too-large`,
    `not-an-image`, `too-complex`, `broken`.
    """
    if not body:
        raise ExtractionError("the image is empty", code="empty")
    if len(body) > MAX_IMAGE_BYTES:
        raise ExtractionError(f"the image has {len(body)} bytes, more than {MAX_IMAGE_BYTES}", code="too-large")
    try:
        return _read(body)
    except ExtractionError:
        raise
    except MemoryError as error:
        raise ExtractionError("the image needs more memory than there is", code="out-of-memory") from error
    except RecursionError as error:
        raise ExtractionError("the image nests too deep", code="too-complex") from error
    except Exception as error:  # image files are hostile: whatever breaks costs this one, labelled, and nothing else
        raise ExtractionError(f"reading the image broke: {type(error).__name__}: {error}", code="broken") from error


def _read(body: bytes) -> ImageReading:
    with pixels.opened(body) as image:
        if not all(isinstance(side, int) and 0 < side <= MAX_SIDE for side in image.size):
            raise ExtractionError("the image's head claims a size that none can have", code="not-an-image")
        hashed, problem = pixels.hash_of(image)  # first: a PNG's last chunks are read with its pixels
        found, broken = claims.claims_of(image, body)
        return ImageReading(
            media_type=FORMATS[image.format or ""],
            width=image.width,
            height=image.height,
            phash=None if hashed is None else format_hash(hashed),
            claims=found,
            problems=tuple(p for p in (problem, *broken) if p),
            reader=READER,
        )


__all__ = ["READER", "read_image"]

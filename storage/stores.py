"""Which store a URL names.

`s3` is imported only where it is named: boto3 takes a third of a second to load.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from schemas.errors import SettingsError
from storage.blobs import BlobStore, FolderStore


def open_store(url: str) -> BlobStore:
    """The store at a plain path, `file:///path`, or `s3://bucket/prefix?endpoint=…&region=…`.

    Raises SettingsError for any other URL, StoreError or DiskError where the store cannot be opened.
    """
    if url.startswith("s3://"):
        from storage.s3 import S3Store

        return S3Store(url)
    if url.startswith("file:"):
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/") or parts.query:
            raise SettingsError(f"not a file URL: {url[:200]!r}", remedy="write file:///absolute/path")
        return FolderStore(Path(unquote(parts.path)))
    if "://" in url or not url or "\x00" in url:
        raise SettingsError(
            f"no object store can be found at {url[:200]!r}",
            remedy="write a path, file:///path or s3://bucket/prefix",
        )
    return FolderStore(Path(url))

"""Archives whose articles go into datasets: pages taken and read, rows of a snapshot, objects spoilt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import pyarrow.parquet as pq

from schemas.articles import Photo
from schemas.captures import Capture, Exchange
from schemas.manifests import Manifest
from storage.archive import Archive
from storage.catalog import SnapshotRow
from tests.support.archives import ARTICLE, START, exchange, read_article

DAY = timedelta(days=1)
SHARD = "data/articles-00000.parquet"
NAMES = ["README.md", "coverage.parquet", "croissant.json", SHARD, "files.json", "manifest.json"]
PHOTO = Photo(
    url="https://lantern.example/p.jpg", caption="The quay.", alt="A quay", credit="AP Photo/Ada Vale",
    photographers=("Ada Vale",), agencies=("AP",),
)  # fmt: skip



def take(archive: Archive, path: str, body: bytes, at: datetime = START, *, like: Exchange | None = None) -> Capture:
    sent = exchange(path, body, at=at)
    if like is not None:
        sent = like
    (capture,) = archive.deposit([(sent, ARTICLE)])
    return capture


def keep(archive: Archive, capture: Capture, **changes: Any) -> None:
    """Read a capture; with changes, as if the page said so."""
    archive.deposit_article(replace(read_article(archive, capture), **changes), capture)


def rows_of(archive: Archive, row: SnapshotRow) -> list[dict[str, Any]]:
    data = archive.store.get(row.prefix + SHARD)
    found: list[dict[str, Any]] = pq.read_table(BytesIO(data)).to_pylist()
    return found


def manifest_of(archive: Archive, row: SnapshotRow) -> Manifest:
    return Manifest.decode(archive.store.get(row.prefix + "manifest.json"))


def spoil(archive: Archive, key: str, change: Callable[[bytes], bytes]) -> None:
    """Change an object below the put-once rule."""
    old = archive.store.get(key)
    archive.store.replace(key, change(old), expected=old)


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]

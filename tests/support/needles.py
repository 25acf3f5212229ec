"""Looks for content everywhere in an archive, below every API: each file, object and database page, packed or not.

    needles = Needles.of(texts=[...], digests=[...])
    assert needles.in_folder(folder) == []

A needle is found in a file's own bytes and in whatever gzip, zip and Parquet hide in it. A digest is looked for in raw
bytes, hex (both cases), Base32 and Base64.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


@dataclass(frozen=True, kw_only=True)
class Needles:
    """What must be nowhere: by name, all the byte strings that would give it away."""

    forms: dict[str, tuple[bytes, ...]]

    @classmethod
    def of(cls, *, texts: Iterable[str], digests: Iterable[str] = ()) -> Needles:
        """`texts` are phrases, `digests` are in hex, with or without `sha256:`."""
        forms = {}
        for text in texts:
            escaped = json.dumps(text)[1:-1].encode()
            forms[text] = (text.encode(), text.encode("utf-16-le"), escaped)
        for digest in digests:
            raw = bytes.fromhex(digest.removeprefix("sha256:"))
            forms[digest] = (
                raw,
                raw.hex().encode(),
                raw.hex().upper().encode(),
                base64.b32encode(raw).rstrip(b"="),
                base64.b64encode(raw).rstrip(b"="),
                base64.urlsafe_b64encode(raw).rstrip(b"="),
            )
        return cls(forms=forms)

    def in_bytes(self, data: bytes) -> list[str]:
        """The needles in some bytes and in whatever is packed in them."""
        found = set()
        for layer in layers(data):
            found |= {name for name, forms in self.forms.items() if any(form in layer for form in forms)}
        return sorted(found)

    def in_folder(self, folder: Path, *, but: tuple[str, ...] = ()) -> list[str]:
        """`path: needle` for each that is found in a folder; `but` names parts of paths that are left out."""
        hits = []
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not any(part in name for part in but):
                hits += [f"{name}: {needle}" for needle in self.in_bytes(path.read_bytes())]
        return hits

    def in_bucket(self, client: Any, bucket: str) -> list[str]:
        """`key version: needle` for each that is found in any version of any object, or in an unfinished upload."""
        hits = []
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for entry in page.get("Versions", ()):
                body = client.get_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])["Body"].read()
                hits += [f"{entry['Key']} {entry['VersionId']}: {needle}" for needle in self.in_bytes(body)]
        uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())
        return hits + [f"unfinished upload of {upload['Key']}" for upload in uploads]


def layers(data: bytes) -> Iterator[bytes]:
    """Bytes, and what is packed in them: gzip members wherever they begin, parts of a zip, pages of Parquet."""
    yield data
    yield from _members(data)
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from layers(archive.read(name))
    if data[:4] == b"PAR1" and data[-4:] == b"PAR1":
        table = pq.read_table(io.BytesIO(data))
        yield repr(table.to_pylist()).encode()
        yield json.dumps(table.to_pylist(), default=str, ensure_ascii=False).encode()
        yield repr(pq.ParquetFile(io.BytesIO(data)).metadata.to_dict()).encode()  # statistics hold values


def _members(data: bytes) -> Iterator[bytes]:
    """Every gzip member in some bytes, whatever stands around it."""
    at = data.find(b"\x1f\x8b\x08")
    while at >= 0:
        inflate = zlib.decompressobj(31)
        try:
            content = inflate.decompress(data[at:]) + inflate.flush()
            yield from layers(content)  # a body that came packed stands somewhere inside
            step = len(data) - at - len(inflate.unused_data) if inflate.eof else 3
        except zlib.error:
            step = 3
        at = data.find(b"\x1f\x8b\x08", at + max(step, 3))

"""WARC and WACZ files as other tools write them: answers of the Lantern in every wrapping."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import zstandard

from tests.support.archives import page

CLAIMED = "2019-05-06T07:08:09Z"
HTML = "text/html; charset=utf-8"


def record(kind: str, number: int, block: bytes, *, version: str = "1.0", **fields: str) -> bytes:
    """A record as many tools write it; `WARC_Target_URI="…"` adds or replaces a field."""
    lines = {
        "WARC-Type": kind,
        "WARC-Record-ID": f"<urn:uuid:00000000-0000-4000-8000-{number:012}>",
        "WARC-Date": CLAIMED,
        "Content-Type": "application/warc-fields" if kind == "warcinfo" else f"application/http; msgtype={kind}",
        "WARC-Block-Digest": f"sha1:{hashlib.sha1(block).hexdigest()}",
        **{name.replace("_", "-"): value for name, value in fields.items()},
        "Content-Length": str(len(block)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"WARC/{version}\r\n{head}\r\n".encode() + block + b"\r\n\r\n"


def answer(number: int, *, url: str | None = None, **fields: str) -> bytes:
    """A response record of a page."""
    body = page(number)
    http = f"HTTP/1.1 200 OK\r\nContent-Type: {HTML}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    digest = f"sha1:{hashlib.sha1(body).hexdigest()}"
    where = url or f"https://www.lantern.example/{number}"
    return record("response", number, http, WARC_Target_URI=where, WARC_Payload_Digest=digest, **fields)


def revisit(number: int, of: int, **fields: str) -> bytes:
    """A revisit of the page of another record."""
    body = page(of)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {HTML}\r\nX-Visit: {number}\r\nContent-Length: {len(body)}\r\n\r\n"
    return record(
        "revisit",
        number,
        head.encode(),
        WARC_Target_URI=f"https://www.lantern.example/{of}",
        WARC_Profile="http://netpreserve.org/warc/1.0/revisit/identical-payload-digest",
        WARC_Payload_Digest=f"sha1:{hashlib.sha1(body).hexdigest()}",
        WARC_Truncated="length",
        **fields,
    )


INFO = record("warcinfo", 0, b"software: Quill/3.1\r\n")
REQUEST = record(
    "request",
    90,
    b"GET /1 HTTP/1.1\r\nHost: www.lantern.example\r\n\r\n",
    WARC_Target_URI="https://www.lantern.example/1",
)
FILE = [INFO, REQUEST, answer(1), answer(2, url="https://elsewhere.example/news/2")]


def plain(records: list[bytes]) -> bytes:
    return b"".join(records)


def gz(records: list[bytes]) -> bytes:
    return b"".join(gzip.compress(r, mtime=0) for r in records)


def one_gz(records: list[bytes]) -> bytes:
    return gzip.compress(plain(records), mtime=0)


def zst(records: list[bytes]) -> bytes:
    return b"".join(zstandard.ZstdCompressor(write_checksum=True).compress(r) for r in records)


def zst_with_dictionary(records: list[bytes]) -> bytes:
    dictionary = zstandard.train_dictionary(4096, [answer(n) for n in range(300)])
    held = dictionary.as_bytes()
    frames = [zstandard.ZstdCompressor(dict_data=dictionary, write_checksum=True).compress(r) for r in records]
    return b"\x5d\x2a\x4d\x18" + len(held).to_bytes(4, "little") + held + b"".join(frames)


def wacz(
    members: dict[str, bytes],
    *,
    package: Callable[[dict[str, Any]], Any] = lambda value: value,
    deflated: tuple[str, ...] = (),
    unlisted: dict[str, bytes] | None = None,
) -> bytes:
    """A WACZ; `package` may change what its datapackage.json says."""
    resources = [
        {"path": name, "hash": f"sha256:{hashlib.sha256(data).hexdigest()}", "bytes": len(data)}
        for name, data in members.items()
    ]
    description = json.dumps(package({"profile": "data-package", "wacz_version": "1.1.1", "resources": resources}))
    sha256 = hashlib.sha256(description.encode()).hexdigest()
    digest = json.dumps({"path": "datapackage.json", "hash": f"sha256:{sha256}"})
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in {**members, **(unlisted or {})}.items():
            how = zipfile.ZIP_DEFLATED if name in deflated else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=how)
        archive.writestr("datapackage.json", description, compress_type=zipfile.ZIP_DEFLATED)
        archive.writestr("datapackage-digest.json", digest)
    return made.getvalue()

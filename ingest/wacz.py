"""WACZ files of others: which WARC files are in one, once its zip and its digests are known to be sound.

WACZ 1.1.1 (Webrecorder), and 1.0 as py-wacz first wrote it. Everything is refused that would let a zip say one thing to
one reader and another to the next; nothing is unpacked by name. What the WARC files hold is left to `imports`.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from schemas.errors import InvalidValue

#: Entries of one zip; large crawls have some thousand.
MAX_ENTRIES: Final = 100_000
#: Bytes of datapackage.json and its digest file.
MAX_DESCRIPTION: Final = 64 * 1024 * 1024
#: What deflate may make of an entry at most (bytes out by bytes in); its own limit is 1032, text reaches 20.
MAX_RATIO: Final = 200
#: Bytes below which a ratio says nothing.
MIN_SUSPECT: Final = 1024 * 1024
PACKAGE: Final = "datapackage.json"
PACKAGE_DIGEST: Final = "datapackage-digest.json"
ZIP_MAGICS: Final = (b"PK\x03\x04", b"PK\x05\x06")

_CHUNK: Final = 1 << 20
_LOCAL_HEADER: Final = 30  # bytes before name and extra field (APPNOTE 4.3.7)
_WARC: Final = re.compile(r"archive/.+\.warc(?:\.gz|\.zst)?")
_HASHES: Final = {"sha256": 64, "sha-256": 64, "md5": 32}
_ENCRYPTED: Final = 0x1


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A WARC file inside a WACZ, stored as it is."""

    name: str
    offset: int  # bytes from the start of the WACZ to its first byte
    length: int  # bytes


def read_wacz(path: Path) -> tuple[Member, ...]:
    """The WARC files of a WACZ, in the order of their names. Raises InvalidValue where it is not sound."""
    with _opened(path) as archive:
        infos = _entries(archive)
        _check_layout(archive, infos)
        listed = _resources(archive, infos)
        for name, (digest, length) in listed.items():
            _check_resource(archive, infos, name, digest, length)
        found = []
        for name in sorted(filter(_WARC.fullmatch, infos)):
            info = infos[name]
            if name not in listed:
                raise InvalidValue(f"{path.name}: {name} is not listed in {PACKAGE}")
            if info.compress_type != zipfile.ZIP_STORED:
                raise InvalidValue(
                    f"{path.name}: {name} is compressed by the zip, where no record can be read alone",
                    remedy="unpack it and import the WARC file",
                )
            found.append(Member(name=name, offset=_data_offset(archive, info), length=info.file_size))
        return tuple(found)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error) as error:
        raise InvalidValue(f"{path.name} is no sound zip: {error}") from error


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Entries by name, folders left out. Raises InvalidValue for names that lead elsewhere, or that stand twice."""
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise InvalidValue(f"a WACZ of more than {MAX_ENTRIES} entries is not read")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.orig_filename
        parts = name.rstrip("/").split("/")
        if not name.isprintable() or "\\" in name or ":" in parts[0] or any(p in ("", ".", "..") for p in parts):
            raise InvalidValue(f"a name that leads out of the WACZ: {name[:80]!r}")
        if info.flag_bits & _ENCRYPTED:
            raise InvalidValue(f"{name[:80]!r} is encrypted")
        if name in found:
            raise InvalidValue(f"{name[:80]!r} stands twice in the WACZ")
        if info.file_size > MIN_SUSPECT and info.file_size > MAX_RATIO * info.compress_size:
            raise InvalidValue(f"{name[:80]!r} would expand {MAX_RATIO}-fold or more")
        found[name] = info
    return {name: info for name, info in found.items() if not name.endswith("/")}


def _check_layout(archive: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo]) -> None:
    """Entries must not overlap: that is how a small zip becomes a bomb."""
    end = 0
    for info in sorted(infos.values(), key=lambda i: i.header_offset):
        if info.header_offset < end:
            raise InvalidValue(f"{info.orig_filename[:80]!r} overlaps with another entry")
        end = _data_offset(archive, info) + info.compress_size


def _data_offset(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """Where the bytes of an entry begin. Raises InvalidValue where its local header has another name."""
    stream = archive.fp
    assert stream is not None
    stream.seek(info.header_offset)
    header = stream.read(_LOCAL_HEADER)
    if len(header) != _LOCAL_HEADER or header[:4] != ZIP_MAGICS[0]:
        raise InvalidValue(f"{info.orig_filename[:80]!r} has no local header")
    name_length, extra_length = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    name = stream.read(name_length)
    if name.decode("utf-8", "replace") != info.orig_filename and name.decode("cp437") != info.orig_filename:
        raise InvalidValue(f"{info.orig_filename[:80]!r} has another name in its local header")
    return info.header_offset + _LOCAL_HEADER + name_length + extra_length


def _resources(archive: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo]) -> dict[str, tuple[str, int]]:
    """(digest `algorithm:hex`, bytes) that datapackage.json gives each resource."""
    text = _read_small(archive, infos, PACKAGE)
    if PACKAGE_DIGEST in infos:
        signed = _json(_read_small(archive, infos, PACKAGE_DIGEST), PACKAGE_DIGEST)
        declared = str(signed.get("hash", ""))
        if declared.removeprefix("sha256:") != hashlib.sha256(text).hexdigest():
            raise InvalidValue(f"{PACKAGE_DIGEST} gives another digest of {PACKAGE}")
    package = _json(text, PACKAGE)
    found: dict[str, tuple[str, int]] = {}
    resources = package.get("resources")
    if not isinstance(resources, list):
        raise InvalidValue(f"{PACKAGE} lists no resources")
    for resource in resources:
        if not isinstance(resource, dict):
            raise InvalidValue(f"{PACKAGE} lists a resource that is no object")
        old = resource.get("stats")  # WACZ 1.0
        stats = {**resource, **old} if isinstance(old, dict) else resource
        name, digest, length = resource.get("path"), stats.get("hash"), stats.get("bytes")
        if not isinstance(name, str) or not isinstance(digest, str) or type(length) is not int:
            raise InvalidValue(f"{PACKAGE} lists a resource without path, hash or bytes")
        if ":" not in digest:
            digest = f"{resource.get('hashing', 'sha256')}:{digest}"
        found[name] = (digest, length)
    return found


def _read_small(archive: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo], name: str) -> bytes:
    info = infos.get(name)
    if info is None:
        raise InvalidValue(f"no {name} is in the WACZ")
    if info.file_size > MAX_DESCRIPTION:
        raise InvalidValue(f"{name} has more than {MAX_DESCRIPTION} bytes")
    with archive.open(info) as stream:
        return stream.read(MAX_DESCRIPTION + 1)


def _json(text: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidValue(f"{name} is no JSON object")
    return value


def _check_resource(
    archive: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo], name: str, digest: str, length: int
) -> None:
    info = infos.get(name)
    if info is None:
        raise InvalidValue(f"{PACKAGE} lists {name[:80]!r}, which is not in the WACZ")
    algorithm, _, wanted = digest.partition(":")
    algorithm = algorithm.lower()
    if len(wanted) != _HASHES.get(algorithm):
        raise InvalidValue(f"{PACKAGE} gives {name[:80]!r} a digest that cannot be checked: {digest[:80]!r}")
    hashing = hashlib.new(algorithm.replace("-", ""), usedforsecurity=False)
    with archive.open(info) as stream:
        found = _hash(stream, hashing)
    if found != length or hashing.hexdigest() != wanted.lower():
        raise InvalidValue(f"{name[:80]!r} has not the digest and length that {PACKAGE} gives it")


def _hash(stream: IO[bytes], hashing: Any) -> int:
    length = 0
    while chunk := stream.read(_CHUNK):
        hashing.update(chunk)
        length += len(chunk)
    return length

"""What the archive writes of a stranger's file: one metadata record on the file, one on each capture in it.

The file is kept as it is, under its digest, or stays where it is. All that the catalog knows of it is read from our own
metadata records alone, by the same functions at import, at recovery and at rebuild; only content is read from the file.
Which records of a file are captures is left to `ingest.imports`, writing and order to `storage.archive`.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from schemas import canonical
from schemas.captures import Capture, Ending, Role
from schemas.entries import Entry, import_entry
from schemas.errors import DamageError, InvalidValue, NotFound
from schemas.instants import parse_rfc3339, rfc3339
from storage.blobs import BlobStore
from storage.disk import disk_errors
from storage.statements import print_statement, read_statement
from storage.warc import WARC_FIELDS, Draft, new_record_id
from storage.warc.foreign import Place, frame_of, read_raw, readable

FORMAT: Final = "pressmark-import/1"
#: What the target of a file's metadata record begins with; the file's digest follows.
FILE_URN: Final = "urn:pressmark:import:"
#: Where copies stand in the object store.
PREFIX: Final = "import/"
#: What the catalog's note of a file is kept under, before the file's digest.
META: Final = "import "
SUFFIXES: Final = (".warc", ".warc.gz", ".warc.zst", ".wacz")
#: Quarantined records that are named in the file's metadata record; the rest is counted.
MAX_QUARANTINED: Final = 1000
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedFile:
    """A stranger's file, as its metadata record tells."""

    name: str  # as it was called where it came from
    sha256: str  # sha256:hex
    length: int  # bytes
    key: str | None  # of the copy in the object store; None for a file that stays where it is
    path: str | None  # where a file stays that was not copied

    def __post_init__(self) -> None:
        fits = _DIGEST.fullmatch(self.sha256) and type(self.length) is int and self.length >= 0
        if not fits or (self.key is None) == (self.path is None):
            raise InvalidValue("not an imported file")

    @property
    def where(self) -> str:
        """The object's key, or the path of a file that was not copied."""
        return self.key if self.key is not None else str(self.path)

    def to_json(self) -> dict[str, Any]:
        """The file as JSON values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, value: Any) -> ImportedFile:
        """Read what `to_json` wrote. Raises InvalidValue."""
        try:
            return cls(**value)
        except TypeError as error:
            raise InvalidValue(f"an imported file lacks or has a wrong field: {error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Quarantined:
    """A record of a stranger's file that no capture was made of, and why."""

    offset: int  # bytes from the start of the WARC file
    record_id: str | None
    rule: str  # of the validator (`storage.warc.check`), or of the import
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """A capture in a stranger's file. What it says of itself is a claim of whoever made the file."""

    file: ImportedFile
    place: Place
    record: str | None  # the stranger's own record id
    digest: str  # sha256:hex of the uncompressed record, to the end of its block
    url: str
    claimed: datetime | None  # its WARC-Date
    trusted: bool  # whether that is taken for the time of capture
    outlet_id: str
    role: Role
    ending: Ending
    status: int | None
    media_type: str | None
    location: str | None
    payload_digest: str | None
    payload_length: int | None
    refers_to: str | None  # id, here, of the capture that a revisit says has its payload

    @property
    def id(self) -> str:
        """The id that the capture has here."""
        return capture_id(self.file.sha256, self.place)


def capture_id(sha256: str, place: Place) -> str:
    """The id of an imported capture: the same for the same place in the same file (RFC 9562 version 8)."""
    text = f"{FORMAT} {sha256} {place.base + place.offset} {place.start}"
    raw = bytearray(hashlib.sha256(text.encode()).digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return f"urn:uuid:{uuid.UUID(bytes=bytes(raw))}"


def object_key(sha256: str, suffix: str) -> str:
    """Where the copy of a file stands in the object store."""
    if suffix not in SUFFIXES or _DIGEST.fullmatch(sha256) is None:
        raise InvalidValue(f"not a file that is imported: {suffix!r}")
    digest = sha256.removeprefix("sha256:")
    return f"{PREFIX}{digest[:2]}/{digest}{suffix}"


# -- what is written ---------------------------------------------------------------------------------------------------


def file_draft(
    file: ImportedFile,
    at: datetime,
    *,
    tool: str | None,
    records: int,
    captures: int,
    quarantined: Sequence[Quarantined],
    trusted: bool,
) -> Draft:
    """The metadata record on a file."""
    block = {
        "format": FORMAT,
        "file": file.to_json(),
        "tool": tool,
        "records": records,
        "captures": captures,
        "quarantined": len(quarantined),
        "quarantine": [q.to_json() for q in quarantined[:MAX_QUARANTINED]],
        "trusted": trusted,
    }
    return _draft(block, at, FILE_URN + file.sha256)


def capture_draft(imported: Imported, at: datetime) -> Draft:
    """The metadata record on a capture in a file; `at` is when we received it."""
    block = {
        "format": FORMAT,
        "file": imported.file.to_json(),
        "place": imported.place.to_json(),
        "record": imported.record,
        "digest": imported.digest,
        "claimed_captured": rfc3339(imported.claimed) if imported.claimed else None,
        "trusted": imported.trusted,
        "outlet": imported.outlet_id,
        "role": imported.role.value,
        "ending": imported.ending.value,
        "status": imported.status,
        "media_type": imported.media_type,
        "location": imported.location,
        "payload_digest": imported.payload_digest,
        "payload_length": imported.payload_length,
        "refers_to": imported.refers_to,
    }
    return _draft(block, at, imported.url, imported.id)


def _draft(block: dict[str, Any], at: datetime, target: str, record_id: str | None = None) -> Draft:
    return Draft(
        type="metadata",
        date=at,
        target_uri=target,
        content_type=WARC_FIELDS,
        block=print_statement(block),
        record_id=record_id or new_record_id(),
    )


# -- what is read back -------------------------------------------------------------------------------------------------


def is_file(target: str | None) -> bool:
    """True where the target of a metadata record is a stranger's file."""
    return target is not None and target.startswith(FILE_URN)


def is_imported(block: dict[str, Any]) -> bool:
    """True where the block of a metadata record is one of ours on an import."""
    return block.get("format") == FORMAT


def file_of(block: bytes) -> ImportedFile:
    """The file that a metadata record of either kind is on. Raises InvalidValue."""
    value = read_statement(block)
    if not isinstance(value, dict) or not is_imported(value):
        raise InvalidValue("not a metadata record on an import")
    return ImportedFile.from_json(value.get("file"))


def entry_of(block: bytes, digest: str) -> Entry:
    """The log entry of a metadata record with this block and this record digest. Raises InvalidValue."""
    file = file_of(block)
    return import_entry(metadata=digest, sha256=file.sha256, length=file.length)


def note_of(block: bytes) -> tuple[str, str]:
    """(key, value) of the catalog's note that a file is here. Raises InvalidValue."""
    file = file_of(block)
    return META + file.sha256, canonical.dumps(file.to_json()).decode()


def capture_of(value: dict[str, Any], *, record_id: str, url: str, date: datetime) -> Capture:
    """The catalog row that a metadata record gives, whose block is `value`. Raises InvalidValue."""
    try:
        claimed = value["claimed_captured"]
        return Capture(
            id=record_id,
            seq=0,
            kind="import",
            url=url,
            date=parse_rfc3339(claimed) if claimed is not None and value["trusted"] else date,
            outlet_id=value["outlet"],
            role=Role(value["role"]),
            ending=Ending(value["ending"]),
            status=value["status"],
            media_type=value["media_type"],
            location=value["location"],
            etag=None,
            last_modified=None,
            payload_digest=value["payload_digest"],
            payload_length=value["payload_length"],
            refers_to=value["refers_to"],
            via=None,
            wall=None,
            log_index=None,
            hints={"claimed_captured": claimed} if claimed is not None else {},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidValue(f"metadata of {record_id} lacks or has a wrong field: {error}") from error


def read_block(store: BlobStore, block: bytes) -> bytes:
    """The block of the stranger's record that one of our metadata records is on, as `readable` gives it.

    Raises DamageError where the file is gone or is not what it was, InvalidValue.
    """
    value, file = read_statement(block), file_of(block)
    place = Place(**value["place"])
    try:
        if file.key is not None:
            key = file.key
            raw = read_raw(lambda start, length: store.get(key, start=start, length=length), place)
        else:
            raw = read_raw(lambda start, length: _read_range(Path(file.where), start, length), place)
    except NotFound as error:
        raise DamageError(f"the imported file {file.where} is gone", remedy="import it again") from error
    except DamageError as error:
        raise DamageError(f"imported file {file.where}: {error.message}", remedy="import it again") from error
    if f"sha256:{hashlib.sha256(raw).hexdigest()}" != value["digest"]:
        raise DamageError(f"a record of the imported file {file.where} is not what it was", remedy="import it again")
    return readable(frame_of(raw).block)


def _read_range(path: Path, start: int, length: int) -> bytes:
    if not path.exists():
        raise NotFound(f"there is no file {path}")
    with disk_errors(f"cannot read {path}"), path.open("rb") as stream:
        stream.seek(start)
        return stream.read(length)

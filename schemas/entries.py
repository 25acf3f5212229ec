"""Log entries: what the archive commits to, as canonical JSON of at most 65,535 bytes.

An entry holds no personal data and no prose: a type, a version, digests of records, codes, names of our own
objects. Each type has one shape; unknown fields and unknown types are refused. Placing entries in the log is
left to the sequencer; what a record digest covers is said in `records`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from schemas.canonical import dumps, loads
from schemas.checkpoints import VerifierKey
from schemas.digests import is_strict_sha256
from schemas.errors import InvalidValue
from schemas.instants import parse_rfc3339, rfc3339

#: Bytes of an encoded entry: C2SP entry bundles have a 16-bit length prefix.
MAX_ENTRY_BYTES: Final = 65_535

#: The version that is written and read.
ENTRY_VERSION: Final = 1

#: Changes that a key entry tells: the old key hands over to a new one; it is lost, and a new log goes on from here.
ROTATED: Final = "rotated"
LOST: Final = "lost"

#: Changes that a restriction entry tells.
CLOSED: Final = "closed"
LIFTED: Final = "lifted"

#: What a redaction takes along: what was named; also all with the same payload; also the same text elsewhere.
SCOPES: Final = ("record", "payload", "text")

#: Roles that a record can have in an entry.
RECORD_ROLES: Final = ("request", "response", "revisit", "metadata", "conversion", "resource")

_CODE: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_OBJECT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,511}")

_Check = Callable[[Any], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One log entry: its type and the fields beside `type` and `v`.

    Checked when it is made. Raises InvalidValue.
    """

    type: str
    fields: dict[str, Any]

    def __post_init__(self) -> None:
        check_entry(self.type, self.fields)

    def encode(self) -> bytes:
        """Canonical bytes: what is hashed into the tree. Raises InvalidValue where they are too many."""
        data = dumps({"type": self.type, "v": ENTRY_VERSION, **self.fields})
        if len(data) > MAX_ENTRY_BYTES:
            raise InvalidValue(f"a log entry has at most {MAX_ENTRY_BYTES} bytes, not {len(data)}")
        return data

    @classmethod
    def decode(cls, data: bytes) -> Entry:
        """Read canonical bytes. Raises InvalidValue."""
        if len(data) > MAX_ENTRY_BYTES:
            raise InvalidValue(f"a log entry has at most {MAX_ENTRY_BYTES} bytes, not {len(data)}")
        value = loads(data)
        if not isinstance(value, dict):
            raise InvalidValue("a log entry is a JSON object")
        kind, version = value.pop("type", None), value.pop("v", None)
        if not isinstance(kind, str) or version is not ENTRY_VERSION:
            raise InvalidValue("a log entry has a type and the version 1")
        return cls(type=kind, fields=value)

    @property
    def records(self) -> dict[str, str]:
        """Role -> record digest (`sha256:hex`) of the records that the entry commits to, perhaps none."""
        return dict(self.fields.get("records", {}))


def capture_entry(records: Mapping[str, str]) -> Entry:
    """A capture: digests of response or revisit, metadata, and the request where bytes of one were sent."""
    return Entry(type="capture", fields={"records": dict(records)})


def attempt_entry(code: str, records: Mapping[str, str]) -> Entry:
    """An attempt that left no response bytes; `code` is how it ended."""
    return Entry(type="attempt", fields={"code": code, "records": dict(records)})


def import_entry(*, metadata: str, sha256: str, length: int) -> Entry:
    """A stranger's file taken in: its digest and length, and the digest of our metadata record about it."""
    return Entry(
        type="import",
        fields={"file": {"length": length, "sha256": sha256}, "records": {"metadata": metadata}},
    )


def article_entry(*, conversion: str, capture: str) -> Entry:
    """An article: digests of its conversion record and of the response or revisit record it was made from."""
    return Entry(type="article", fields={"capture": capture, "records": {"conversion": conversion}})


def segment_entry(*, name: str, length: int, sha256: str, supersedes: str | None = None) -> Entry:
    """A sealed segment as an object; `supersedes` is the digest it had before a redaction."""
    fields: dict[str, Any] = {"name": name, "length": length, "sha256": sha256}
    if supersedes is not None:
        fields["supersedes"] = supersedes
    return Entry(type="segment", fields=fields)


def snapshot_entry(
    *, name: str, version: str, root: str, manifest: str, rows: int, supersedes: str | None = None
) -> Entry:
    """A dataset snapshot: root over its row digests, digest of its manifest.json, number of rows.

    `supersedes` is the manifest digest of the version whose place it takes, since rows of that one were redacted.
    """
    fields: dict[str, Any] = {"manifest": manifest, "name": name, "root": root, "rows": rows, "version": version}
    if supersedes is not None:
        fields["supersedes"] = supersedes
    return Entry(type="snapshot", fields=fields)


def redaction_entry(
    *, code: str, authority: str, targets: Sequence[str], scope: str, resource: str | None = None
) -> Entry:
    """The content of these records (their digests) goes, for this reason, by this authority: both are codes.

    `resource` is the digest of an erasable record with what people said of it, and what was kept by choice.
    """
    fields: dict[str, Any] = {"authority": authority, "code": code, "scope": scope, "targets": list(targets)}
    if resource is not None:
        fields["records"] = {"resource": resource}
    return Entry(type="redaction", fields=fields)


def restriction_entry(
    *, change: str, targets: Sequence[str], resource: str, code: str | None = None, until: datetime | None = None
) -> Entry:
    """Access to these records (their digests) is closed, until an instant or further notice, or opened again.

    `change` is CLOSED or LIFTED; `resource` is the digest of the record that names what it holds for.
    """
    fields: dict[str, Any] = {"change": change, "targets": list(targets), "records": {"resource": resource}}
    if code is not None:
        fields["code"] = code
    if until is not None:
        fields["until"] = rfc3339(until)
    return Entry(type="restriction", fields=fields)


def outlet_entry(*, change: str, resource: str) -> Entry:
    """A change of the watch list: its code and the digest of the resource record that holds it."""
    return Entry(type="outlet", fields={"change": change, "records": {"resource": resource}})


def time_entry(*, size: int, token: str, authority: str) -> Entry:
    """A timestamp over the checkpoint of that size came in; `token` is the digest of the token, `authority` a code."""
    return Entry(type="time", fields={"authority": authority, "size": size, "token": token})


def key_entry(*, change: str, vkey: VerifierKey, was: VerifierKey) -> Entry:
    """From here on `vkey` signs, where `was` did."""
    return Entry(type="key", fields={"change": change, "vkey": str(vkey), "was": str(was)})


def check_entry(kind: str, fields: Mapping[str, Any]) -> None:
    """Check the fields of an entry against the one shape of its type. Raises InvalidValue."""
    shape = _SHAPES.get(kind)
    if shape is None:
        raise InvalidValue(f"unknown type of log entry {kind[:40]!r}")
    required, optional = shape
    for name, value in fields.items():
        check = required.get(name) or optional.get(name)
        if check is None:
            raise InvalidValue(f"a log entry of type {kind} has no field {name[:40]!r}")
        if not check(value):
            raise InvalidValue(
                f"the field {name} of a log entry of type {kind} is not what its format asks for"
            )
    missing = required.keys() - fields.keys()
    if missing:
        raise InvalidValue(f"a log entry of type {kind} lacks {', '.join(sorted(missing))}")


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and is_strict_sha256(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_code(value: Any) -> bool:
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _OBJECT_NAME.fullmatch(value) is not None and ".." not in value


def _is_instant(value: Any) -> bool:
    return isinstance(value, str) and _accepted(
        lambda text: rfc3339(parse_rfc3339(text)) == text or None, value
    )


def _is_vkey(value: Any) -> bool:
    return isinstance(value, str) and _accepted(
        lambda text: str(VerifierKey.parse(text)) == text or None, value
    )


def _is_digests(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(_is_digest(item) for item in value)


def _is_file(value: Any) -> bool:
    known = {"length": _is_count, "sha256": _is_digest}
    return (
        isinstance(value, dict)
        and value.keys() == known.keys()
        and all(known[k](v) for k, v in value.items())
    )


def _accepted(read: Callable[[str], object], value: Any) -> bool:
    """True where `read` takes the value without InvalidValue and gives something other than None."""
    try:
        return isinstance(value, str) and read(value) is not None
    except InvalidValue:
        return False


def _records(
    required: tuple[str, ...], *, one_of: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> _Check:
    """A check for `records`: these roles, exactly one of those, perhaps some others; each with a digest."""

    needed, alternatives = frozenset(required), frozenset(one_of)
    known = needed | alternatives | frozenset(optional)

    def check(value: Any) -> bool:
        if not isinstance(value, dict) or not all(map(_is_digest, value.values())):
            return False
        roles = value.keys()
        return roles <= known and roles >= needed and len(roles & alternatives) == (1 if one_of else 0)

    return check


# Type -> (required fields, optional fields), each with its check.
_SHAPES: Final[dict[str, tuple[dict[str, _Check], dict[str, _Check]]]] = {
    "capture": (
        {"records": _records(("metadata",), one_of=("response", "revisit"), optional=("request",))},
        {},
    ),
    "attempt": ({"code": _is_code, "records": _records(("metadata",), optional=("request",))}, {}),
    "import": ({"file": _is_file, "records": _records(("metadata",))}, {}),
    "article": ({"capture": _is_digest, "records": _records(("conversion",))}, {}),
    "segment": ({"name": _is_name, "length": _is_count, "sha256": _is_digest}, {"supersedes": _is_digest}),
    "snapshot": (
        {
            "name": _is_name,
            "version": _is_name,
            "root": _is_digest,
            "manifest": _is_digest,
            "rows": _is_count,
        },
        {"supersedes": _is_digest},
    ),
    "redaction": (
        {"code": _is_code, "authority": _is_code, "targets": _is_digests},
        {"records": _records(("resource",)), "scope": _is_code},
    ),
    "restriction": (
        {"change": _is_code, "targets": _is_digests},
        {"code": _is_code, "until": _is_instant, "records": _records(("resource",))},
    ),
    "time": ({"size": _is_count, "token": _is_digest}, {"authority": _is_code}),
    "key": ({"vkey": _is_vkey}, {"change": _is_code, "was": _is_vkey}),
    "repair": ({"name": _is_name, "now": _is_digest}, {"code": _is_code, "was": _is_digest}),
    "loss": (
        {"name": _is_name, "code": _is_code},
        {"records": _is_count, "length": _is_count, "sha256": _is_digest},
    ),
    "audit": (
        {"size": _is_count, "damaged": _is_count, "missing": _is_count},
        {"orphans": _is_count, "objects": _is_count, "records": _is_count, "report": _is_digest},
    ),
    "outlet": ({"change": _is_code, "records": _records(("resource",))}, {}),
}

#: Every type of entry that this version knows.
ENTRY_TYPES: Final = tuple(_SHAPES)

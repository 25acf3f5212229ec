"""The manifest of a dataset snapshot: what was chosen, from which log, by which extractor, and the root over
its rows.

`manifest.json` is canonical JSON; its SHA-256 and the root stand in the log's `snapshot` entry. Files are
named elsewhere (`files.json`), for they may be rewritten; the root covers rows, not files. Building is left
to `datasets`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.canonical import dumps, loads
from schemas.checkpoints import Checkpoint, Note
from schemas.digests import Digest, strict_sha256
from schemas.errors import InvalidValue
from schemas.merkle import leaf_hash, root_of

MANIFEST_FORMAT: Final = "pressmark-snapshot/1"

#: Name of the rule by which a row becomes a digest: SHA-256 over the canonical JSON of the row as an object.
ROW_DIGEST_RULE: Final = "sha256-canonical-json/1"

#: Column with 32 random bytes in hex: it hides a row behind its digest once the row is gone (FORMAT.md).
ROW_NONCE: Final = "row_nonce"

_VERSION: Final = re.compile(r"(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)")
_SNAPSHOT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of the rows."""

    name: str
    type: str  # string | integer | boolean | strings (a list) | object
    digested: bool = True  # False for columns outside the row digest, such as near-duplicate clusters
    description: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """All that a snapshot commits to."""

    name: str
    version: str  # MAJOR.MINOR.PATCH
    origin: str  # of the log
    tree_size: int  # every row's log index lies below it
    checkpoint: str  # signed note of that log, of tree_size or later
    selection: Mapping[str, Any]  # outlets, from, to, by, with_text, ...: what was asked for
    extractors: tuple[Mapping[str, Any], ...]  # identities of the extractors that made the rows
    columns: tuple[Column, ...]
    rows: int
    root: Digest  # RFC 6962 root over the row digests, in the order of the rows
    counts: Mapping[str, int]  # rows by outlet, rows left out by reason, ...

    def __post_init__(self) -> None:
        if _SNAPSHOT_NAME.fullmatch(self.name) is None:
            raise InvalidValue(f"not a snapshot name (lower-case letters, digits, . _ -): {self.name[:60]!r}")
        if _VERSION.fullmatch(self.version) is None:
            raise InvalidValue(f"not a version of the form MAJOR.MINOR.PATCH: {self.version[:40]!r}")
        if self.rows < 0 or self.root.algorithm != "sha256":
            raise InvalidValue("a manifest has a count of rows and a SHA-256 root")
        head = Checkpoint.parse(Note.parse(self.checkpoint.encode("utf-8")).text)
        if head.origin != self.origin or head.size < self.tree_size:
            raise InvalidValue("the manifest's checkpoint is of another log, or smaller than its tree size")

    def to_json(self) -> dict[str, Any]:
        """The manifest as JSON values."""
        columns = [
            {"name": c.name, "type": c.type, "digested": c.digested, "description": c.description}
            for c in self.columns
        ]
        return {
            "format": MANIFEST_FORMAT,
            "name": self.name,
            "version": self.version,
            "origin": self.origin,
            "tree_size": self.tree_size,
            "checkpoint": self.checkpoint,
            "selection": dict(self.selection),
            "extractors": [dict(extractor) for extractor in self.extractors],
            "columns": columns,
            "rows": self.rows,
            "row_digest": ROW_DIGEST_RULE,
            "root": str(self.root),
            "counts": dict(self.counts),
        }

    def encode(self) -> bytes:
        """The bytes of `manifest.json`. Raises InvalidValue."""
        return dumps(self.to_json())

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """Read `manifest.json`. Raises InvalidValue."""
        value = loads(data)
        try:
            if value["format"] != MANIFEST_FORMAT or value["row_digest"] != ROW_DIGEST_RULE:
                raise InvalidValue("not a snapshot manifest of a known format and row digest rule")
            found = cls(
                name=value["name"],
                version=value["version"],
                origin=value["origin"],
                tree_size=_count(value["tree_size"]),
                checkpoint=value["checkpoint"],
                selection=dict(value["selection"]),
                extractors=tuple(dict(extractor) for extractor in value["extractors"]),
                columns=tuple(Column(**column) for column in value["columns"]),
                rows=_count(value["rows"]),
                root=strict_sha256(value["root"]),
                counts={name: _count(number) for name, number in value["counts"].items()},
            )
        except InvalidValue:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidValue(f"a snapshot manifest lacks or has a wrong field: {error}") from error
        if found.encode() != data:
            raise InvalidValue("a snapshot manifest with fields that this format does not have")
        return found

    @property
    def sha256(self) -> Digest:
        """Digest of `manifest.json`, as the log entry has it."""
        return Digest.sha256(self.encode())

    @property
    def digested_columns(self) -> tuple[str, ...]:
        """Names of the columns that the row digest covers."""
        return tuple(column.name for column in self.columns if column.digested)


def row_digest(row: Mapping[str, Any]) -> bytes:
    """SHA-256 over the canonical JSON of a row: exactly the digested columns, missing values as null.

    Values are strings, integers, booleans, null, lists and objects of these; instants as RFC 3339 texts.
    Raises InvalidValue.
    """
    return hashlib.sha256(dumps(dict(row))).digest()


def rows_root(digests: Iterable[bytes]) -> Digest:
    """RFC 6962 root over row digests in the order of the rows; each digest is the data of one leaf."""
    return Digest("sha256", root_of(leaf_hash(digest) for digest in digests))


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise InvalidValue("a count in a snapshot manifest is a whole number, not below zero")
    return value

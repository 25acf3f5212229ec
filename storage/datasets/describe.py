"""What stands beside the rows of a dataset: `files.json`, `croissant.json` and the card `README.md`.

All three are made from manifest, files and facts alone: no clock is read, and the same dataset is described in the same
bytes. Croissant: version 1.0 of the MLCommons format (http://mlcommons.org/croissant/1.0), which all its readers know.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from schemas.canonical import dumps, loads
from schemas.digests import strict_sha256
from schemas.errors import InvalidValue
from schemas.manifests import Column, Manifest
from storage.datasets.rows import PHOTO_TEXTS

FILES_FORMAT: Final = "pressmark-files/1"
REDACTED_FORMAT: Final = "pressmark-redacted-rows/1"
DATA: Final = "data/articles-"  # what names of shards begin with
COVERAGE: Final = "coverage.parquet"
RIGHTS: Final = (
    "The texts and pictures that rows describe belong to their publishers and authors; the archive grants no licence "
    "to them. What each page said about its use at the time of capture stands in the column rights."
)

#: Column type -> (data type, repeated) in Croissant; the others are objects with these parts.
_DATA_TYPES: Final = {
    "string": ("sc:Text", False),
    "integer": ("sc:Integer", False),
    "strings": ("sc:Text", True),
    "instant": ("sc:DateTime", False),
}
_PHOTO_PARTS: Final = {
    **dict.fromkeys(("url", "caption", "alt", "credit"), "string"),
    **dict.fromkeys(("photographers", "agencies"), "strings"),
    "position": "integer",
}
_RIGHTS_PARTS: Final = {
    f"{signal}.{part}": "string"
    for signal in ("robots", "tdm_reservation", "license", "copyright_notice")
    for part in ("value", "source", "observed")
}
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(?![a-z])")
_PARQUET: Final = "application/x-parquet"

# As the Croissant specification gives it.
_CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file of a dataset."""

    name: str  # relative to the dataset's folder
    length: int  # bytes
    sha256: str  # sha256:hex


@dataclass(kw_only=True, slots=True)
class Facts:
    """What is learnt of the rows while they are written."""

    outlets: dict[str, str] = field(default_factory=dict)  # id -> name in its last row
    rows: Counter[str] = field(default_factory=Counter)  # by outlet id
    languages: set[str] = field(default_factory=set)
    first_seen: str = ""  # of all rows, the earliest
    last_seen: str = ""  # of all rows, the latest
    redacted: int = 0  # rows of which the digests alone are left

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row into account."""
        self.outlets[row["outlet_id"]] = row["outlet_name"]
        self.rows[row["outlet_id"]] += 1
        tag = _LANGUAGE.match((row["language"] or "").lower())
        if tag is not None:
            self.languages.add(tag[0])
        self.first_seen = min(self.first_seen or row["first_seen"], row["first_seen"], key=_order)
        self.last_seen = max(self.last_seen or row["last_seen"], row["last_seen"], key=_order)


def _order(instant: str) -> str:
    """A key by which RFC 3339 texts in UTC sort in time, with and without microseconds."""
    return instant.removesuffix("Z")


def files_json(files: Sequence[File]) -> bytes:
    """`files.json`: every other file with length and digest."""
    listed = [{"bytes": file.length, "name": file.name, "sha256": file.sha256} for file in files]
    return dumps({"files": sorted(listed, key=lambda entry: str(entry["name"])), "format": FILES_FORMAT})


def read_files_json(data: bytes) -> list[File]:
    """Read `files.json`. Raises InvalidValue."""
    value = loads(data)
    try:
        if value["format"] != FILES_FORMAT:
            raise InvalidValue("files.json is of an unknown format")
        files = [
            File(name=str(f["name"]), length=int(f["bytes"]), sha256=str(strict_sha256(f["sha256"])))
            for f in value["files"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidValue(f"files.json lacks or has a wrong field: {error}") from error
    if files_json(files) != data or len({file.name for file in files}) != len(files):
        raise InvalidValue("files.json has unknown fields, or names a file twice or out of order")
    return files


@dataclass(frozen=True, kw_only=True, slots=True)
class RedactedRow:
    """What is left of a row that was redacted."""

    at: int  # its place among the rows, from 0
    digest: str  # its row digest, sha256:hex
    entry: int  # index of the redaction in the log


def redacted_json(rows: Sequence[RedactedRow]) -> bytes:
    """`redacted.json`: where the digests of redacted rows stand among those of the rows that are left."""
    listed = [{"at": row.at, "digest": row.digest, "entry": row.entry} for row in rows]
    return dumps({"format": REDACTED_FORMAT, "rows": listed})


def read_redacted(data: bytes) -> list[RedactedRow]:
    """Read `redacted.json`. Raises InvalidValue."""
    value = loads(data)
    try:
        if value["format"] != REDACTED_FORMAT:
            raise InvalidValue("redacted.json is of an unknown format")
        rows = [
            RedactedRow(at=int(r["at"]), digest=str(strict_sha256(r["digest"])), entry=int(r["entry"]))
            for r in value["rows"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidValue(f"redacted.json lacks or has a wrong field: {error}") from error
    ascending = all(one.at < other.at for one, other in pairwise(rows))
    if redacted_json(rows) != data or not ascending:
        raise InvalidValue("redacted.json has unknown fields, or names places twice or out of order")
    return rows


def croissant(manifest: Manifest, files: Sequence[File], facts: Facts, creator: str) -> bytes:
    """`croissant.json`."""
    value = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": manifest.name,
        "description": _description(manifest, facts),
        "version": manifest.version,
        "isLiveDataset": False,
        "license": RIGHTS,
        "url": f"urn:pressmark:snapshot:{manifest.name}:{manifest.version}",
        "identifier": str(manifest.root),
        "creator": {"@type": "sc:Organization", "name": creator},
        "datePublished": facts.last_seen,
        "temporalCoverage": f"{facts.first_seen}/{facts.last_seen}",
        "inLanguage": sorted(facts.languages),
        "keywords": ["news", "web archive", "provenance"],
        "citeAs": _citation(manifest, facts, creator),
        "distribution": [*(_file_object(file) for file in files), _file_set()],
        "recordSet": [_record_set(manifest)],
    }
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def _file_object(file: File) -> dict[str, Any]:
    media = _PARQUET if file.name.endswith(".parquet") else "application/json"
    return {
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "contentUrl": file.name,
        "contentSize": f"{file.length} B",
        "encodingFormat": media,
        "sha256": file.sha256.removeprefix("sha256:"),
    }


def _file_set() -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": "shards",
        "name": "shards",
        "description": "The rows, sorted by outlet, article and version.",
        "encodingFormat": _PARQUET,
        "includes": "data/*.parquet",
    }


def _record_set(manifest: Manifest) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "articles",
        "name": "articles",
        "description": "One row an article version.",
        "key": [{"@id": f"articles/{name}"} for name in ("article_id", "version", "extractor")],
        "field": [_field(column) for column in manifest.columns],
    }


def _field(column: Column) -> dict[str, Any]:
    """A column; one of objects with a field for each of their values."""
    at = f"articles/{column.name}"
    if column.type in _DATA_TYPES:
        return _leaf(at, column.name, column.description, _DATA_TYPES[column.type], {"column": column.name})
    parts = _RIGHTS_PARTS if column.type == "rights" else _PHOTO_PARTS
    if column.type == "photos-without-text":
        parts = {path: type for path, type in parts.items() if path not in PHOTO_TEXTS}
    found = {
        "@type": "cr:Field",
        "@id": at,
        "name": column.name,
        "description": column.description,
        "subField": [
            _leaf(f"{at}/{path.replace('.', '/')}", path, "", _DATA_TYPES[type], {"column": column.name}, path)
            for path, type in parts.items()
        ],
    }
    return found if column.type == "rights" else found | {"repeated": True}


def _leaf(
    at: str, name: str, description: str, type: tuple[str, bool], extract: dict[str, str], path: str | None = None
) -> dict[str, Any]:
    source: dict[str, Any] = {"fileSet": {"@id": "shards"}, "extract": extract}
    if path is not None:
        source["transform"] = {"jsonPath": path}
    found = {"@type": "cr:Field", "@id": at, "name": name, "dataType": type[0], "source": source}
    if description:
        found["description"] = description
    return found | {"repeated": True} if type[1] else found


def card(manifest: Manifest, facts: Facts, creator: str) -> bytes:
    """`README.md`: a dataset card with YAML front matter."""
    texts = "Without texts, standfirsts, captions and alternative texts." if not _has_text(manifest) else ""
    parts = [
        _front_matter(manifest, facts),
        f"# {manifest.name} {manifest.version}",
        _description(manifest, facts),
        texts,
        "## What it holds",
        _table(("outlet", "id", "rows"), [(facts.outlets[i], i, str(facts.rows[i])) for i in sorted(facts.outlets)]),
        _selection_text(manifest),
        "## Columns",
        _table(
            ("column", "type", "what"),
            [(c.name, c.type, c.description + ("" if c.digested else " (not in the row digest)"))
             for c in manifest.columns],
        ),
        _LIMITS,
        "## Check it",
        _check_text(manifest),
        "## Rights",
        RIGHTS,
        "## Cite it",
        f"```bibtex\n{_citation(manifest, facts, creator)}\n```",
    ]  # fmt: skip
    return ("\n\n".join(part for part in parts if part) + "\n").encode()


_LIMITS: Final = """`first_seen` is when this archive first captured a content, never when it appeared. `published` and
`modified` are the page's own words. `coverage.parquet` counts, by outlet and UTC day, article addresses announced
(`discovered`; those not asked for yet are missing), whole answers (`fetched`) and other outcomes (`failed`)."""


def _front_matter(manifest: Manifest, facts: Facts) -> str:
    configs = [
        {"config_name": "articles", "data_files": "data/*.parquet", "default": True},
        {"config_name": "coverage", "data_files": COVERAGE},
    ]
    values = {
        "pretty_name": f"{manifest.name} {manifest.version}",
        "license": "other",
        "language": sorted(facts.languages),
        "tags": ["news", "web-archive", "provenance"],
        "configs": configs,
    }
    # A JSON value is a YAML value.
    return "\n".join(["---", *(f"{name}: {json.dumps(v, ensure_ascii=False)}" for name, v in values.items()), "---"])


def _description(manifest: Manifest, facts: Facts) -> str:
    if facts.redacted:
        gone = f"{facts.redacted} of {manifest.rows} rows were redacted: `redacted.json` has their digests."
        return f"{_of_rows(manifest, facts)} {gone}"
    return _of_rows(manifest, facts)


def _of_rows(manifest: Manifest, facts: Facts) -> str:
    return (
        f"{manifest.rows - facts.redacted} article versions of {len(facts.outlets)} news outlets, captured from "
        f"{facts.first_seen} to {facts.last_seen} by the archive {manifest.origin} and sealed under the first "
        f"{manifest.tree_size} entries of its log. Every row names the records that it was made from, and their "
        f"digests."
    )


def _selection_text(manifest: Manifest) -> str:
    wanted = manifest.selection
    outlets = ", ".join(f"`{outlet}`" for outlet in wanted["outlets"]) or "all outlets"
    out = {k.removeprefix("left_out."): n for k, n in sorted(manifest.counts.items()) if k.startswith("left_out.")}
    left = ", ".join(f"{number} {reason}" for reason, number in out.items()) or "none"
    return (
        f"Asked for: {outlets}; {wanted['by']} from {wanted['from'] or 'the beginning'} until before "
        f"{wanted['to'] or 'the end'} (UTC). Left out: {left}."
    )


def _check_text(manifest: Manifest) -> str:
    return (
        f"Row digests (SHA-256 over the canonical JSON of a row's digested columns) lead to the root\n"
        f"`{manifest.root}`,\nwhich the log commits to. In the archive:\n"
        f"`pressmark snapshot verify {manifest.name} --version {manifest.version}`.\n"
        f"For a stranger: `pressmark prove {manifest.name}/{manifest.version} -o bundle.zip`, then `verify.py` from\n"
        f"the bundle. `files.json` has the digests of all files here."
    )


def _citation(manifest: Manifest, facts: Facts, creator: str) -> str:
    title = f"{manifest.name}, version {manifest.version}"
    year = facts.last_seen[:4]
    return (
        f"@misc{{{manifest.name}-{manifest.version}, title = {{{title}}}, author = {{{_braceless(creator)}}}, "
        f"year = {{{year}}}, note = {{{manifest.root}}}}}"
    )


def _braceless(text: str) -> str:
    return re.sub(r"[{}\\]", "", text)


def _has_text(manifest: Manifest) -> bool:
    return any(column.name == "text" for column in manifest.columns)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in line) + " |" for line in lines
    )

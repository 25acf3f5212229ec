"""What a redaction is about to take, and what it was asked for, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from schemas.captures import Capture
from storage.catalog.values import RecordRow, VersionRow


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the operator asks for."""

    id: str  # article (ID@VERSION), capture or record
    code: str  # why
    authority: str  # by whom
    scope: str = "payload"
    note: str | None = None  # in words; kept in a record that can itself be redacted
    keep: tuple[str, ...] = ()  # ids of what quotes it and stays; `all` for the rest
    include: tuple[str, ...] = ()  # ids of what quotes it and goes too; `all` for the rest


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """A list or page that quotes the text, or names its address."""

    id: str  # capture id, or article id of a page
    kind: str  # feed | sitemap | home | other | article
    url: str
    how: str  # text: shares a run of letters with it; link: names its address
    captures: tuple[str, ...]  # ids of what goes with it where it is included

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"id": self.id, "kind": self.kind, "url": self.url, "how": self.how}


@dataclass(kw_only=True, slots=True)
class Closure:
    """All that goes with what was named, and why."""

    scope: str
    captures: dict[str, tuple[Capture, str]] = field(default_factory=dict)  # by id: the capture, and why it goes
    versions: dict[int, tuple[VersionRow, str]] = field(default_factory=dict)  # by row id
    alone: dict[str, tuple[RecordRow, str]] = field(default_factory=dict)  # records of no capture
    extras: set[str] = field(default_factory=set)  # captures that go by choice: their addresses are not blocked
    quotes: list[Quote] = field(default_factory=list)

    def lines(self) -> list[dict[str, Any]]:
        """What goes, as JSON values, in a fixed order."""
        found: list[dict[str, Any]] = [
            {
                "id": capture.id,
                "kind": capture.kind,
                "role": capture.role.value,
                "url": capture.url,
                "why": why,
            }
            for capture, why in sorted(self.captures.values(), key=lambda pair: pair[0].seq)
        ]
        found += [
            {
                "id": f"{version.article_id}@{version.version}",
                "kind": "version",
                "role": "article",
                "url": version.url,
                "why": why,
            }
            for version, why in sorted(self.versions.values(), key=lambda pair: pair[0].log_index)
        ]
        found += [
            {"id": row.record_id, "kind": row.type, "role": "record", "url": row.target_uri, "why": why}
            for row, why in self.alone.values()
        ]
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a redaction did."""

    entries: tuple[int, ...]  # indices of its entries in the log
    records: int  # that were named
    segments: int  # files that were rewritten just now
    snapshots: tuple[str, ...]  # datasets that got a new version
    pending: tuple[str, ...]  # what could not be reached yet, in sentences
    remainders: tuple[str, ...]  # what the operator must purge himself, in sentences

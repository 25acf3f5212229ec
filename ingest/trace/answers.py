"""What a trace answers: matches, clusters of them, claims, and what was not found. Values, and their JSON.

How they are found is left to `search`, what a fragment says of itself to `claims`, how they differ to `diffs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from schemas.instants import from_micros, rfc3339
from storage.catalog.values import VersionRow

#: What the earliest capture of a text is, and what it is not.
FIRST_SEEN: Final = "first seen here, not: origin"


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Where aligned characters stand in one paragraph, and that paragraph in the page."""

    start: int  # characters of the fragment
    end: int
    paragraph: int  # from 0
    paragraph_start: int  # characters of that paragraph
    paragraph_end: int
    bytes: tuple[int, int] | None  # of the paragraph, in the decoded entity body; None where the extractor knew none

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "fragment": [self.start, self.end],
            "paragraph": self.paragraph,
            "characters": [self.paragraph_start, self.paragraph_end],
            "bytes": None if self.bytes is None else list(self.bytes),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Aligned characters: of the fragment, and of the article's text (paragraphs joined by a blank line)."""

    start: int
    end: int
    text_start: int
    text_end: int
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """An article version that shares text with the fragment."""

    version: VersionRow
    outlet: str
    covered: float  # share of the fragment's letters, 0 to 1
    longest: int  # letters of the longest run in common
    kind: str  # exact: one run holds the whole fragment | edited: most of it stands here, changed | part: some of it
    spans: tuple[Span, ...]
    restricted: bool = False  # not to be shown just now: that there is a match is all that is told

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        row = self.version
        if self.restricted:
            share = round(self.covered, 4)
            return {"article": row.article_id, "version": row.version, "covered": share, "restricted": True}
        return {
            "article": row.article_id,
            "version": row.version,
            "capture": row.capture_id,
            "log_index": row.log_index,
            "url": row.url,
            "outlet": self.outlet,
            "published": row.published,
            "captured": rfc3339(from_micros(row.first_seen)),
            "covered": round(self.covered, 4),
            "kind": self.kind,
            "longest_run": self.longest,
            "spans": [[s.start, s.end, s.text_start, s.text_end] for s in self.spans],
            "parts": [part.to_json() for span in self.spans for part in span.parts],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """Matches that share the same passage of the fragment: a text and its copies, the earliest capture first."""

    members: tuple[int, ...]  # numbers of matches, from 0
    outlets: int  # how many outlets they are of

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"matches": list(self.members), "outlets": self.outlets, "first": FIRST_SEEN}


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What the fragment says of itself, and whether the best match says so too."""

    kind: str  # date | credit | byline | url | outlet
    value: str
    verdict: str  # agrees | differs | unknown


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceResult:
    """What a fragment came from."""

    matches: tuple[Match, ...]
    claims: tuple[Claim, ...]
    note: str | None  # what was not looked at, or what "not found" means
    clusters: tuple[Cluster, ...] = ()
    uncovered: tuple[tuple[int, int], ...] = ()  # characters of the fragment that no match has

    @property
    def covered(self) -> float:
        """The share of the fragment that the best match covers."""
        return max((match.covered for match in self.matches), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; `id` is the caller's."""
        return {
            "id": None,
            "covered": round(self.covered, 4),
            "matches": [match.to_json() for match in self.matches],
            "clusters": [cluster.to_json() for cluster in self.clusters],
            "uncovered": [list(part) for part in self.uncovered],
            "claims": [{"kind": c.kind, "value": c.value, "verdict": c.verdict} for c in self.claims],
            "note": self.note,
        }

"""From a fragment to the captures that it came from.

The index names candidates, `align` decides: a match is reported only where a long run of letters is shared, so that
"not found" and "found" both mean something. What the fragment says of itself (a date, a credit, a byline, a URL) is
held against the best match, as claims.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ingest.align import Run, align, covered
from schemas.credits import Credit, looks_like_credit, parse_credit
from schemas.errors import InvalidValue
from schemas.instants import from_micros, rfc3339
from schemas.urls import article_key
from storage.archive import Archive
from storage.catalog.values import VersionRow
from storage.fingerprints import GRAM, GUARANTEE, Normalised, candidates, letters, normalise
from storage.withholding import withheld_among

#: Characters of a fragment that are looked at; more are cut off and the result says so.
MAX_FRAGMENT: Final = 4_000_000
#: Letters of the shortest run that alone makes a match; phrases of a language are shorter.
MATCH_RUN: Final = 48
#: A fragment shorter than MATCH_RUN matches where this share of it stands in one run.
WHOLE: Final = 0.95
#: Versions that are aligned at most.
MAX_CANDIDATES: Final = 64
#: Characters at the head and foot of a fragment in which it is asked what it claims of itself.
CLAIM_PART: Final = 400

_DATE: Final = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})?))?")
_URL: Final = re.compile(r"https?://[^\s<>\"'）」]+")
#: What ends a sentence or bracket around an address, and no address.
_URL_END: Final = ".,;:!?)]}'"
_BYLINE: Final = re.compile(r"(?m)^\s*(?:By|Von|Par|Por|Di|Door|Av)\s+([^\n,|]{3,60})\s*$")
_CREDIT: Final = re.compile(
    r"(?:©|\(c\)|\b(?:Photo|Foto|Bild|Image|Picture)s?\s*:)[^\n]{2,120}|[^\n]{0,60}\bAP Photo\b[^\n]{0,60}"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Aligned characters: of the fragment, and of the article's text (paragraphs joined by a blank line)."""

    start: int
    end: int
    text_start: int
    text_end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """An article version that shares text with the fragment."""

    version: VersionRow
    outlet: str
    covered: float  # share of the fragment's letters, 0 to 1
    spans: tuple[Span, ...]
    restricted: bool = False  # not to be shown just now: that there is a match is all that is told

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        row = self.version
        if self.restricted:
            covered = round(self.covered, 4)
            return {"article": row.article_id, "version": row.version, "covered": covered, "restricted": True}
        return {
            "article": row.article_id,
            "version": row.version,
            "capture": row.capture_id,
            "url": row.url,
            "outlet": self.outlet,
            "published": row.published,
            "captured": rfc3339(from_micros(row.first_seen)),
            "covered": round(self.covered, 4),
            "spans": [[s.start, s.end, s.text_start, s.text_end] for s in self.spans],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What the fragment says of itself, and whether the best match says so too."""

    kind: str  # date | credit | byline | url
    value: str
    verdict: str  # agrees | differs | unknown


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceResult:
    """What a fragment came from."""

    matches: tuple[Match, ...]
    claims: tuple[Claim, ...]
    note: str | None  # what was not looked at, or what "not found" means

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
            "claims": [{"kind": c.kind, "value": c.value, "verdict": c.verdict} for c in self.claims],
            "note": self.note,
        }


def trace(archive: Archive, text: str, *, limit: int = 20) -> TraceResult:
    """Find the article versions that a fragment of text came from.

    The best come first: those that cover most of it; among equals those in the fewest pieces, then the earliest.
    """
    cut = len(text) > MAX_FRAGMENT
    text = text[:MAX_FRAGMENT]
    fragment = normalise(text)
    matches: list[Match] = []
    with archive.catalog.read() as tx:
        names = {outlet.id: outlet.name for outlet in tx.outlets.all(removed=True)}
        for row_id, _ in candidates(tx, fragment.letters, MAX_CANDIDATES):
            row = tx.articles.by_row(row_id)
            match = None if row is None else _match(fragment, row, names)
            if match is not None:
                matches.append(match)
        held = withheld_among(archive, tx, [match.version for match in matches])
        matches = [replace(match, restricted=match.version.log_index in held) for match in matches]
    matches.sort(key=lambda m: (-round(m.covered, 3), len(m.spans), m.version.first_seen, m.version.log_index))
    shown = [match for match in matches if not match.restricted]
    best = shown[0].version if shown else None
    return TraceResult(
        matches=tuple(matches[:limit]), claims=tuple(claims(text, best)), note=_note(fragment, matches, cut=cut)
    )


def _note(fragment: Normalised, matches: Sequence[Match], *, cut: bool) -> str | None:
    if cut:
        return f"only the first {MAX_FRAGMENT} characters were looked at"
    if matches:
        return None
    if len(fragment.letters) < GRAM:
        return f"the fragment has {len(fragment.letters)} letters; at least {GRAM} are needed"
    return f"no text of {GUARANTEE} letters or more in common with anything archived here"


def _match(fragment: Normalised, row: VersionRow, names: dict[str, str]) -> Match | None:
    text = article_text(row)
    runs = align(fragment.letters, letters(text))
    if not _convincing(runs, len(fragment.letters)):
        return None
    whole = normalise(text)
    return Match(
        version=row,
        outlet=names.get(row.outlet_id, row.outlet_id),
        covered=covered(runs, len(fragment.letters)),
        spans=tuple(_span(run, fragment, whole) for run in runs),
    )


def _convincing(runs: Sequence[Run], length: int) -> bool:
    longest = max((run.length for run in runs), default=0)
    return longest >= MATCH_RUN or (length >= GRAM and longest >= WHOLE * length)


def _span(run: Run, fragment: Normalised, text: Normalised) -> Span:
    start, end = fragment.span(run.start, run.end)
    text_start, text_end = text.span(run.other, run.other + run.length)
    return Span(start=start, end=end, text_start=text_start, text_end=text_end)


def article_text(row: VersionRow) -> str:
    """The text of a version: its paragraphs joined by a blank line."""
    return "\n\n".join(json.loads(row.block)["paragraphs"])


def claims(text: str, best: VersionRow | None) -> list[Claim]:
    """What head and foot of a fragment say of its date, credit, byline and URL, held against a version."""
    part = text if len(text) <= 2 * CLAIM_PART else f"{text[:CLAIM_PART]}\n{text[-CLAIM_PART:]}"
    article = json.loads(best.block) if best is not None else None
    found = [Claim(kind="date", value=m[0], verdict=_date_verdict(m[0], article)) for m in _DATE.finditer(part)]
    for match in _CREDIT.finditer(_DATE.sub("\n", part)):
        value = " ".join(match[0].split())
        if looks_like_credit(value):
            found.append(Claim(kind="credit", value=value, verdict=_credit_verdict(value, article)))
    for match in _BYLINE.finditer(part):
        value = " ".join(match[1].split())
        found.append(Claim(kind="byline", value=value, verdict=_byline_verdict(value, article)))
    for match in _URL.finditer(part):
        value = match[0].rstrip(_URL_END)
        found.append(Claim(kind="url", value=value, verdict=_url_verdict(value, article)))
    return list(dict.fromkeys(found))


def _date_verdict(value: str, article: dict[str, Any] | None) -> str:
    dates = [] if article is None else [d[:10] for d in (article["published"], article["modified"]) if d]
    return "unknown" if not dates else _verdict(value[:10] in dates)


def _credit_verdict(value: str, article: dict[str, Any] | None) -> str:
    """The same words, or a photographer in common, or, where one side names none, an agency in common."""
    credits = [] if article is None else [parse_credit(p["credit"]) for p in article["photos"] if p["credit"]]
    claimed = parse_credit(value)
    return "unknown" if not credits else _verdict(any(_same_credit(claimed, credit) for credit in credits))


def _same_credit(a: Credit, b: Credit) -> bool:
    if letters(a.text) == letters(b.text):
        return True
    if a.photographers and b.photographers:
        return bool({letters(name) for name in a.photographers} & {letters(name) for name in b.photographers})
    return bool(set(a.agencies) & set(b.agencies))


def _byline_verdict(value: str, article: dict[str, Any] | None) -> str:
    authors = [] if article is None else [letters(name) for name in article["authors"] if letters(name)]
    return "unknown" if not authors else _verdict(any(author in letters(value) for author in authors))


def _url_verdict(value: str, article: dict[str, Any] | None) -> str:
    """The same article, whatever its variant and tracking parameters."""
    if article is None:
        return "unknown"
    try:
        return _verdict(article_key(value) in {article_key(article["url"]), article_key(article["canonical_url"])})
    except InvalidValue:
        return "differs"


def _verdict(agrees: bool) -> str:
    return "agrees" if agrees else "differs"

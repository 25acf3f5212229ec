"""What a fragment says of itself (a date, a credit, a byline, a URL, an outlet), held against an archived article.

Claims are looked for at head and foot, where scrapers leave them. A claim agrees, differs, or, where the article says
nothing of the kind, is unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from datetime import date
from functools import partial
from typing import Any, Final

from ingest.trace.answers import Claim
from schemas.credits import Credit, looks_like_credit, parse_credit
from schemas.errors import InvalidValue
from schemas.urls import article_key
from storage.catalog.values import VersionRow
from storage.fingerprints import letters

#: Characters at the head and foot of a fragment in which it is asked what it claims of itself.
CLAIM_PART: Final = 400
#: Letters of the shortest name of an outlet that is looked for as it stands; shorter ones are words.
_NAME: Final = 6

_ISO: Final = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})?))?")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH: Final = (
    r"(Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DAY_MONTH: Final = re.compile(rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th)?\s+{_MONTH},?\s+(\d{{4}})(?!\d)", re.IGNORECASE)
_MONTH_DAY: Final = re.compile(rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})(?!\d)", re.IGNORECASE)
_DOTTED: Final = re.compile(r"(?<![\d.])(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})(?!\d)")
_URL: Final = re.compile(r"https?://[^\s<>\"'）」]+")
#: What ends a sentence or bracket around an address, and no address.
_URL_END: Final = ".,;:!?)]}'"
_BYLINE: Final = re.compile(r"(?m)^\s*(?:By|Von|Par|Por|Di|Door|Av)\s+([^\n,|]{3,60})\s*$")
_LABELLED: Final = re.compile(r"(?:©|\(c\)|\b(?:Photo|Foto|Bild|Image|Picture)s?\s*:)[^\n]{2,120}")
#: An agency's credit has the name of whom it credits before or behind it, within so many characters.
_BESIDE: Final = 60
_AGENCY: Final = re.compile(rf"\bAP Photo\b[^\n]{{0,{_BESIDE}}}")
#: Without one of these there is no credit, and without one of those no source: most fragments need no further look.
_CREDIT_SIGNS: Final = ("©", "(c)", "Photo", "Foto", "Bild", "Image", "Picture")
_SOURCE_SIGNS: Final = ("source", "quelle", "fuente", "fonte", "bron", "källa", "published", "appeared")
_YEAR: Final = re.compile(r"\d{4}")
_SOURCE: Final = re.compile(
    r"(?mi)(?:^\s*(?:source|quelle|fuente|fonte|bron|källa)\s*:|\b(?:first |originally )?(?:published|appeared) "
    r"(?:by|in|on|at))\s+([^\n.;|(]{2,60})"
)


def claims(text: str, best: VersionRow | None, outlet: str | None = None, outlets: Collection[str] = ()) -> list[Claim]:
    """The claims of a fragment, held against a version of the outlet of that name.

    `outlets` are the names that the archive knows: one of them at head or foot is a claim too.
    """
    part = text if len(text) <= 2 * CLAIM_PART else f"{text[:CLAIM_PART]}\n{text[-CLAIM_PART:]}"
    found: list[tuple[str, str, Callable[[dict[str, Any] | None], str]]] = []
    found += [("date", raw, partial(_date_verdict, day)) for raw, day in _dates(part)]
    credited = any(sign in part for sign in _CREDIT_SIGNS)
    for value in _credits(_ISO.sub("\n", part)) if credited else ():
        if looks_like_credit(value):
            found.append(("credit", value, partial(_credit_verdict, value)))
    for match in _BYLINE.finditer(part):
        value = " ".join(match[1].split())
        found.append(("byline", value, partial(_byline_verdict, value)))
    for match in _URL.finditer(part):
        value = match[0].rstrip(_URL_END)
        found.append(("url", value, partial(_url_verdict, value)))
    for value in _outlets(part, outlets):
        found.append(("outlet", value, partial(_outlet_verdict, value, outlet)))
    if not found:  # most fragments claim nothing, and the page need not be read
        return []
    article = json.loads(best.block) if best is not None else None
    return list(dict.fromkeys(Claim(kind=kind, value=value, verdict=judge(article)) for kind, value, judge in found))


def _dates(part: str) -> Iterator[tuple[str, str]]:
    """(as it stands, YYYY-MM-DD) of each date whose order of day and month is certain, in the order of the text."""
    if _YEAR.search(part) is None:
        return
    found = [(m.start(), m[0], (m[1], m[2], m[3])) for m in _ISO.finditer(part)]
    found += [(m.start(), m[0], (m[3], _month(m[2]), m[1])) for m in _DAY_MONTH.finditer(part)]
    found += [(m.start(), m[0], (m[3], _month(m[1]), m[2])) for m in _MONTH_DAY.finditer(part)]
    found += [(m.start(), m[0], (m[3], m[2], m[1])) for m in _DOTTED.finditer(part)]
    for _, raw, (year, month, day) in sorted(found):
        try:
            yield raw, date(int(year), int(month), int(day)).isoformat()
        except ValueError:
            continue  # 2022-13-45 is no date


def _month(name: str) -> str:
    return str(_MONTHS.index(name[:3].lower()) + 1)


def _date_verdict(day: str, article: dict[str, Any] | None) -> str:
    dates = [] if article is None else [d[:10] for d in (article["published"], article["modified"]) if d]
    return "unknown" if not dates else _verdict(day in dates)


def _credits(part: str) -> Iterator[str]:
    """What may be a credit, from left to right: labelled as one, or an agency's with what stands beside it."""
    labelled, agency = _LABELLED.search(part), _AGENCY.search(part)
    while labelled is not None or agency is not None:
        start = behind = len(part)
        if agency is not None:  # looked for behind the credit before
            begin = max(agency.pos, agency.start() - _BESIDE)
            start, behind = max(begin, part.rfind("\n", begin, agency.start()) + 1), agency.end()
        if labelled is not None and labelled.start() <= start:
            start, behind = labelled.span()
        yield " ".join(part[start:behind].split())
        labelled, agency = _LABELLED.search(part, behind), _AGENCY.search(part, behind)


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


def _outlets(part: str, outlets: Collection[str]) -> Iterator[str]:
    low = part.lower()
    for match in _SOURCE.finditer(part) if any(sign in low for sign in _SOURCE_SIGNS) else ():
        if not _URL.match(match[1]):
            yield " ".join(match[1].split())
    for name in outlets:
        if name in part and len(letters(name)) >= _NAME and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", part):
            yield name


def _outlet_verdict(value: str, outlet: str | None, _: dict[str, Any] | None) -> str:
    if outlet is None:
        return "unknown"
    claimed, known = letters(value), letters(outlet)
    return _verdict(bool(known) and (known in claimed or (len(claimed) >= _NAME and claimed in known)))


def _verdict(agrees: bool) -> str:
    return "agrees" if agrees else "differs"

"""Which of two claims of a last change is the newer one (pure).

A feed and a sitemap often name the same change in two ways, or differ by seconds. Were every difference
taken for a change, each poll would set the article's checks back to the first one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from schemas.errors import InvalidValue
from schemas.instants import to_micros


def claimed_micros(claim: str) -> int | None:
    """A claim (ISO 8601 or RFC 5322) as microseconds since 1970; without a zone, UTC. None: unreadable."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(claim.strip())
            return to_micros(found if found.tzinfo else found.replace(tzinfo=UTC))
        except (ValueError, IndexError, OverflowError, InvalidValue):
            continue
    return None


def is_news(known: str | None, claim: str | None, found: int) -> bool:
    """True where `claim` says that the text changed after what `known` said; `found`: when the item was
    found.

    A first claim is news where it lies after the finding. Claims that cannot be read are news where they
    differ and there is no readable one to hold on to.
    """
    if not claim or claim == known:
        return False
    new = claimed_micros(claim)
    old = claimed_micros(known) if known else None
    if new is None:
        return known is not None and old is None
    return new > (old if old is not None else found)


def is_better(known: str | None, claim: str | None, found: int) -> bool:
    """True where `claim` should be kept in place of `known`."""
    return bool(claim) and (not known or is_news(known, claim, found))

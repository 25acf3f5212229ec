"""What a polite crawler may do, and how soon: robots.txt, Retry-After, back-off. Pure.

RFC 9309 in full, read here and not by a library: its rules (longest match, groups joined by product token, 500 KiB)
are short, and each is tested by its section number. Fetching robots.txt and keeping it for at most 24 hours is left to
`pipeline`, waiting to `gates`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from schemas.errors import InvalidValue
from schemas.urls import normalize, target_of

#: Bytes of a robots.txt that are read; RFC 9309 section 2.5 asks for at least 500 KiB.
MAX_ROBOTS: Final = 500 * 1024
#: Rules of one group that are kept; the largest honest files have some thousand.
MAX_RULES: Final = 20_000
#: Bytes of one path pattern; a longer one can match no URL that we would fetch.
MAX_PATTERN: Final = 8 * 1024
#: Seconds of Crawl-delay that are honoured; more would mean a handful of pages a day, so it is cut there.
MAX_CRAWL_DELAY: Final = 120.0
#: Seconds of Retry-After that are honoured; a server that asks for more is asked once a day.
MAX_RETRY_AFTER: Final = 86_400.0
#: Seconds before the second attempt at a host that failed once; doubled with each further failure.
BACKOFF_BASE: Final = 5.0
#: Seconds of back-off that are never exceeded: a host that comes back is found within two hours.
BACKOFF_MAX: Final = 7_200.0
#: Part of a back-off by which it is varied, so that hosts that failed together are not asked together.
JITTER: Final = 0.25
#: Doublings after which nothing changes any more, far beyond BACKOFF_MAX.
_MAX_DOUBLINGS: Final = 40

_LINE: Final = re.compile(rb"\r\n|\r|\n")
_TOKEN: Final = re.compile(r"[^\s/;,()]+")
#: The keys that matter, with misspellings that are common enough to be honoured: to err there is to be impolite.
_KEYS: Final = {
    "user-agent": "agent",
    "useragent": "agent",
    "user agent": "agent",
    "disallow": "disallow",
    "dissallow": "disallow",
    "dissalow": "disallow",
    "disalow": "disallow",
    "diasllow": "disallow",
    "disallaw": "disallow",
    "allow": "allow",
    "sitemap": "sitemap",
    "site-map": "sitemap",
    "crawl-delay": "delay",
    "crawldelay": "delay",
}
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One line of a group: a path pattern in normal form, and what it says."""

    pattern: str  # escapes in upper case, unreserved characters bare; `*` any run, a closing `$` the end
    allow: bool

    def matches(self, target: str) -> bool:
        """Whether the pattern fits the beginning of a request target in the same normal form."""
        return _fits(self.pattern, target)


@dataclass(frozen=True, kw_only=True, slots=True)
class Robots:
    """What a robots.txt says to one crawler."""

    rules: tuple[Rule, ...] = ()  # longest pattern first, allow before disallow: the first that fits decides
    crawl_delay: float | None = None  # seconds
    sitemaps: tuple[str, ...] = ()  # as written; they belong to no group
    forbids_all: bool = False  # unreachable: complete disallow (2.3.1.4)

    @classmethod
    def parse(cls, body: bytes, agent: str) -> Robots:
        """Read a robots.txt for a crawler's user agent (or its product token alone). Any bytes give an answer.

        Groups of the same product token are joined; without one for us the group `*` holds (RFC 9309 section 2.2.1).
        """
        return _choose(_lines(body), product_token(agent))

    def allowed(self, url: str) -> bool:
        """Whether a URL may be fetched. robots.txt itself always may (section 2.2.2), what is no URL never."""
        try:
            target = _settle(target_of(normalize(url)))
        except InvalidValue:
            return False
        if target.partition("?")[0] == "/robots.txt":
            return True
        if self.forbids_all:
            return False
        return next((rule.allow for rule in self.rules if rule.matches(target)), True)


ALLOW_ALL: Final = Robots()
FORBID_ALL: Final = Robots(forbids_all=True)


def robots_policy(status: int | None, body: bytes, agent: str) -> Robots:
    """What follows from the answer to the request for robots.txt (RFC 9309 section 2.3.1).

    `status` is that of the last hop, None where no answer came; `body` its decoded entity body. 2xx is read; a
    redirect that led nowhere and 4xx allow all; 5xx and silence forbid all, and so does 429, by which a server says
    that it has too much to do (the RFC lets a crawler take it as leave, but does not ask it to).
    """
    if status is None or status >= 500 or status == 429 or status < 200:
        return FORBID_ALL
    if status < 300:
        return Robots.parse(body, agent)
    return ALLOW_ALL


def product_token(agent: str) -> str:
    """The product token of a user agent: `Pressmark/0.1 (+mail)` gives `pressmark` (section 2.2.1)."""
    match = _TOKEN.match(agent.strip())
    return match[0].lower() if match else ""


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After field (RFC 9110 section 10.2.3): a number, or a date; at least 0, bounded.

    None where there is no field or it says nothing readable. `now` is aware.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), MAX_RETRY_AFTER)


def backoff(failures: int, *, seed: str, base: float = BACKOFF_BASE, most: float = BACKOFF_MAX) -> float:
    """Seconds to wait after so many failures in a row: doubled each time, varied by a jitter that `seed` decides.

    0 without a failure. The same arguments give the same answer, in every process.
    """
    if failures <= 0:
        return 0.0
    digest = hashlib.sha256(f"{seed}\n{failures}".encode("utf-8", "replace")).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    seconds = base * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
    return min(seconds, most) * (1.0 - JITTER + 2.0 * JITTER * share)


# -- reading robots.txt -------------------------------------------------------------------------------------------


def _lines(body: bytes) -> list[tuple[str, str]]:
    """The lines that matter, as (key, value)."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    if len(body) > MAX_ROBOTS:  # the last line may be cut in half, and half a rule is another rule
        body = body[:MAX_ROBOTS]
        body = body[: max(body.rfind(b"\n"), body.rfind(b"\r"), 0)]
    found: list[tuple[str, str]] = []
    for raw in _LINE.split(body):
        line = raw.partition(b"#")[0].decode("utf-8", "surrogateescape").strip(" \t\0\x0b\x0c")
        name, colon, value = line.partition(":")
        if not colon:  # `Disallow /private` is meant as a rule
            name, _, value = line.partition(" ")
        key = _KEYS.get(name.strip().lower())
        if key is not None:
            found.append((key, value.strip()))
    return found


@dataclass(slots=True)
class _Group:
    rules: dict[Rule, None]
    delay: float | None = None


def _choose(lines: Sequence[tuple[str, str]], token: str) -> Robots:
    """Join the groups for the token, else those for `*`."""
    groups: dict[str, _Group] = {}
    agents: list[str] = []
    sitemaps: list[str] = []
    in_rules = False
    for key, value in lines:
        if key == "agent":
            if in_rules:
                agents, in_rules = [], False
            name = "*" if value.startswith("*") else product_token(value)
            if name in ("*", token):
                agents.append(name)
                groups.setdefault(name, _Group(rules={}))
        elif key == "sitemap":
            sitemaps.append(value)
        elif key == "delay":  # no rule of the RFC: it must not end a group's list of agents (section 2.2.4)
            _delay([groups[name] for name in agents], value)
        else:
            in_rules = True
            _rule([groups[name] for name in agents], value, allow=key == "allow")
    group = groups.get(token) or groups.get("*") or _Group(rules={})
    rules = sorted(group.rules, key=lambda rule: (-len(rule.pattern), not rule.allow))
    return Robots(rules=tuple(rules), crawl_delay=group.delay, sitemaps=tuple(dict.fromkeys(sitemaps)))


def _rule(groups: Sequence[_Group], value: str, *, allow: bool) -> None:
    if not value or len(value) > MAX_PATTERN:  # an empty pattern forbids nothing
        return
    if not value.startswith(("/", "*")):
        value = f"/{value}"
    rule = Rule(pattern=re.sub(r"\*+", "*", _settle(value)), allow=allow)
    for group in groups:
        if len(group.rules) < MAX_RULES:
            group.rules[rule] = None


def _delay(groups: Sequence[_Group], value: str) -> None:
    try:
        seconds = float(value.replace(",", "."))
    except ValueError:
        return
    if 0.0 <= seconds < float("inf"):
        for group in groups:
            group.delay = max(group.delay or 0.0, min(seconds, MAX_CRAWL_DELAY))


def _settle(path: str) -> str:
    """The normal form in which patterns and targets are compared (section 2.2.2).

    Octets beyond ASCII are escaped, escapes of unreserved characters undone, the others written in upper case.
    """

    def undo(match: re.Match[bytes]) -> bytes:
        octet = int(match[1], 16)
        return bytes([octet]) if octet in _UNRESERVED else match[0].upper()

    octets = _ESCAPE.sub(undo, path.encode("utf-8", "surrogateescape"))
    return "".join(chr(octet) if 0x20 < octet < 0x7F else f"%{octet:02X}" for octet in octets)


def _fits(pattern: str, target: str) -> bool:
    """Match `*` and a closing `$` by finding the pieces one after the other: no backtracking, so no slow pattern."""
    anchored = pattern.endswith("$")
    pieces = (pattern[:-1] if anchored else pattern).split("*")
    if len(pieces) == 1:
        return target == pieces[0] if anchored else target.startswith(pieces[0])
    if not target.startswith(pieces[0]):
        return False
    at = len(pieces[0])
    for piece in pieces[1:-1]:
        found = target.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    last = pieces[-1]
    if anchored:
        return len(target) - len(last) >= at and target.endswith(last)
    return target.find(last, at) >= 0

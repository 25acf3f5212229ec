"""Fetching, politely: robots.txt first, one turn at a host at a time, each redirect a capture of its own; all is kept.

How one exchange is made is left to `ingest.recorder`, what pace is polite to `ingest.manners` and `ingest.gates`, what
is fetched when to `crawler`.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from ingest import walls
from ingest.batches import LINGER, Batcher
from ingest.gates import Gates, HostBusy
from ingest.manners import Robots, backoff, retry_after, robots_policy
from ingest.pipeline.claims import CatalogClaims
from ingest.pipeline.values import CrawlSettings, Tally
from ingest.recorder import Cookies, Recorder
from schemas.captures import Capture, Context, Ending, Exchange, Role
from schemas.errors import InvalidValue, Refused, SegmentElsewhere
from schemas.http1 import parse_response
from schemas.instants import to_micros
from schemas.urls import origin_of
from storage.archive import Archive
from storage.codings import decode
from storage.events import location_of, payload_of

#: Hops of one redirect chain; browsers stop at 20, articles need two or three (RFC 9110 15.4 asks for a bound).
MAX_REDIRECTS: Final = 8
MICROS: Final = 1_000_000
#: Microseconds for which a robots.txt answer may be used (RFC 9309 section 2.4: 24 hours).
ROBOTS_AGE: Final = 24 * 3600 * MICROS
#: Seconds before a robots.txt that could not be had is asked for again; doubled with each further failure.
ROBOTS_AGAIN: Final = 300.0
#: What is read once it is there, and so must be what was asked for.
_READ: Final = frozenset({Role.ARTICLE, Role.HOME, Role.FEED, Role.SITEMAP})
#: The beginnings of answers that say that there is too much to do (RFC 6585 section 4, RFC 9110 15.6.4).
_OVERLOADED: Final = re.compile(rb"HTTP/1\.[01] +(?:429|503)\b")


class Fetcher:
    """Fetches for the outlets of one process. Use within one event loop; `close` at the end."""

    def __init__(
        self,
        archive: Archive,
        settings: CrawlSettings,
        recorder: Recorder,
        *,
        tally: Tally,
        stopping: asyncio.Event,
        say: Callable[[str], None],
    ) -> None:
        """Counts what it fetched in `tally`; waits for nobody once `stopping` is set."""
        self._archive, self._settings, self._tally, self._say = archive, settings, tally, say
        self._recorder = recorder
        self._depositor: Batcher[tuple[Exchange, Context], Capture] = Batcher(archive.deposit, linger=LINGER)
        self._gates = Gates(
            CatalogClaims(archive, settings.host_delay),
            delay=settings.host_delay,
            clock=archive.clock,
            stopping=stopping,
        )
        self._robots: dict[str, tuple[Robots, int]] = {}  # by origin, with the microsecond until which they hold
        self._robots_failures: Counter[str] = Counter()  # by origin, in a row
        self._robots_locks: dict[str, asyncio.Lock] = {}

    def _now(self) -> int:
        return to_micros(self._archive.clock())

    async def close(self) -> None:
        """Give hosts and connections back."""
        self._gates.close()
        await self._recorder.aclose()

    async def fetch(self, url: str, context: Context, headers: Sequence[tuple[str, str]] = ()) -> Capture:
        """Fetch a URL and what it redirects to, each hop a capture of its own; the last one.

        robots.txt is asked before every hop. Raises HostBusy before anything was sent; on a later hop the capture of
        the hop before is returned. Raises Refused for what was redacted.
        """
        capture: Capture | None = None
        seen: set[str] = set()
        cookies = Cookies()  # of this chain alone
        for _ in range(MAX_REDIRECTS + 1):
            try:
                capture = await self._hop(url, context, headers if capture is None else (), cookies)
            except HostBusy:
                if capture is None:
                    raise
                return capture
            seen.add(url)
            if capture.location is None or capture.location in seen:
                break
            item_url = context.item_url or url
            context = Context(
                outlet_id=context.outlet_id,
                role=context.role,
                via=capture.id,
                item_url=item_url,
                hints=context.hints,
            )
            url = capture.location
        assert capture is not None
        return capture

    async def _hop(self, url: str, context: Context, headers: Sequence[tuple[str, str]], cookies: Cookies) -> Capture:
        self._refuse_redacted(url)
        robots = await self._robots_for(url, context.outlet_id)
        if not robots.allowed(url):
            denied = Exchange(
                url=url,
                started=self._archive.clock(),
                ending=Ending.ROBOTS_DENIED,
                detail=f"robots.txt of {origin_of(url)} forbids it to {self._settings.user_agent}",
            )
            return await self._keep(denied, context)
        return await self._exchange(url, context, headers, cookies)

    async def _exchange(
        self,
        url: str,
        context: Context,
        headers: Sequence[tuple[str, str]] = (),
        cookies: Cookies | None = None,
    ) -> Capture:
        host = _host(url)
        async with self._gates.turn(host):
            exchange = await self._recorder.fetch(url, headers=headers, cookies=cookies)
            overloaded = _OVERLOADED.match(exchange.response) is not None
            wait = parse_response(exchange.response).get("retry-after") if overloaded else None
            answered = exchange.ending.has_response and not overloaded
            self._gates.report(host, ok=answered, retry_after=retry_after(wait, self._archive.clock()))
        return await self._keep(exchange, replace(context, wall=_wall_of(exchange, context)))

    def _refuse_redacted(self, *urls: str | None, payload: str | None = None) -> None:
        """Raises Refused for an address or payload that was redacted: neither asked for nor kept again."""
        index = self._archive.refused(*urls, payload=payload)
        if index is not None:
            raise Refused(f"what redaction {index} took down is not taken in again")

    async def _keep(self, exchange: Exchange, context: Context) -> Capture:
        answer = payload_of(exchange)
        if answer is not None and answer.digest is not None:
            payload = str(answer.digest) if answer.length else None
            self._refuse_redacted(location_of(answer.view, exchange.url), payload=payload)
        capture = await self._depositor.put((exchange, context))
        if capture.kind == "attempt":
            self._tally.attempts[capture.ending.value] += 1
        else:
            self._tally.fetched[capture.role.value] += 1
            if capture.status is not None and capture.status != 304 and not 200 <= capture.status < 300:
                self._tally.statuses[capture.status] += 1
        return capture

    async def _robots_for(self, url: str, outlet_id: str | None) -> Robots:
        """The rules of an origin: of this process, of the archive's newest capture of the last 24 hours, or fetched.

        Raises HostBusy where they could not be had: that forbids everything (RFC 9309 section 2.3.1.4), but it is no
        rule that would be remembered for a day.
        """
        origin = origin_of(url)
        async with self._robots_locks.setdefault(origin, asyncio.Lock()):
            known = self._robots.get(origin)
            if known is None or self._now() > known[1]:
                known = await self._kept_robots(origin) or await self._fetch_robots(origin, outlet_id)
                self._robots[origin] = known
                self._gates.set_crawl_delay(_host(url), known[0].crawl_delay)
            if known[0].forbids_all:
                raise HostBusy(_host(url), known[1], "its robots.txt could not be had")
            return known[0]

    async def _kept_robots(self, origin: str) -> tuple[Robots, int] | None:
        with self._archive.catalog.read() as tx:
            capture = next(iter(tx.captures.for_url(f"{origin}/robots.txt")), None)
        if capture is None or not capture.usable or self._now() - to_micros(capture.date) > ROBOTS_AGE:
            return None
        try:
            body, _ = await asyncio.to_thread(self._archive.entity, capture)
        except SegmentElsewhere:
            return None
        robots = robots_policy(capture.status, body, agent=self._settings.user_agent)
        return robots, to_micros(capture.date) + ROBOTS_AGE

    async def _fetch_robots(self, origin: str, outlet_id: str | None) -> tuple[Robots, int]:
        """RFC 9309 section 2.3: redirects are followed, 4xx allows all, 5xx and silence forbid all."""
        url, via = f"{origin}/robots.txt", None
        for _ in range(MAX_REDIRECTS):
            capture = await self._exchange(url, Context(outlet_id=outlet_id, role=Role.ROBOTS, via=via))
            if capture.location is None:
                break
            url, via = capture.location, capture.id
        status, body = capture.status, b""
        if capture.kind != "attempt" and status is not None and 200 <= status < 300:
            try:
                body, _ = await asyncio.to_thread(self._archive.entity, capture)
            except InvalidValue as error:
                self._say(f"{url} cannot be decoded and so forbids all: {error}")
                status = None
        robots = robots_policy(status, body, agent=self._settings.user_agent)
        if not robots.forbids_all:
            self._robots_failures.pop(origin, None)
            return robots, self._now() + ROBOTS_AGE
        self._robots_failures[origin] += 1
        wait = backoff(self._robots_failures[origin], seed=origin, base=ROBOTS_AGAIN)
        return robots, self._now() + round(wait * MICROS)


def _wall_of(exchange: Exchange, context: Context) -> str | None:
    """What stands where the page should, as far as the answer's beginning tells; None for what nobody reads."""
    if exchange.ending is not Ending.COMPLETE or context.role not in _READ:
        return None
    view = parse_response(exchange.response)
    try:
        body, _ = decode(view, walls.WINDOW)
    except InvalidValue:  # coded as nobody can read: reading it will say so
        body = b""
    wall = walls.wall_of(url=exchange.url, status=view.status, headers=view.headers, body=body, asked=context.item_url)
    return None if wall == "soft404" and context.role is not Role.ARTICLE else wall


def _host(url: str) -> str:
    """Host and port: what one connection goes to."""
    return urlsplit(url).netloc

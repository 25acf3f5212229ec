"""Where an outlet announces its articles, found by looking at it."""

from __future__ import annotations

import asyncio
import contextlib

from ingest import discover
from ingest.gates import HostBusy
from ingest.pipeline.crawler import Crawler
from ingest.pipeline.values import words_of
from schemas.captures import Capture, Context, Role
from schemas.errors import InvalidValue
from schemas.outlets import Outlet, Source
from schemas.urls import origin_of


async def find_sources(crawler: Crawler, outlet: Outlet) -> tuple[tuple[Source, ...], str | None]:
    """Look at an outlet's homepage and robots.txt for feeds and sitemaps: (sources, what went wrong or None).

    Both exchanges are kept. Without feed or sitemap the homepage itself becomes the source.
    """
    home = (Source(url=outlet.url, kind="home"),)
    try:
        capture = await crawler.fetch(outlet.url, Context(outlet_id=outlet.id, role=Role.HOME))
    except HostBusy as busy:
        return home, busy.message
    found: list[Source] = []
    trouble = None
    if capture.usable:
        try:
            found += discover.feeds_of_home(await _body(crawler, capture), capture.url)
        except InvalidValue as error:
            trouble = f"{outlet.url} cannot be read: {error.message}"
    else:
        trouble = f"{outlet.url} gave {words_of(capture)}"
    robots_url = f"{origin_of(capture.url)}/robots.txt"
    with crawler.archive.catalog.read() as tx:
        robots = next(iter(tx.captures.for_url(robots_url)), None)
    if robots is not None and robots.usable:
        with contextlib.suppress(InvalidValue):  # the crawl will say what is wrong with it
            found += discover.sitemaps_of_robots(await _body(crawler, robots), robots.url)
    unique = {source.url: source for source in found}
    return tuple(unique.values()) or home, trouble


async def _body(crawler: Crawler, capture: Capture) -> bytes:
    body, _ = await asyncio.to_thread(crawler.archive.entity, capture)
    return body

"""`pressmark outlet`: the watch list, whose every change is a record and a log entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli.common import AllowAddress, ArchiveDir, AsJson, emit, opened, say, settings_of, tell
from schemas.errors import UsageError
from schemas.instants import rfc3339
from schemas.outlets import Outlet, OutletChange, Source
from schemas.urls import host_of, normalize

if TYPE_CHECKING:
    from ops.settings import OutletTable, Settings
    from storage.archive import Archive

app = typer.Typer(no_args_is_help=True)


@app.command("add")
def add(
    url: Annotated[str, typer.Argument(help="The outlet's homepage.")],
    name: Annotated[str, typer.Option(help="The outlet's name. Default: its host.")] = "",
    feed: Annotated[list[str] | None, typer.Option(metavar="URL", help="A feed, instead of looking for feeds.")] = None,
    sitemap: Annotated[list[str] | None, typer.Option(metavar="URL", help="A sitemap.")] = None,
    every: Annotated[str, typer.Option(metavar="15m", help="Poll at least this often.")] = "",
    archive: ArchiveDir = None,
    allow_address: AllowAddress = None,
    json: AsJson = False,
) -> None:
    """Watch an outlet: find its feeds and sitemaps."""
    from ops.settings import outlet_table

    table = outlet_table({"url": url, "name": name, "feeds": feed or [], "sitemaps": sitemap or [], "every": every})
    for outlet in add_outlets(archive, [table], allow=allow_address):
        if json:
            emit(_json(outlet))
        else:
            _print(outlet)


def add_outlets(directory: Path | None, tables: Sequence[OutletTable], *, allow: list[str] | None) -> list[Outlet]:
    """Add outlets as settings or the command line name them."""
    import asyncio

    from ops.wiring import extract_pool, need_contact, open_archive

    settings = settings_of(directory, allow)
    wanted = [_outlet(table) for table in tables]
    need_contact(settings, wanted)
    with open_archive(settings, mend=True, say=say) as archive, extract_pool(settings) as pool:
        try:
            return asyncio.run(_add_all(archive, settings, pool, wanted))
        finally:
            archive.seal()


def _outlet(table: OutletTable) -> Outlet:
    from ops.settings import seconds

    url = normalize(table.url if "://" in table.url else f"https://{table.url}")
    domain = host_of(url).removeprefix("www.")
    sources = [Source(url=normalize(u), kind="feed") for u in table.feeds]
    sources += [Source(url=normalize(u), kind="sitemap") for u in table.sitemaps]
    return Outlet(
        id=domain,
        name=table.name or domain,
        url=url,
        domain=domain,
        every=seconds(table.every),
        sources=tuple(sources),
    )


async def _add_all(archive: Archive, settings: Settings, pool: Any, wanted: Sequence[Outlet]) -> list[Outlet]:
    import asyncio

    from ingest.pipeline import find_sources
    from ops.wiring import make_crawler

    crawler = make_crawler(archive, settings, pool, say=say)
    try:
        added = []
        for outlet in wanted:
            outlet = replace(outlet, id=_free_id(archive, outlet))
            if not outlet.sources:
                sources, trouble = await find_sources(crawler, outlet)
                if trouble:
                    say(f"{outlet.id}: {trouble}; its homepage will be polled, or name a feed with --feed")
                outlet = replace(outlet, sources=sources)
            now = archive.clock()
            change = OutletChange(change="add", at=now, outlet=replace(outlet, added=now))
            added.append(await asyncio.to_thread(archive.record_outlet, change))
        return added
    finally:
        await crawler.close()


def _free_id(archive: Archive, outlet: Outlet) -> str:
    """The outlet's domain, or with a number behind it where another outlet has it."""
    with archive.catalog.read() as tx:
        known = {o.id: o for o in tx.outlets.all(removed=True)}
    if any(o.url == outlet.url and o.state != "removed" for o in known.values()):
        raise UsageError(f"{outlet.url} is watched already", remedy="see `pressmark outlet list`")
    number, free = 1, outlet.id
    while free in known:
        number += 1
        free = f"{outlet.id}-{number}"
    return free


@app.command("list")
def list_(archive: ArchiveDir = None, json: AsJson = False) -> None:
    """The outlets that are watched."""
    with opened(archive) as (opened_archive, _), opened_archive.catalog.read() as tx:
        outlets = tx.outlets.all()
    for outlet in outlets:
        if json:
            emit(_json(outlet))
        else:
            tell(f"{outlet.id:32} {outlet.state:8} {len(outlet.sources):3} sources  {outlet.name}")
    if not outlets:
        say("no outlet is watched; add one with `pressmark outlet add URL`")


@app.command("show")
def show(outlet: str, archive: ArchiveDir = None, json: AsJson = False) -> None:
    """One outlet, by id, name or URL."""
    with opened(archive) as (opened_archive, _), opened_archive.catalog.read() as tx:
        found = tx.outlets.find(outlet)
        states = tx.frontier.all_sources(found.id)
        counts = tx.frontier.counts(found.id)
    if json:
        polls = [
            {"url": s.url, "kind": s.kind, "polls": s.polls, "gaps": s.gaps, "failures": s.failures} for s in states
        ]
        emit({**_json(found), "polls": polls, "items": counts})
        return
    _print(found)
    for state in states:
        tell(
            f"  {state.kind:8} {state.url}  {state.polls} polls, {state.gaps} gaps, {state.failures} failures in a row"
        )
    tell("  items: " + (", ".join(f"{n} {s}" for s, n in sorted(counts.items())) or "none yet"))


@app.command("pause")
def pause(outlet: str, archive: ArchiveDir = None) -> None:
    """Stop polling an outlet; what is archived stays."""
    _change(archive, outlet, "pause", "paused")


@app.command("resume")
def resume(outlet: str, archive: ArchiveDir = None) -> None:
    """Poll a paused outlet again."""
    _change(archive, outlet, "resume", "active")


@app.command("remove")
def remove(outlet: str, archive: ArchiveDir = None) -> None:
    """Take an outlet off the watch list; what is archived stays."""
    _change(archive, outlet, "remove", "removed")


def _change(directory: Path | None, text: str, change: str, state: str) -> None:
    with opened(directory, mend=True) as (archive, _):
        with archive.catalog.read() as tx:
            outlet = replace(tx.outlets.find(text), state=state)
        archive.record_outlet(OutletChange(change=change, at=archive.clock(), outlet=outlet))
        archive.seal()
        say(f"{outlet.id} is {state}")


def _json(outlet: Outlet) -> dict[str, Any]:
    value = asdict(outlet)
    value["added"] = rfc3339(outlet.added) if outlet.added else None
    return value


def _print(outlet: Outlet) -> None:
    tell(f"{outlet.id}  {outlet.name}  {outlet.url}  {outlet.state}")
    for source in outlet.sources:
        tell(f"  {source.kind:8} {source.url}")

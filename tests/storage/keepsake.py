"""An archive with something of everything, made once and copied for each test that damages it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from schemas.captures import Capture, Context, Ending, Exchange, Role
from schemas.outlets import OutletChange
from storage.archive import Archive, StorageSettings
from tests.support.archives import ARTICLE, OUTLET, START, exchange, fill, page, read_article, settings, ticking

#: What `make` keeps: captures and attempts, articles, versions of them.
CAPTURES, ARTICLES, VERSIONS = 11, 4, 5


def make(archive: Archive) -> None:
    """Two sealed runs and an open one: articles, a changed one, revisits, a redirect, an attempt, outlet
    changes.
    """
    first = fill(archive)
    archive.seal()
    later = START + timedelta(hours=1)
    changed = page(0, extra=", wet and glad")
    gone = Exchange(url="https://gone.example/", started=later, ending=Ending.DNS, detail="no such name")
    moved = exchange("/old", b"", status="301 Moved Permanently", at=later, head="Location: /1\r\n")
    batch = [
        (exchange("/0", changed, at=later), ARTICLE),
        (exchange("/1", page(1), at=later), ARTICLE),
        (_not_modified(first[2], later), replace(ARTICLE, refers_to=first[2].id)),
        (moved, Context(outlet_id=OUTLET.id, role=Role.ARTICLE, hints={"title": "Zwölf \u0000 Boxkämpfer"})),
        (gone, Context(outlet_id=None, role=Role.OTHER)),
    ]
    new = archive.deposit(batch)
    for capture in new[:3]:
        archive.deposit_article(read_article(archive, capture), capture)
    renamed = replace(OUTLET, name="The Old Lantern")
    archive.record_outlet(OutletChange(change="update", at=later, outlet=renamed))
    archive.seal()
    again = later + timedelta(hours=1)
    last = archive.deposit([(exchange("/9", page(9), at=again), ARTICLE), (exchange("/1", page(1), at=again), ARTICLE)])
    archive.deposit_article(read_article(archive, last[0]), last[0])
    archive.deposit([(exchange("/missing", b"no", status="404 Not Found", at=again), ARTICLE)])
    archive.integrate()


def _not_modified(original: Capture, at: datetime) -> Exchange:
    sent = exchange("/2", b"")
    return replace(sent, url=original.url, started=at, response=b"HTTP/1.1 304 Not Modified\r\n\r\n")


def copy(template: Path, folder: Path) -> StorageSettings:
    """A copy of an archive that nobody has open; settings to open it with."""
    shutil.copytree(template, folder)
    return replace(settings(folder), clock=ticking(START + timedelta(days=1)))  # after all that was captured

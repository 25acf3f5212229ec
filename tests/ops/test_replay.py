"""A sealed segment in the hands of strangers: pywb replays it, wacz packs it, FastWARC and warcio read every record.

They have an environment of their own (`make test-interop`), but for the two readers, which the tests bring along.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from warcio.archiveiterator import ArchiveIterator

from ingest.recorder import Recorder, RecorderSettings
from ops.demo import faults
from schemas.captures import Capture, Context, Role
from storage.archive import Archive
from storage.catalog.values import RecordRow
from tests.house.test_oracles import environment
from tests.support.archives import page, settings
from tests.support.newsroom import Newsroom, dead_port

HOST = "lantern.example"
COLLECTION = "news"
#: Answers whose odd framing a replay has to understand to give the page back (not those that pywb reads amiss:
#: trailers it gives back as a part of the page, and of several gzip members the first).
ODD = ("until_close", "http10", "odd_headers", "several_informational")
#: Seconds until a replay server is called dead; it starts in three on an idle machine.
PATIENCE = 60.0


class Kept:
    """A segment, what the catalog says of its records, and the captures in it."""

    def __init__(self, path: Path, records: list[RecordRow], captures: list[Capture], bodies: list[bytes]) -> None:
        self.path, self.records, self.captures, self.bodies = path, records, captures, bodies


@pytest.fixture
def kept(newsroom: Newsroom, tmp_path: Path) -> Iterator[Kept]:
    """Pages in plain, chunked, gzip and odd framing, a redirect, and each page again, which gives revisits."""
    newsroom.page("/plain", page(1), host=HOST)
    newsroom.page("/chunked", page(2), host=HOST, chunked=True)
    newsroom.page("/gzip", page(3), host=HOST, gzip="always")
    newsroom.redirect("/moved", "/plain", host=HOST)
    for number, name in enumerate(ODD):
        (case,) = (case for case in faults.CASES if case.name == name)
        newsroom.raw(f"/{name}", case.script(page(10 + number)), host=HOST)
    paths = ("/plain", "/chunked", "/gzip", "/moved", *(f"/{name}" for name in ODD))
    clock = settings(tmp_path).clock
    limits = RecorderSettings(
        user_agent="pressmark-test", allow_addresses=("127.0.0.0/8",), connect_to=(newsroom.connect_to,), clock=clock
    )
    with Archive.create(settings(tmp_path)) as archive:

        async def fetch() -> list[Capture]:
            captures = []
            async with Recorder(limits) as recorder:
                for path in (*paths, *paths):
                    exchange = await recorder.fetch(f"http://{HOST}{path}")
                    captures += archive.deposit([(exchange, Context(outlet_id=None, role=Role.ARTICLE))])
            return captures

        captures = asyncio.run(fetch())
        bodies = [archive.entity(capture)[0] for capture in captures]
        archive.seal()
        (path,) = (tmp_path / "objects" / "warc").rglob("*.warc.gz")
        with archive.catalog.read() as tx:
            records = list(tx.records.in_segment(path.name.removesuffix(".warc.gz")))
        again = ["response" if path == "/moved" else "revisit" for path in paths]  # revisits are of 2xx answers alone
        assert [capture.kind for capture in captures] == ["response"] * len(paths) + again
        yield Kept(path, records, captures, bodies)


def test_warcio_and_fastwarc_read_every_record(kept: Kept) -> None:
    wanted = [(f"<{row.record_id}>", row.type) for row in kept.records]
    with kept.path.open("rb") as stream:
        theirs = [
            (record.rec_headers.get_header("WARC-Record-ID"), record.rec_type)
            for record in ArchiveIterator(stream)  # (it hashes chunk framing as payload; its digests are not asked)
            if record.content_stream().read() is not None
        ]
    assert theirs == wanted
    with kept.path.open("rb") as stream:
        fast = [
            (record.headers["WARC-Record-ID"], record.headers["WARC-Type"])
            for record in FastIterator(stream, strict_mode=True, verify_digests=True)
        ]
    assert fast == wanted


@contextmanager
def wayback(python: Path, folder: Path, segment: Path) -> Iterator[Callable[[str], tuple[int, bytes]]]:
    """pywb's server over a collection that holds the segment: a function from a path to (status, body)."""
    tools = python.parent
    for command in (["init", COLLECTION], ["add", COLLECTION, str(segment)]):
        subprocess.run([tools / "wb-manager", *command], cwd=folder, check=True, capture_output=True)
    port = dead_port()
    server = subprocess.Popen(
        [tools / "wayback", "-b", "127.0.0.1", "-p", str(port)], cwd=folder, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def get(path: str) -> tuple[int, bytes]:
        try:
            with opener.open(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    opener = urllib.request.build_opener(_Stay)
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                get("/")
                break
            except OSError:
                assert server.poll() is None, "the replay server ended"
                assert time.monotonic() < until, "the replay server does not answer"
                time.sleep(0.2)
        yield get
    finally:
        server.kill()
        server.wait()


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows nothing: a redirect that is replayed is looked at as it is."""

    def redirect_request(self, *_: Any) -> None:
        return None


@pytest.mark.interop
def test_pywb_indexes_and_replays_it_revisits_included(kept: Kept, tmp_path: Path) -> None:
    folder = tmp_path / "replay"
    folder.mkdir()
    with wayback(environment("replay"), folder, kept.path) as get:
        _, lines = get(f"/{COLLECTION}/cdx?url=http://{HOST}/&matchType=host&output=json")
        index = [json.loads(line) for line in lines.splitlines()]
        assert sorted((row["url"], row["mime"] == "warc/revisit") for row in index) == sorted(
            (capture.url, capture.kind == "revisit") for capture in kept.captures
        )
        for capture, body in zip(kept.captures, kept.bodies, strict=True):
            status, replayed = get(f"/{COLLECTION}/{capture.date:%Y%m%d%H%M%S}id_/{capture.url}")
            assert status == capture.status, capture.url
            assert replayed == body, f"{capture.kind} of {capture.url}"


@pytest.mark.interop
def test_a_wacz_made_of_it_opens(kept: Kept, tmp_path: Path) -> None:
    tool, target = environment("replay").parent / "wacz", tmp_path / "news.wacz"
    subprocess.run([tool, "create", "-o", target, "--detect-pages", kept.path], check=True, capture_output=True)
    checked = subprocess.run([tool, "validate", "-f", target], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    with zipfile.ZipFile(target) as packed:
        (inside,) = (name for name in packed.namelist() if name.startswith("archive/"))
        assert packed.read(inside) == kept.path.read_bytes()
        assert {"datapackage.json", "indexes/index.cdx.gz"} <= set(packed.namelist())

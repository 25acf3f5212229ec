"""Fetch, keep as WARC with digests, sync, row: this capture stage beside warcio's `capture_http` and Wget, on loopback.

    python -m ops.bench.capture [--rounds N]        the comparison, sent plain and sent gzip-encoded
    python -m ops.bench.capture --memory N          resident memory of ours over N pages
    python -m ops.bench.capture ours|warcio URL N FOLDER   one side, as the comparison runs it

Each side runs in a process of its own and is measured from outside, its start and its imports included; the server's
work is not counted. What a side's start costs is shown too (a run of one page), and what a page costs beside it: a
crawl runs for hours, a benchmark for a minute. Ours opens an archive that was made before, as a crawl does, and has as
many fetches under way as `[crawl] concurrency` by default. In one respect a crawl is harder: here all of them go to one
quick host without a pause, so that many captures share a group commit; where few answer at a time the two transactions
and two syncs of a batch weigh more. The rivals sync nothing and keep no rows, one fetch at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import shutil
import sys
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from ops.bench.measure import Run, archive_settings, compile_all, resident, run, run_python, table

if TYPE_CHECKING:  # the sides, which are measured, need none of it
    from ops.demo.wire import WireServer

#: Fetches of ours under way at once: what `[crawl] concurrency` is by default.
TASKS = 64
#: How often each page is fetched unless said otherwise: so often that a start, once in hours of a crawl, weighs little.
ROUNDS = 30
#: How often the memory run says what it holds.
POINTS = 10
#: RFC 1952 framing.
GZIP_WBITS = 31


def serve(*, gzip_too: bool) -> tuple[WireServer, int]:
    """A server of all pages at /0, /1, …; gzip-encoded where the client takes it and `gzip_too` says so."""
    from ops.bench.pages import load
    from ops.demo.messages import Request, accepts_gzip, response
    from ops.demo.wire import Answer, Send, WireServer

    _, pages = load()
    begun = [_begin(page.html) for page in pages] if gzip_too else []

    def answer(request: Request) -> Answer:
        if request.path == "/robots.txt":
            return Answer(steps=(Send(data=response(404)),))
        number = int(request.path.strip("/"))
        # A token of its own makes every fetch new bytes, as ads and timestamps do on real pages.
        token = b"<!-- %d -->" % number
        headers = [("Content-Type", "text/html; charset=utf-8")]
        if gzip_too and accepts_gzip(request):
            body = _finish(*begun[number % len(pages)], token)
            headers.append(("Content-Encoding", "gzip"))
        else:
            body = pages[number % len(pages)].html + token
        return Answer(steps=(Send(data=response(200, body=body, headers=headers)),))

    return WireServer(answer, remember=False), len(pages)


def _begin(page: bytes) -> tuple[bytes, zlib._Compress]:
    """A page deflated but for its end, so that the server keeps no client waiting for its own deflate."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, GZIP_WBITS)
    return deflate.compress(page) + deflate.flush(zlib.Z_SYNC_FLUSH), deflate


def _finish(begun: bytes, deflate: zlib._Compress, token: bytes) -> bytes:
    own = deflate.copy()
    return begun + own.compress(token) + own.flush()


def make(folder: Path) -> None:
    """An archive for `ours` to open: a process of its own, not counted."""
    from storage.archive import Archive

    Archive.create(archive_settings(folder)).close()


def ours(base: str, count: int, folder: Path, points: int = 0) -> None:
    """The recorder and the archive's front door; with `points`, the resident memory at so many of them."""
    from ingest.batches import LINGER, Batcher
    from ingest.recorder import Recorder, RecorderSettings
    from ops.process import settle
    from schemas.captures import Capture, Context, Exchange, Role
    from storage.archive import Archive, system_clock

    settle()  # as `crawl` and `run` do
    archive = Archive.open(archive_settings(folder))
    settings = RecorderSettings(user_agent="pressmark-bench", allow_addresses=("127.0.0.0/8",), clock=system_clock)

    async def work() -> list[tuple[int, int]]:
        deposits: Batcher[tuple[Exchange, Context], Capture] = Batcher(archive.deposit, linger=LINGER)
        numbers = iter(range(count))
        held: list[tuple[int, int]] = []
        async with Recorder(settings) as recorder:

            async def task() -> None:
                for number in numbers:
                    exchange = await recorder.fetch(f"{base}/{number}")
                    capture = await deposits.put((exchange, Context(outlet_id="bench", role=Role.OTHER)))
                    if capture.status != 200:
                        raise RuntimeError(f"page {number}: {capture.ending}")
                    if points and (number + 1) % (count // points) == 0:
                        held.append((number + 1, resident()))

            await asyncio.gather(*(task() for _ in range(TASKS)))
        return held

    held = asyncio.run(work())
    archive.rotate(force=True)
    archive.close()
    size = sum(p.stat().st_size for p in (folder / "objects").rglob("*.warc.gz"))
    print(json.dumps({"bytes": size, "peak": resident(peak=True), "resident": held}))


def warcio(base: str, count: int, folder: Path) -> None:
    """warcio's capture of urllib3, as its documentation shows it."""
    # It replaces http.client's classes, so it must come first.
    capture_http = importlib.import_module("warcio.capture_http").capture_http
    urllib3 = importlib.import_module("urllib3")
    target = folder / "capture.warc.gz"
    pool = urllib3.PoolManager()
    with capture_http(str(target)):
        for number in range(count):
            answer = pool.request("GET", f"{base}/{number}", headers={"Accept-Encoding": "gzip"})
            if answer.status != 200:
                raise RuntimeError(f"page {number}: {answer.status}")
    print(json.dumps({"bytes": target.stat().st_size, "peak": resident(peak=True)}))


def wget(base: str, count: int, folder: Path, *, gzip_too: bool) -> Run | None:
    """Wget with --warc-file; None where it is not installed."""
    if shutil.which("wget") is None:
        return None
    (folder / "urls").write_text("".join(f"{base}/{n}\n" for n in range(count)))
    done = run([
        *("wget", "-q", "-i", str(folder / "urls"), "-O", str(folder / "out"), f"--warc-file={folder / 'capture'}"),
        *(["--header=Accept-Encoding: gzip"] if gzip_too else []), "--no-warc-keep-log",
    ])  # fmt: skip
    size = sum(p.stat().st_size for p in folder.glob("capture*.warc.gz"))
    return Run(cpu=done.cpu, peak=done.peak, output={"bytes": size})


def compare(rounds: int) -> None:
    """Both ways of sending, all sides in turn."""
    from ops.bench.pages import load

    what, _ = load()
    compile_all()
    for gzip_too in (False, True):
        server, pages = serve(gzip_too=gzip_too)
        count = pages * rounds
        server.start()
        try:
            rows = _sides(server.base_url, count, gzip_too=gzip_too)
        finally:
            server.stop()
        sent = "gzip-encoded and kept so" if gzip_too else "plain"
        table(
            f"capture: {count} fetches of {what}, sent {sent}",
            ("side", "pages/CPU-s", "ours is", "start CPU-s", "then ms/page", "ours is", "bytes/page", "peak MB"),
            rows,
        )


def one_side(name: str, base: str, count: int, *, gzip_too: bool, points: int = 0) -> Run | None:
    """One side over `count` pages, in a folder that is gone afterwards; None where it is not installed."""
    folder = Path(tempfile.mkdtemp(prefix="pressmark-bench-"))
    try:
        if name == "wget":
            return wget(base, count, folder, gzip_too=gzip_too)
        if name == "ours":
            run_python("ops.bench.capture", "make", base, "0", str(folder))
        return run_python("ops.bench.capture", name, base, str(count), str(folder), str(points))
    finally:
        shutil.rmtree(folder)


def _sides(base: str, count: int, *, gzip_too: bool) -> list[tuple[object, ...]]:
    results: dict[str, tuple[Run, float]] = {}  # with the CPU seconds of its start
    for name in ("ours", "warcio", "wget"):
        done, start = (one_side(name, base, n, gzip_too=gzip_too) for n in (count, 1))
        if done is not None and start is not None:
            results[name] = (done, start.cpu)
    each = {name: (done.cpu - start) / (count - 1) for name, (done, start) in results.items()}
    best = results["ours"][0].cpu
    return [
        (
            name,
            f"{count / done.cpu:.0f}",
            f"{done.cpu / best:.2f}x",
            f"{start:.2f}",
            f"{1000 * each[name]:.2f}",
            f"{each[name] / each['ours']:.2f}x",
            f"{done.output['bytes'] / count:.0f}",
            ("" if "peak" in done.output else "<= ") + str(done.peak // 1_000_000),
        )
        for name, (done, start) in results.items()
    ]


def memory(count: int) -> None:
    """What ours holds after each tenth of `count` pages, sent gzip-encoded: flat, or it would not end well."""
    server, _ = serve(gzip_too=True)
    server.start()
    try:
        done = one_side("ours", server.base_url, count, gzip_too=True, points=POINTS)
    finally:
        server.stop()
    assert done is not None
    rows = [(str(pages), f"{held / 1e6:.1f}") for pages, held in done.output["resident"]]
    table(
        f"memory of ours over {count} pages ({1000 * done.cpu / count:.2f} CPU-ms each)",
        ("pages", "resident MB"),
        [*rows, ("peak", f"{done.peak / 1e6:.1f}")],
    )


def main() -> None:
    """Entry point."""
    if len(sys.argv) > 1 and sys.argv[1] in ("make", "ours", "warcio"):
        side, base, count, folder, *points = sys.argv[1:]
        if side == "make":
            make(Path(folder))
        elif side == "ours":
            ours(base, int(count), Path(folder), *map(int, points))
        else:
            warcio(base, int(count), Path(folder))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each page is fetched")
    parser.add_argument("--memory", type=int, metavar="N", help="show resident memory over N pages instead")
    options = parser.parse_args()
    if options.memory:
        memory(options.memory)
    else:
        compare(options.rounds)


if __name__ == "__main__":
    main()

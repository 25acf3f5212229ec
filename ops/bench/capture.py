"""Fetch, keep as WARC with digests, sync, row: this capture stage beside warcio's `capture_http` and Wget, on loopback.

    python -m ops.bench.capture [--rounds N]        the comparison, sent plain and sent gzip-encoded
    python -m ops.bench.capture ours|warcio URL N   one side, as the comparison runs it

Each side runs in a process of its own and is measured from outside; the server's work is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

from ops.bench.measure import Run, run, run_python, table
from ops.bench.pages import load
from ops.demo.messages import Request, accepts_gzip, gzipped, response
from ops.demo.wire import Answer, Send, WireServer

#: Fetches of ours under way at once, as a crawl has hosts.
TASKS = 16


def serve(*, gzip_too: bool) -> tuple[WireServer, int]:
    """A server of all pages at /0, /1, …; gzip-encoded where the client takes it and `gzip_too` says so."""
    _, pages = load()

    def answer(request: Request) -> Answer:
        if request.path == "/robots.txt":
            return Answer(steps=(Send(data=response(404)),))
        number = int(request.path.strip("/"))
        # A token of its own makes every fetch new bytes, as ads and timestamps do on real pages.
        body = pages[number % len(pages)].html + b"<!-- %d -->" % number
        headers = [("Content-Type", "text/html; charset=utf-8")]
        if gzip_too and accepts_gzip(request):
            body = gzipped(body)
            headers.append(("Content-Encoding", "gzip"))
        return Answer(steps=(Send(data=response(200, body=body, headers=headers)),))

    return WireServer(answer, remember=False), len(pages)


def ours(base: str, count: int, folder: Path) -> None:
    """The recorder and the archive's front door."""
    from ingest.batches import LINGER, Batcher
    from ingest.recorder import Recorder, RecorderSettings
    from schemas.captures import Capture, Context, Exchange, Role
    from storage.archive import Archive, StorageSettings, system_clock

    archive = Archive.create(
        StorageSettings(
            directory=folder,
            catalog_url=f"sqlite:///{folder / 'catalog.sqlite'}",
            objects_url=str(folder / "objects"),
            origin="pressmark.invalid/bench",
        )
    )
    settings = RecorderSettings(user_agent="pressmark-bench", allow_addresses=("127.0.0.0/8",), clock=system_clock)

    async def work() -> None:
        deposits: Batcher[tuple[Exchange, Context], Capture] = Batcher(archive.deposit, linger=LINGER)
        numbers = iter(range(count))
        async with Recorder(settings) as recorder:

            async def task() -> None:
                for number in numbers:
                    exchange = await recorder.fetch(f"{base}/{number}")
                    capture = await deposits.put((exchange, Context(outlet_id="bench", role=Role.OTHER)))
                    if capture.status != 200:
                        raise RuntimeError(f"page {number}: {capture.ending}")

            await asyncio.gather(*(task() for _ in range(TASKS)))

    asyncio.run(work())
    archive.rotate(force=True)
    archive.close()
    size = sum(p.stat().st_size for p in (folder / "objects").rglob("*.warc.gz"))
    print(json.dumps({"bytes": size}))


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
    print(json.dumps({"bytes": target.stat().st_size}))


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
    what, _ = load()
    for gzip_too in (False, True):
        server, pages = serve(gzip_too=gzip_too)
        count = pages * rounds
        server.start()
        try:
            rows = _sides(server.base_url, pages, rounds, gzip_too=gzip_too)
        finally:
            server.stop()
        sent = "gzip-encoded and kept so" if gzip_too else "plain"
        table(
            f"capture: {count} fetches of {what}, sent {sent}",
            ("side", "pages/CPU-s", "ours is", "bytes/page", "peak MB"),
            rows,
        )


def _sides(base: str, pages: int, rounds: int, *, gzip_too: bool) -> list[tuple[object, ...]]:
    count = pages * rounds
    results: dict[str, Run] = {}
    for name in ("ours", "warcio", "wget"):
        folder = Path(tempfile.mkdtemp(prefix="pressmark-bench-"))
        try:
            if name == "wget":
                done = wget(base, count, folder, gzip_too=gzip_too)
            else:
                done = run_python("ops.bench.capture", name, base, str(count), str(folder))
            if done is not None:
                results[name] = done
        finally:
            shutil.rmtree(folder)
    best = results["ours"].cpu
    return [
        (name, f"{count / r.cpu:.0f}", f"{r.cpu / best:.2f}x", f"{r.output['bytes'] / count:.0f}", r.peak // 1_000_000)
        for name, r in results.items()
    ]


def main() -> None:
    """Entry point."""
    if len(sys.argv) > 1 and sys.argv[1] in ("ours", "warcio"):
        side, base, count, folder = sys.argv[1:5]
        {"ours": ours, "warcio": warcio}[side](base, int(count), Path(folder))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each page is fetched")
    compare(parser.parse_args().rounds)


if __name__ == "__main__":
    main()

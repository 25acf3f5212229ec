"""Reading everything again: this audit beside warcio, FastWARC and `zcat | sha256sum` on the same segment.

    python -m ops.bench.audit [--rounds N]          the comparison
    python -m ops.bench.audit ours FOLDER           our side, as the comparison runs it
    python -m ops.bench.audit make FOLDER ROUNDS    the archive that all sides read

The audit does more than the others: it also holds every record against catalog and log. Each side is a process of its
own, measured whole from outside; megabytes are those of the uncompressed records. The comparing process stays small,
for the system counts what a process held before it became another as its own. Whether damage is found is left to the
tests.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ops.bench.measure import Run, run, run_python, table

if TYPE_CHECKING:
    from storage.archive import StorageSettings

#: Captures of one group commit while the archive is made.
GROUP: Final = 32
MEGA: Final = 1_000_000


def settings(folder: Path) -> StorageSettings:
    """An archive in a folder, on SQLite."""
    from storage.archive import StorageSettings

    return StorageSettings(
        directory=folder,
        catalog_url=f"sqlite:///{folder / 'catalog.sqlite'}",
        objects_url=str(folder / "objects"),
        origin="pressmark.invalid/bench",
    )


def make(folder: Path, rounds: int) -> None:
    """Deposit every page so many times, sent plain and unchunked (warcio hashes chunk framing), and seal.

    Prints what they are and how many as JSON.
    """
    from ops.bench.pages import load
    from schemas.captures import Context, Ending, Exchange, Role
    from storage.archive import Archive, system_clock

    what, pages = load()
    batch: list[tuple[Exchange, Context]] = []
    with Archive.create(settings(folder)) as archive:
        for number in range(len(pages) * rounds):
            page = pages[number % len(pages)]
            # A token of its own makes every capture new bytes, as ads and timestamps do on real pages.
            body = page.html + b"<!-- %d -->" % number
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body)
            exchange = Exchange(
                url=f"https://bench.example/{number}",
                started=system_clock(),
                ending=Ending.COMPLETE,
                request=b"GET /%d HTTP/1.1\r\nHost: bench.example\r\n\r\n" % number,
                response=head + body,
                peer="127.0.0.1",
                port=443,
                protocols=("http/1.1",),
            )
            batch.append((exchange, Context(outlet_id="bench", role=Role.OTHER)))
            if len(batch) == GROUP:
                archive.deposit(batch)
                batch.clear()
        archive.deposit(batch)
        archive.seal()
    print(json.dumps({"what": what, "captures": len(pages) * rounds}))


def ours(folder: Path) -> None:
    """Our side: the whole audit; prints what it found as JSON."""
    from storage.archive import Archive
    from storage.fixity import audit

    with Archive.open(settings(folder)) as archive:
        report = audit(archive)
    print(json.dumps({"ok": report.ok, "records": report.records}))


def timed(name: str, segment: Path, folder: Path) -> tuple[Run, float] | None:
    """Run one side; its figures and wall seconds. None where it is not installed."""
    scripts = Path(sys.executable).parent
    warcio, fastwarc = (shutil.which(tool, path=str(scripts)) or shutil.which(tool) for tool in ("warcio", "fastwarc"))
    shell, zcat, sums = (shutil.which(tool) for tool in ("sh", "zcat", "sha256sum"))
    started = time.perf_counter()
    if name == "ours":
        done = run_python("ops.bench.audit", "ours", str(folder))
        if not done.output["ok"]:
            raise RuntimeError("the audit of an archive just made found damage")
    elif name == "warcio check" and warcio:
        done = run([warcio, "check", str(segment)])
    elif name == "fastwarc check" and fastwarc:
        done = run([fastwarc, "check", "--quiet", "--verify-payloads", str(segment)])
    elif name == "zcat | sha256sum" and shell and zcat and sums:
        done = run([shell, "-c", 'zcat "$1" | sha256sum', "sh", str(segment)])
    else:
        return None
    return done, time.perf_counter() - started


SIDES: Final = ("ours", "fastwarc check", "warcio check", "zcat | sha256sum")


def compare(rounds: int) -> None:
    """Make an archive, let every side read it, print."""
    folder = Path(tempfile.mkdtemp(prefix="pressmark-bench-"))
    try:
        made = run_python("ops.bench.audit", "make", str(folder), str(rounds)).output
        (segment,) = (folder / "objects").rglob("*.warc.gz")
        with gzip.open(segment) as stream:
            size = sum(len(part) for part in iter(lambda: stream.read(MEGA), b""))
        results = {name: done for name in SIDES if (done := timed(name, segment, folder)) is not None}
    finally:
        shutil.rmtree(folder)
    base = results["ours"][0].cpu
    table(
        f"audit: {made['captures']} captures of {made['what']}, {size / MEGA:.0f} MB uncompressed, one segment",
        ("side", "ours is", "MB/CPU-s", "MB/s", "peak MB"),
        [
            (name, f"{r.cpu / base:.2f}x", f"{size / MEGA / r.cpu:.0f}", f"{size / MEGA / wall:.0f}", r.peak // MEGA)
            for name, (r, wall) in results.items()
        ],
    )
    for name in SIDES:
        if name not in results:
            print(f"  {name}: not installed")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["ours"]:
        ours(Path(given[1]))
        return
    if given[:1] == ["make"]:
        make(Path(given[1]), int(given[2]))
        return
    parser = argparse.ArgumentParser(prog="python -m ops.bench.audit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4, help="how often each page is deposited")
    compare(parser.parse_args(given).rounds)


if __name__ == "__main__":
    main()

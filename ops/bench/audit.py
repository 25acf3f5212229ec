"""Reading everything again: this audit beside warcio, FastWARC and `zcat | sha256sum` on the same segments.

    python -m ops.bench.audit [--rounds N]          the comparison
    python -m ops.bench.audit ours FOLDER WORKERS   our side, so many segments at once
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

from ops.bench.measure import Run, archive_settings, run, run_python, table

if TYPE_CHECKING:
    from storage.archive import StorageSettings

#: Captures of one group commit while the archive is made.
GROUP: Final = 32
#: Bytes of a segment: enough of them that processes can share, as any archive has.
SEGMENT: Final = 8_000_000
#: Segments that our audit reads at once.
WORKERS: Final = 2
MEGA: Final = 1_000_000


def settings(folder: Path) -> StorageSettings:
    """An archive in a folder, on SQLite."""
    return archive_settings(folder, segment_max_bytes=SEGMENT)


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
                archive.rotate()
                batch.clear()
        archive.deposit(batch)
        archive.seal()
    print(json.dumps({"what": what, "captures": len(pages) * rounds}))


def ours(folder: Path, workers: int) -> None:
    """Our side: the whole audit; prints what it found as JSON."""
    from ops.process import settle
    from storage.archive import Archive
    from storage.fixity import AuditOptions, audit

    settle()  # as `audit` does
    with Archive.open(settings(folder)) as archive:
        report = audit(archive, AuditOptions(workers=workers))
    print(json.dumps({"ok": report.ok, "records": report.records}))


def timed(name: str, joined: Path, folder: Path) -> tuple[Run, float] | None:
    """Run one side; its figures and wall seconds. None where it is not installed."""
    scripts = Path(sys.executable).parent
    warcio, fastwarc = (shutil.which(tool, path=str(scripts)) or shutil.which(tool) for tool in ("warcio", "fastwarc"))
    shell, zcat, sums = (shutil.which(tool) for tool in ("sh", "zcat", "sha256sum"))
    started = time.perf_counter()
    if name in OURS:
        done = run_python("ops.bench.audit", "ours", str(folder), str(OURS[name]))
        if not done.output["ok"]:
            raise RuntimeError("the audit of an archive just made found damage")
    elif name == "warcio check" and warcio:
        done = run([warcio, "check", str(joined)])
    elif name == "fastwarc check" and fastwarc:
        done = run([fastwarc, "check", "--quiet", "--verify-payloads", str(joined)])
    elif name == "zcat | sha256sum" and shell and zcat and sums:
        done = run([shell, "-c", 'zcat "$1" | sha256sum', "sh", str(joined)])
    else:
        return None
    return done, time.perf_counter() - started


OURS: Final = {"ours": WORKERS, "ours-alone": 1}  # segments read at once
SIDES: Final = (*OURS, "fastwarc check", "warcio check", "zcat | sha256sum")


def uncompressed(path: Path) -> int:
    """Bytes of all records of a file."""
    with gzip.open(path) as stream:
        return sum(len(part) for part in iter(lambda: stream.read(MEGA), b""))


def compare(rounds: int) -> None:
    """Make an archive, let every side read it, print."""
    folder = Path(tempfile.mkdtemp(prefix="pressmark-bench-"))
    try:
        made = run_python("ops.bench.audit", "make", str(folder), str(rounds)).output
        segments = sorted((folder / "objects").rglob("*.warc.gz"))
        joined = folder / "joined.warc.gz"  # gzip members one behind the other, as in each segment: some take one file
        with joined.open("wb") as target:
            for segment in segments:
                target.write(segment.read_bytes())
        size = uncompressed(joined)
        results = {name: done for name in SIDES if (done := timed(name, joined, folder)) is not None}
    finally:
        shutil.rmtree(folder)
    base = results[SIDES[0]]
    much = f"{size / MEGA:.0f} MB uncompressed, {len(segments)} segments; ours by {WORKERS} threads"
    table(
        f"audit: {made['captures']} captures of {made['what']}, {much}",
        ("side", "CPU", "wall", "MB/CPU-s", "MB/s", "peak MB"),
        [
            (
                name,
                f"{r.cpu / base[0].cpu:.2f}x",
                f"{wall / base[1]:.2f}x",
                f"{size / MEGA / r.cpu:.0f}",
                f"{size / MEGA / wall:.0f}",
                r.peak // MEGA,
            )
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
        ours(Path(given[1]), int(given[2]))
        return
    if given[:1] == ["make"]:
        make(Path(given[1]), int(given[2]))
        return
    parser = argparse.ArgumentParser(prog="python -m ops.bench.audit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=16, help="how often each page is deposited")
    compare(parser.parse_args(given).rounds)


if __name__ == "__main__":
    main()

"""Hostile and odd responses, byte for byte, as four recorders keep them: a Markdown table side by side.

    python -m ops.bench.hostile_table [--capture-python PATH] [CASE…]

A server on loopback sends each case of `ops.demo.faults`; Pressmark's recorder, warcio's `capture_http` (over the
standard library), Wget (`--warc-file`) and warcprox (as a proxy) ask for it, each as its documentation shows. Then each
WARC is read by one reader, and a cell says three things of the record that the tool made, a letter for yes, a dot for
no: B, its block is the bytes that were sent; D, its digests are right (block digest over the block; payload digest over
the body after transfer-decoding, ISO 28500:2017 5.9, or none where no payload is defined); T, `WARC-Truncated` stands
where something is missing and only there (5.13). `nothing`: bytes came, and no record tells of them; `none`: rightly
there is none; `invented`: nothing came, and a record says that something did. A tool that does not
end is ended after PATIENCE seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ingest.recorder import Recorder, RecorderSettings
from ops.demo.faults import CASES, Case
from ops.demo.messages import Request, response
from ops.demo.wire import Answer, Close, Send, WireServer
from schemas.captures import Context, Role
from schemas.digests import Digest
from schemas.errors import InvalidValue
from schemas.http1 import parse_response
from storage.archive import Archive, StorageSettings
from storage.warc.frames import Frame, walk

#: Seconds after which a tool is ended: the slowest of the bounded cases takes a tenth of it.
PATIENCE: Final = 6.0
#: Seconds of silence that each tool is told to wait, where it can be told.
SILENCE: Final = 2
#: Bytes of a body that the recorder takes: what a flood is cut at.
LIMIT: Final = 256 * 1024
PROXY_START: Final = 20.0
ROOT: Final = Path(__file__).resolve().parents[2]
CAPTURE: Final = ROOT / ".venv-interop-capture" / "bin" / "python"
#: What no tool has to keep as part of the message: it came after the message's end.
JUNK: Final = frozenset({"junk_after", "length_too_short", "body_on_304"})

WARCIO: Final = """
import sys
from warcio.capture_http import capture_http
import http.client, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
with capture_http(sys.argv[2], warc_version="1.1"):
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=float(sys.argv[3]))
    try:
        connection.request("GET", url.path, headers={"Accept-Encoding": "gzip"})
        connection.getresponse().read()
    except Exception as error:
        print(type(error).__name__)
    finally:
        connection.close()
"""

#: It refuses servers on loopback by an attribute that no option reaches.
WARCPROX: Final = """
from warcprox import main, warcproxy
warcproxy.WarcProxyHandler.allow_localhost = True
main.main()
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What one tool made of one case."""

    bytes_kept: bool = False
    digests_right: bool = False
    truncation_right: bool = False
    record: bool = False  # whether there is a response record at all
    needed: bool = True  # whether there should be one

    def __str__(self) -> str:
        if not self.record:
            return "nothing" if self.needed else "none"
        if not self.needed:
            return "invented"
        flags = (self.bytes_kept, self.digests_right, self.truncation_right)
        return "".join(letter if held else "." for letter, held in zip("BDT", flags, strict=True))

    @property
    def right(self) -> bool:
        """Whether nothing is to be said against it."""
        return str(self) in ("BDT", "none")


def body_of(name: str) -> bytes:
    """The page of a case: none is like another, so that no tool takes it for a revisit."""
    return b"<html><body><h1>%b</h1><p>" % name.encode() + b"Work begins in May. " * 40 + b"</p></body></html>"


def serve(case: Case) -> WireServer:
    """A server that answers `/NAME` with the script of that case: one a case, for warcprox shuns who failed once."""
    steps = [Send(data=step) if isinstance(step, bytes) else step for step in case.script(body_of(case.name))]

    def answer(request: Request) -> Answer:
        if urlsplit(request.target).path != f"/{case.name}":
            return Answer(steps=(Send(data=response(404)),))
        return Answer(steps=(*steps, Close()), keep=False)

    return WireServer(answer)


# -- the tools: each takes the URLs and a folder, and leaves WARC files there ---------------------------------------


def pressmark(urls: Sequence[str], folder: Path) -> None:
    """The recorder and the archive's front door."""
    archive = Archive.create(
        StorageSettings(
            directory=folder,
            catalog_url=f"sqlite:///{folder / 'catalog.sqlite'}",
            objects_url=str(folder / "objects"),
            origin="pressmark.invalid/bench",
        )
    )
    limits = RecorderSettings(
        user_agent="pressmark-bench",
        allow_addresses=("127.0.0.0/8",),
        read_timeout=float(SILENCE),
        total_timeout=PATIENCE,
        max_body=LIMIT,
        max_head=LIMIT,
    )

    async def work() -> None:
        async with Recorder(limits) as recorder:
            for url in urls:
                archive.deposit([(await recorder.fetch(url), Context(outlet_id="bench", role=Role.OTHER))])

    with archive:
        asyncio.run(work())
        archive.rotate(force=True)


def warcio(urls: Sequence[str], folder: Path) -> None:
    """warcio's capture of `http.client`, a process a URL so that one that hangs costs no other."""
    for number, url in enumerate(urls):
        target = str(folder / f"{number:03}.warc.gz")
        _patiently([sys.executable, "-c", WARCIO, url, target, str(SILENCE)])


def wget(urls: Sequence[str], folder: Path) -> None:
    """Wget, a process a URL."""
    for number, url in enumerate(urls):
        target = f"--warc-file={folder / f'{number:03}'}"
        options = ["-q", "-t", "1", "-T", str(SILENCE), "--max-redirect=0", "--no-warc-keep-log", "-O", os.devnull]
        _patiently(["wget", *options, target, f"--warc-tempdir={folder}", url])


def warcprox(python: Path) -> Callable[[Sequence[str], Path], None]:
    """warcprox: one proxy for all, asked over plain sockets, ended in order so that it writes what it has."""

    def run(urls: Sequence[str], folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = int(taken.getsockname()[1])
        command = [str(python), "-c", WARCPROX, "-p", str(port), "-d", str(folder), "-z", "--quiet"]
        command += ["--dedup-db-file", os.devnull, "--stats-db-file", os.devnull]
        command += ["--socket-timeout", str(SILENCE), "--max-resource-size", str(LIMIT), "--rollover-idle-time", "1"]
        proxy = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _await_port(port)
            for url in urls:
                _through(port, url)
            time.sleep(2 * SILENCE)
        finally:
            proxy.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                proxy.wait(PROXY_START)
            proxy.kill()

    return run


def _patiently(command: list[str]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, timeout=PATIENCE, capture_output=True, check=False)


def _await_port(port: int) -> None:
    until = time.monotonic() + PROXY_START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _through(port: int, url: str) -> None:
    """Ask a proxy for a URL and read until it ends, or patience does."""
    place = urlsplit(url).netloc
    until = time.monotonic() + PATIENCE
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=SILENCE) as client:
        client.sendall(f"GET {url} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n".encode())
        client.settimeout(PATIENCE)
        while time.monotonic() < until and client.recv(1 << 16):
            pass


# -- the verdict --------------------------------------------------------------------------------------------------


def records_in(folder: Path) -> dict[str, Frame]:
    """The response records that a tool left in a folder, by the path of their URL; a file cut off counts as it is."""
    found: dict[str, Frame] = {}
    for path in sorted(p for p in folder.rglob("*") if ".warc" in p.name and p.is_file()):
        for frame in walk(path.read_bytes(), lambda *_args, **_more: None):
            if frame.type == "response" and frame.complete:
                target = (frame.get("warc-target-uri") or "").strip("<>")
                found[urlsplit(target).path] = frame
    return found


def judge(case: Case, sent: bytes, frame: Frame | None) -> Verdict:
    """Hold a record against what was sent."""
    message = parse_response(sent)
    came = sent[sum(map(len, message.informational)) :]
    if frame is None:
        return Verdict(needed=bool(came))
    if case.name in JUNK:
        came = came[: len(came) - len(message.trailing)]
    block = frame.block
    whole = block == came if case.bounded else bool(block) and block in sent
    cut = not case.complete or not case.bounded
    said = frame.get("warc-truncated") is not None
    return Verdict(
        bytes_kept=whole,
        digests_right=_digests_right(frame),
        truncation_right=said == cut,
        record=True,
        needed=bool(came) or not case.bounded,
    )


def _digests_right(frame: Frame) -> bool:
    """Block digest over the block as it stands; payload digest over the body without its transfer-codings."""
    payload = parse_response(frame.block).payload
    block_digest, payload_digest = frame.get("warc-block-digest"), frame.get("warc-payload-digest")
    if block_digest is not None and not _fits(block_digest, frame.block):
        return False
    if payload_digest is None:
        return block_digest is not None and payload is None
    return payload is not None and _fits(payload_digest, payload)


def _fits(text: str, data: bytes) -> bool:
    try:
        digest = Digest.parse(text)
    except InvalidValue:
        return False
    return hashlib.new(digest.algorithm, data).digest() == digest.value


def tools(capture_python: Path) -> dict[str, Callable[[Sequence[str], Path], None]]:
    """What can be asked here, by name; says on standard error what is missing."""
    found: dict[str, Callable[[Sequence[str], Path], None]] = {"pressmark": pressmark, "warcio": warcio}
    if shutil.which("wget"):
        found["wget"] = wget
    else:
        print("no wget: install it", file=sys.stderr)
    if capture_python.exists():
        found["warcprox"] = warcprox(capture_python)
    else:
        print(f"no {capture_python}: `make test-interop` makes it", file=sys.stderr)
    return found


def compare(cases: Sequence[Case], capture_python: Path) -> dict[str, dict[str, Verdict]]:
    """The verdict of each tool on each case: by case, then by tool."""
    verdicts: dict[str, dict[str, Verdict]] = {case.name: {} for case in cases}
    for name, run in tools(capture_python).items():
        with ExitStack() as stack:
            servers = {case.name: stack.enter_context(serve(case)) for case in cases}
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pressmark-hostile-")))
            run([f"{server.base_url}/{case}" for case, server in servers.items()], folder)
            records = records_in(folder)
            for case in cases:
                sent = servers[case.name].sent(f"/{case.name}")
                if not sent:
                    raise RuntimeError(f"{name} never asked for {case.name}")
                verdicts[case.name][name] = judge(case, sent[-1], records.get(f"/{case.name}"))
    return verdicts


def main() -> None:
    """Print the table, and how many cases each tool got wholly right."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.hostile_table")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="default: all")
    parser.add_argument("--capture-python", type=Path, default=CAPTURE, help="an interpreter that has warcprox")
    parser.add_argument("--json", action="store_true", help="one object a case")
    options = parser.parse_args()
    known = {case.name: case for case in CASES}
    if unknown := [name for name in options.cases if name not in known]:
        parser.error(f"there is no case {', '.join(unknown)}: choose from {', '.join(known)}")
    cases = [known[name] for name in options.cases or known]
    verdicts = compare(cases, options.capture_python.absolute())
    names = list(next(iter(verdicts.values())))
    if options.json:
        for case, row in verdicts.items():
            print(json.dumps({"case": case} | {name: str(verdict) for name, verdict in row.items()}))
        return
    print(f"| case | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for case, row in verdicts.items():
        print(f"| {case} | {' | '.join(str(row[name]) for name in names)} |")
    right = [sum(row[name].right for row in verdicts.values()) for name in names]
    print(f"| wholly right, of {len(cases)} | {' | '.join(map(str, right))} |")


if __name__ == "__main__":
    main()

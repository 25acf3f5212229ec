"""The world as a test double: any number of hosts on one real server on loopback, with faults on demand.

    with Newsroom() as room:
        room.page("/a.html", "<p>News</p>")
        room.raw("/b.html", faults.missing_terminator(b"<p>News</p>"))
        ... fetch room.url("/a.html") ...
        assert block == room.sent("/a.html")[0]

A page set without `host` answers for every host; one set for a host comes before it. What was asked and sent
stays in `requests`, `connections`, `exchanges()`, `sent()` and `server` (see `ops.demo.wire`).
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from ops.demo.certs import Authority
from ops.demo.messages import Request, accepts_gzip, gzipped, http_date, response, unchanged
from ops.demo.wire import LOOPBACK, Answer, Close, Connection, Exchange, Send, Step, WireServer

#: Bytes a chunk where a page asks for chunked framing without saying how large.
CHUNK = 1024

Body = str | bytes
Script = Step | bytes


class Newsroom:
    """Pages by path (and host), set while the server runs. A context manager, or `start()` and `stop()`."""

    def __init__(
        self, *, tls: bool = False, certificate_for: Iterable[str] | None = None, expired: bool = False
    ) -> None:
        """With `tls`, each name has a certificate of its own; `certificate_for`, `expired` give a bad one."""
        self._pages: dict[tuple[str | None, str], Callable[[Request], Answer]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="newsroom-") if tls else None
        self.ca_file: Path | None = None
        context = None
        if self._folder is not None:
            authority = Authority(Path(self._folder.name))
            self.ca_file = authority.ca_file
            only = tuple(certificate_for) if certificate_for is not None else None
            context = authority.context(only=only, expired=expired)
        self.server = WireServer(self._answer, tls=context)

    # -- life ---------------------------------------------------------------------------------------------

    def start(self) -> str:
        """Serve; returns the base URL by address."""
        return self.server.start()

    def stop(self) -> None:
        """End everything; a fault in a handler that a test gave is raised here."""
        try:
            self.server.stop()
        finally:
            if self._folder is not None:
                self._folder.cleanup()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- where it is --------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port on loopback."""
        return self.server.port

    @property
    def base_url(self) -> str:
        """Scheme, address and port."""
        return self.server.base_url

    @property
    def connect_to(self) -> str:
        """For `[crawl] connect_to`: every host's default port comes here."""
        return self.server.connect_to

    def url(self, path: str = "/", host: str | None = None) -> str:
        """The URL of a path: by address, or with a host name on the default port (needs `connect_to`)."""
        return f"{self.server.scheme}://{host}{path}" if host else self.base_url + path

    # -- what it serves -----------------------------------------------------------------------------------

    def page(
        self,
        path: str,
        body: Body,
        *,
        host: str | None = None,
        status: int = 200,
        reason: str | None = None,
        content_type: str | None = "text/html; charset=utf-8",
        headers: Iterable[tuple[str, str]] = (),
        chunked: bool | int = False,
        gzip: bool | str = False,
        etag: str | None = None,
        last_modified: float | None = None,
    ) -> None:
        """Serve a page at a path (or at a whole target, query included).

        `gzip=True` compresses where the client accepts it, `gzip="always"` regardless. With `etag` or
        `last_modified` (seconds since 1970) a conditional request whose validators hold is answered 304.
        """
        data = body.encode() if isinstance(body, str) else body
        fixed = [("Content-Type", content_type)] if content_type else []
        fixed += [("ETag", etag)] if etag else []
        fixed += [("Last-Modified", http_date(last_modified))] if last_modified is not None else []
        fixed += list(headers)
        size = CHUNK if chunked is True else int(chunked)

        def answer(request: Request) -> Answer:
            if unchanged(request, etag=etag, modified=last_modified):
                kept = [item for item in fixed if item[0] != "Content-Type"]
                return Answer(steps=(Send(data=response(304, headers=kept)),))
            coded = bool(gzip) and (gzip == "always" or accepts_gzip(request))
            data_sent = gzipped(data) if coded else data
            extra = [("Content-Encoding", "gzip")] if coded else []
            sent = response(
                status, reason=reason, headers=fixed + extra, body=data_sent, chunked=size,
                head_only=request.method == "HEAD",
            )  # fmt: skip
            return Answer(steps=(Send(data=sent),))

        self.answer(path, answer, host=host)

    def redirect(self, path: str, to: str, *, status: int = 301, host: str | None = None) -> None:
        """Answer a path with a redirect; `to` stands in Location as it is."""
        self.page(path, b"moved\n", status=status, headers=[("Location", to)], host=host)

    def raw(self, path: str, *script: Script | Iterable[Script], host: str | None = None, keep: bool = False) -> None:
        """Answer a path with exactly these bytes and steps; the connection ends afterwards unless `keep`."""
        steps: list[Step] = []
        for part in script:
            pieces = [part] if isinstance(part, bytes | Step) else list(part)
            steps += [Send(data=piece) if isinstance(piece, bytes) else piece for piece in pieces]
        if not keep:
            steps.append(Close())
        whole = tuple(steps)
        self.answer(path, lambda request: Answer(steps=whole, keep=keep), host=host)

    def answer(self, path: str, handler: Callable[[Request], Answer], *, host: str | None = None) -> None:
        """Answer a path by a function (it runs in the server's thread)."""
        self._pages[host, path] = handler

    def remove(self, path: str, *, host: str | None = None) -> None:
        """Take a page away: 404 from now on."""
        self._pages.pop((host, path), None)

    def in_turn(self, path: str, *setters: Callable[[str], None], host: str | None = None) -> None:
        """Answer the n-th request to a path as the n-th setter would, then for ever as the last.

        A setter is called with a path and sets it:
        `room.in_turn("/a", lambda p: room.page(p, "", status=500), lambda p: room.page(p, "fine"))`.
        """
        answers: list[Callable[[Request], Answer]] = []
        for setter in setters:
            setter(path)
            answers.append(self._pages.pop((None, path)))
        counter = iter(range(len(answers)))
        last = len(answers) - 1
        self.answer(path, lambda request: answers[next(counter, last)](request), host=host)

    def _answer(self, request: Request) -> Answer:
        for host in (request.host, None):
            for path in (request.target, request.path):
                handler = self._pages.get((host, path))
                if handler is not None:
                    return handler(request)
        return Answer(steps=(Send(data=response(404, body=b"not found\n")),))

    # -- what it saw --------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[Request]:
        """Every request in the order of arrival."""
        return self.server.requests

    @property
    def connections(self) -> list[Connection]:
        """Every connection in the order of arrival."""
        return self.server.connections

    def exchanges(self, path: str | None = None, host: str | None = None) -> list[Exchange]:
        """Requests with the bytes sent in answer, in order."""
        return self.server.exchanges(path, host)

    def sent(self, path: str, host: str | None = None) -> list[bytes]:
        """The bytes of each answer to a path, in order."""
        return self.server.sent(path, host)

    def asked(self, host: str | None = None) -> list[str]:
        """The targets that were asked for, in order."""
        return [exchange.request.target for exchange in self.server.exchanges(host=host)]


def dead_port() -> int:
    """A port on loopback where nobody listens."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        return int(taken.getsockname()[1])

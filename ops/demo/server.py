"""The Harbour Lantern on loopback: the paper's content behind a real HTTP/1.1 server, edition after edition.

    with PaperServer() as paper:
        ... crawl paper.url ...
        paper.advance()              # a correction, a move, a recovery, a new story
        ... crawl again ...

Conditional requests are answered 304, some pages are chunked, others gzip-encoded, as the stories have it. What is
published is left to `newspaper`, the bytes on the wire to `wire`.
"""

from __future__ import annotations

import hashlib
import itertools
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from ops.demo import layout
from ops.demo.certs import Authority
from ops.demo.messages import Request, accepts_gzip, gzipped, http_date, response, unchanged
from ops.demo.newspaper import Newspaper, Page
from ops.demo.wire import LOOPBACK, Answer, Send, WireServer

#: Bytes a chunk of a chunked page; odd on purpose, so that chunks cut characters and tags.
CHUNK = 777


class PaperServer:
    """The running paper. A context manager; `start()` and `stop()` do as well."""

    def __init__(self, *, host: str | None = None, tls: bool = False, port: int = 0) -> None:
        """Served by address, or, given a `host` name, under that name on its default port through `connect_to`."""
        self._host = host
        self._folder = tempfile.TemporaryDirectory(prefix="paper-") if tls else None
        authority = Authority(Path(self._folder.name)) if self._folder is not None else None
        self.ca_file: Path | None = authority.ca_file if authority is not None else None
        self.server = WireServer(self._answer, tls=authority.context() if authority is not None else None, port=port)
        self._visits = itertools.count(1)
        self._paper = Newspaper("")

    # -- life ---------------------------------------------------------------------------------------------

    def start(self) -> str:
        """Serve edition 0; returns the paper's URL without a slash at the end."""
        base = self.server.start()
        self._paper = Newspaper(f"{self.server.scheme}://{self._host}" if self._host else base)
        return self._paper.origin

    def stop(self) -> None:
        """End every connection."""
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

    # -- the paper ----------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The front page."""
        return self._paper.origin + "/"

    @property
    def connect_to(self) -> str:
        """For `[crawl] connect_to`, where the paper has a host name."""
        return self.server.connect_to

    @property
    def settings(self) -> str:
        """The `[crawl]` table of a `pressmark.toml` that can reach the paper and need not wait between pages."""
        lines = ["[crawl]", "host_delay = 0", f'allow_addresses = ["{LOOPBACK}/32"]']
        if self._host:
            lines.append(f'connect_to = ["{self.connect_to}"]')
        if self.ca_file is not None:
            lines.append(f'ca_file = "{self.ca_file}"')
        return "\n".join(lines) + "\n"

    @property
    def paper(self) -> Newspaper:
        """The paper in its present edition: what a crawl should find."""
        return self._paper

    @property
    def requests(self) -> list[Request]:
        """Every request in the order of arrival."""
        return self.server.requests

    def advance(self, editions: int = 1) -> int:
        """Publish the next edition (or several); returns its number."""
        self._paper = Newspaper(self._paper.origin, self._paper.edition + editions)
        return self._paper.edition

    def asked(self) -> list[str]:
        """The targets that were asked for, in order."""
        return [request.target for request in list(self.requests)]

    def _answer(self, request: Request) -> Answer:
        now = ("Date", http_date(time.time()))
        if request.method not in ("GET", "HEAD"):
            refused = response(405, headers=[now, ("Allow", "GET, HEAD")])
            return Answer(steps=(Send(data=refused),))
        paper = self._paper
        page = paper.page(unquote(request.path), visit=next(self._visits))
        if page is None:
            text = layout.plain(paper.origin, "Not found", "There is no such page.", path=request.path)
            page = Page(status=404, body=text.encode(), cacheable=False)
        return Answer(steps=(Send(data=_bytes(request, page, now)),))


def _bytes(request: Request, page: Page, now: tuple[str, str]) -> bytes:
    """The response for a page: 304 where the client's validators hold, else whole, chunked or packed."""
    etag = f'"{hashlib.sha256(page.body).hexdigest()[:20]}"' if page.cacheable else None
    headers = [now, ("Server", "lantern/1.0")]
    if etag is not None:
        headers.append(("ETag", etag))
    if page.modified is not None:
        headers.append(("Last-Modified", http_date(page.modified)))
    if page.cacheable and unchanged(request, etag=etag, modified=page.modified):
        return response(304, headers=headers)
    headers += [("Content-Type", page.content_type), *page.headers]
    body = page.body
    if page.transfer == "gzip":
        headers.append(("Vary", "Accept-Encoding"))
        if accepts_gzip(request):
            headers.append(("Content-Encoding", "gzip"))
            body = gzipped(body)
    return response(
        page.status,
        headers=headers,
        body=body,
        chunked=CHUNK if page.transfer == "chunked" else 0,
        head_only=request.method == "HEAD",
    )

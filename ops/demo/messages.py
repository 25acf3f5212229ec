"""HTTP/1.1 messages for the servers of this room: a request taken apart, a response put together.

Only what a newspaper needs: framing, validators, gzip. Sending is left to `wire`; reading what strangers send is
another matter altogether (`ingest.recorder`).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request as it came: the raw bytes, and the same taken apart."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    raw: bytes
    body: bytes = b""
    scheme: str
    sni: str | None
    connection: int
    at: float
    """Wall clock, seconds since 1970."""
    monotonic: float
    """Monotonic clock, seconds; differences between requests are the pace."""

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    @property
    def path(self) -> str:
        """The path of the target, without its query."""
        return urlsplit(self.target).path if "://" in self.target else self.target.partition("?")[0]

    @property
    def host(self) -> str:
        """The host that was asked for, lower case, without port; empty where none was named."""
        value = (self.header("host") or "").strip().lower()
        name, _, port = value.rpartition(":")
        return name if name and port.isdigit() else value


def response(
    status: int,
    *,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    reason: str | None = None,
    version: str = "HTTP/1.1",
    chunked: int = 0,
    framed: bool = True,
    head_only: bool = False,
) -> bytes:
    """The bytes of a response: head, then the body whole or in chunks of `chunked` bytes.

    `framed` adds Content-Length or Transfer-Encoding (never to 1xx, 204 and 304); without it the caller's
    headers stand alone, right or wrong. `head_only` is for HEAD.
    """
    bodiless = status < 200 or status in (204, 304)
    lines = [f"{version} {status} {reason if reason is not None else _reason(status)}".rstrip()]
    lines += [f"{name}: {value}" for name, value in headers]
    if framed and not bodiless:
        lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if bodiless or head_only:
        return head
    return head + (chunks(body, chunked) if chunked else body)


def chunks(body: bytes, size: int, *, end: bytes = b"0\r\n\r\n") -> bytes:
    """A body in chunk framing, `size` bytes a chunk; `end` is the terminator, trailers included."""
    parts = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + end


def gzipped(body: bytes) -> bytes:
    """The body as a gzip stream without a time in it, so that the same body gives the same bytes."""
    return gzip.compress(body, mtime=0)


def http_date(seconds: float) -> str:
    """An IMF-fixdate (RFC 9110, 5.6.7)."""
    return formatdate(seconds, usegmt=True)


def accepts_gzip(request: Request) -> bool:
    """Whether the client said that it takes gzip."""
    codings = (request.header("accept-encoding") or "").lower().split(",")
    return any(coding.partition(";")[0].strip() in ("gzip", "*") for coding in codings)


def unchanged(request: Request, *, etag: str | None, modified: float | None) -> bool:
    """Whether the client's validators still hold (RFC 9110, 13.2.2: If-None-Match goes first)."""
    tags = request.header("if-none-match")
    if tags is not None:
        bare = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return etag is not None and (etag.removeprefix("W/") in bare or "*" in bare)
    since = request.header("if-modified-since")
    if since is None or modified is None:
        return False
    try:
        return int(modified) <= parsedate_to_datetime(since).timestamp()
    except ValueError:
        return False


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""

"""Small HTTP calls to services that the operator named: timestamp authorities, witnesses, the logs of others.

Not a crawl: no record is made of them, no redirect is followed, nothing is kept open. The address rules are those of
the crawl, and the address that was judged is the one that is connected to. What is asked and what the answer means are
left to the caller.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from ingest.addresses import AddressPolicy
from ingest.recorder.dial import ConnectRule, DialFailed, permitted, route
from ingest.recorder.wire import make_context
from schemas.captures import Ending
from schemas.errors import InvalidValue, ServiceError
from schemas.urls import host_of, normalize, origin_of, port_of, target_of

#: Seconds for one call, from the name to the last byte: an authority answers in one, and the log does not wait for it.
CALL_SECONDS: Final = 20.0
#: Bytes of an answer: a token with its chain has some thousand, a tile 8 KiB, an entry bundle at most 16 MiB.
MAX_ANSWER: Final = 17 * 1024 * 1024
#: Bytes read at a time.
CHUNK: Final = 64 * 1024
_AGAIN: Final = "see whether it is up and the URL is right, and try again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    content_type: str  # without parameters, lower case
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class PostSettings:
    """What a call may do."""

    user_agent: str
    allow_addresses: tuple[str, ...] = ()  # CIDR
    connect_to: tuple[str, ...] = ()  # curl's HOST:PORT:HOST:PORT
    ca_file: Path | None = None  # trusted instead of the system's authorities
    seconds: float = CALL_SECONDS


@dataclass(kw_only=True)
class Post:
    """Makes calls. Safe for threads: nothing is shared between two."""

    settings: PostSettings
    _policy: AddressPolicy = field(init=False)
    _rules: tuple[ConnectRule, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._policy = AddressPolicy.of(self.settings.allow_addresses)
        self._rules = tuple(ConnectRule.parse(text) for text in self.settings.connect_to)

    def post(self, url: str, body: bytes, content_type: str) -> Answer:
        """POST once. Raises ServiceError where no whole answer came, InvalidValue for a URL that is none."""
        return self._call("POST", url, body, {"Content-Type": content_type})

    def get(self, url: str) -> Answer:
        """GET once. Raises as `post` does."""
        return self._call("GET", url, None, {})

    def _call(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        url = normalize(url)
        until = time.monotonic() + self.settings.seconds
        host, port = route(self._rules, host_of(url), port_of(url))
        try:
            link = _Link(url, self._addresses(host, port), port, self._context(url), until)
        except DialFailed as error:
            denied = error.ending is Ending.ADDRESS_DENIED
            raise ServiceError(
                f"{origin_of(url)} cannot be asked: {error.words}",
                remedy="allow its address with --allow-address or [crawl] allow_addresses" if denied else _AGAIN,
            ) from error
        own = {"Host": origin_of(url).partition("://")[2], "Connection": "close"}
        own["User-Agent"] = self.settings.user_agent
        try:
            link.request(method, target_of(url), body, {**own, **headers})
            answer = link.getresponse()
            data = _read(answer, until)
            kind = (answer.getheader("Content-Type") or "").partition(";")[0].strip().lower()
            return Answer(status=answer.status, content_type=kind, body=data)
        except (OSError, http.client.HTTPException) as error:
            words = f"{type(error).__name__} {error}".strip()
            raise ServiceError(f"{origin_of(url)} gave no whole answer: {words}", remedy=_AGAIN) from error
        finally:
            link.close()

    def _addresses(self, host: str, port: int) -> tuple[str, ...]:
        try:
            found = [str(ip_address(host))]
        except ValueError:
            try:
                listed = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
            except (OSError, UnicodeError) as error:
                raise ServiceError(f"the name {host} does not resolve: {error}", remedy=_AGAIN) from error
            found = [str(entry[4][0]) for entry in listed]
        return permitted(self._policy, list(dict.fromkeys(found)))

    def _context(self, url: str) -> ssl.SSLContext | None:
        return make_context(self.settings.ca_file) if url.startswith("https://") else None


class _Link(http.client.HTTPConnection):
    """A connection to an address that was judged, whatever the URL's name resolves to meanwhile."""

    def __init__(
        self, url: str, addresses: tuple[str, ...], port: int, context: ssl.SSLContext | None, until: float
    ) -> None:
        super().__init__(host_of(url).strip("[]") or "localhost", port, timeout=_left(until))
        self._addresses, self._context, self._until = addresses, context, until

    def connect(self) -> None:
        failure: OSError = OSError("no address to connect to")
        for address in self._addresses:
            try:
                plain = socket.create_connection((address, self.port), _left(self._until))
            except OSError as error:
                failure = error
                continue
            self.sock = plain if self._context is None else self._secured(plain, self._context)
            return
        raise failure

    def _secured(self, plain: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        try:
            return context.wrap_socket(plain, server_hostname=self.host)
        except (OSError, ValueError):
            plain.close()
            raise


def _read(answer: http.client.HTTPResponse, until: float) -> bytes:
    """The body, whole. Raises OSError where it is too large, too slow or breaks off."""
    data = bytearray()
    while chunk := answer.read1(CHUNK):
        data += chunk
        if len(data) > MAX_ANSWER:
            raise OSError(f"more than {MAX_ANSWER} bytes")
        _left(until)
    if answer.length:
        raise OSError(f"it breaks off {answer.length} bytes before its end")
    return bytes(data)


def _left(until: float) -> float:
    """Seconds that are left. Raises TimeoutError where none are."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("not in time")
    return left


#: What storage takes to ask a service: (URL, body, content type) -> (status, content type, body).
Ask = Callable[[str, bytes, str], tuple[int, str, bytes]]


def asker(post: Post) -> Ask:
    """`post` in the form that storage, which knows no network, takes."""

    def ask(url: str, body: bytes, content_type: str) -> tuple[int, str, bytes]:
        answer = post.post(url, body, content_type)
        return answer.status, answer.content_type, answer.body

    return ask


def check_url(url: str) -> str:
    """A URL of a service, normal. Raises InvalidValue."""
    if not url.startswith(("http://", "https://")):
        raise InvalidValue(f"{url!r} is no http or https URL")
    return normalize(url)

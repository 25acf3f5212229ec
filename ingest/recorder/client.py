"""The recorder: one HTTP/1.1 exchange, byte-exact, whatever the server does.

`Recorder.fetch` sends one GET and gives back an `Exchange`: the bytes that left, every byte of the final response as
it came, who answered, under which certificate, how long each phase took and how it ended. What the network does is
never an exception here. Redirects, robots, pace and what becomes of the exchange are left to the caller.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ingest.addresses import AddressPolicy
from ingest.recorder import dial
from ingest.recorder.cookies import Cookies
from ingest.recorder.framing import Framer
from ingest.recorder.wire import Wire, make_context
from schemas.captures import Ending, Exchange
from schemas.errors import InvalidValue
from schemas.urls import host_of, normalize, origin_of, port_of, target_of

#: Idle connections kept in all; each is a file descriptor, and a crawl touches hundreds of hosts.
MAX_IDLE: Final = 128
#: Names asked for at a time, a thread each, made when needed.
RESOLVERS: Final = 32
#: Seconds of silence that end a response whose framing cannot be read: nothing else would.
UNREADABLE_SILENCE: Final = 5.0
#: What is asked for: pages first, then whatever there is.
ACCEPT: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecorderSettings:
    """What the recorder may do. Times in seconds, sizes in bytes."""

    user_agent: str
    connect_timeout: float = 10.0  # name, connection and TLS handshake together
    read_timeout: float = 30.0  # of silence
    total_timeout: float = 120.0  # of the whole exchange
    max_body: int = 64 * 1024 * 1024  # on the wire, framing included
    max_head: int = 256 * 1024
    allow_addresses: tuple[str, ...] = ()  # CIDR
    connect_to: tuple[str, ...] = ()  # curl's HOST:PORT:HOST:PORT
    ca_file: Path | None = None  # trusted instead of the system's authorities
    accept_language: str = "en, *;q=0.5"
    clock: Callable[[], datetime] = _now  # aware, UTC


@dataclass(kw_only=True, slots=True)
class _Attempt:
    """An exchange in the making."""

    url: str
    started: datetime
    begun: float  # loop time
    request: bytes = b""
    wire: Wire | None = None
    addresses: tuple[str, ...] = ()
    timings: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def mark(self, phase: str, now: float) -> None:
        self.timings[phase] = max(0, round((now - self.begun) * 1_000_000))

    def exchange(self, ending: Ending, framer: Framer | None = None, words: str = "") -> Exchange:
        wire = self.wire
        security = None if wire is None else wire.security
        protocols: tuple[str, ...] = ()
        if framer is not None:
            version = "1.1" if framer.head is None else framer.head.version
            protocols = (f"http/{version}",)
        return Exchange(
            url=self.url,
            started=self.started,
            ending=ending,
            request=self.request,
            response=b"" if framer is None else framer.response,
            informational=() if framer is None else tuple(framer.informational),
            peer=None if wire is None else wire.peer[0],
            port=None if wire is None else wire.peer[1],
            protocols=protocols + ((security.protocol,) if security is not None else ()),
            cipher=None if security is None else security.cipher,
            certificates=() if security is None else security.certificates,
            chain_complete=security is not None and security.chain_complete,
            addresses=self.addresses,
            timings=self.timings,
            detail="; ".join([*([words] if words else []), *self.notes]),
        )


class Recorder:
    """Makes exchanges and keeps connections. Belongs to one event loop; any number of fetches may run at once."""

    def __init__(self, settings: RecorderSettings) -> None:
        """Raises InvalidValue or SettingsError for settings that cannot be carried out."""
        for value in (settings.user_agent, settings.accept_language):
            if not value.strip() or _VALUE.fullmatch(value) is None:
                raise InvalidValue(f"{value!r} cannot stand in a request header")
        self._settings = settings
        self._policy = AddressPolicy.of(settings.allow_addresses)
        self._rules = tuple(dial.ConnectRule.parse(text) for text in settings.connect_to)
        self._context: ssl.SSLContext | None = None if settings.ca_file is None else make_context(settings.ca_file)
        self._idle: dict[str, list[Wire]] = {}  # by origin, the longest idle first
        # Never shut down: a fetch under way may still ask, and the threads end with the last that holds them.
        self._resolvers = ThreadPoolExecutor(max_workers=RESOLVERS, thread_name_prefix="resolver")
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End all idle connections; one under way still ends as it would have, and is closed instead of kept."""
        self._closed = True
        wires = [wire for kept in self._idle.values() for wire in kept]
        self._idle.clear()
        for wire in wires:
            wire.close()
        await asyncio.sleep(0)  # lets the transports close before the loop does

    async def fetch(
        self, url: str, *, headers: Sequence[tuple[str, str]] = (), cookies: Cookies | None = None
    ) -> Exchange:
        """GET a URL, once; a redirect is an answer like any other.

        `headers` are sent beside the recorder's own, a field of the same name instead of it; one whose value cannot
        stand in a header (a stranger's ETag, say) is left out and named in `detail`. `cookies` is the jar of the
        redirect chain that this fetch belongs to. Raises InvalidValue for a header name that is none, and
        CancelledError; never for what a server or the network does.
        """
        loop = asyncio.get_running_loop()
        attempt = _Attempt(url=url, started=self._settings.clock(), begun=loop.time())
        try:
            attempt.url = normalize(url)
        except InvalidValue as error:
            return attempt.exchange(Ending.BAD_URL, words=str(error))
        request = self._request(attempt, headers, cookies)
        until = attempt.begun + self._settings.total_timeout
        exchange = await self._on_idle(attempt, request, cookies, until)
        if exchange is not None:
            return exchange
        try:
            attempt.wire = await self._dial(attempt, until)
        except dial.DialFailed as failure:
            return attempt.exchange(failure.ending, words=failure.words)
        return await self._converse(attempt, request, cookies, until)

    # -- the request ------------------------------------------------------------------------------------------

    def _request(self, attempt: _Attempt, headers: Sequence[tuple[str, str]], cookies: Cookies | None) -> bytes:
        fields = {
            "host": ("Host", origin_of(attempt.url).partition("://")[2]),
            "user-agent": ("User-Agent", self._settings.user_agent),
            "accept": ("Accept", ACCEPT),
            "accept-language": ("Accept-Language", self._settings.accept_language),
            "accept-encoding": ("Accept-Encoding", "gzip"),
            "connection": ("Connection", "keep-alive"),
        }
        cookie = None if cookies is None else cookies.header(attempt.url)
        for name, value in (*headers, *([("Cookie", cookie)] if cookie else [])):
            if _TOKEN.fullmatch(name) is None:
                raise InvalidValue(f"{name!r} is not the name of a header field")
            if _VALUE.fullmatch(value) is None:
                attempt.notes.append(f"{name} was not sent: its value cannot stand in a header")
                continue
            fields[name.lower()] = (name, value.strip())
        lines = [f"GET {target_of(attempt.url)} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.values())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    # -- the connection ---------------------------------------------------------------------------------------

    async def _dial(self, attempt: _Attempt, until: float) -> Wire:
        loop = asyncio.get_running_loop()
        until = min(until, loop.time() + self._settings.connect_timeout)
        name = host_of(attempt.url)
        host, port = dial.route(self._rules, name, port_of(attempt.url))
        attempt.addresses = await dial.resolve(host, port, until, self._resolvers)
        attempt.mark("dns", loop.time())
        secure = attempt.url.startswith("https:")
        if secure and self._context is None:
            self._context = make_context(None)
        wire = await dial.connect(dial.permitted(self._policy, attempt.addresses), port, until)
        wire.addresses = attempt.addresses
        attempt.wire = wire
        attempt.mark("connect", loop.time())
        if secure and self._context is not None:
            await dial.secure(wire, self._context, name, until)
            attempt.mark("tls", loop.time())
        return wire

    async def _on_idle(
        self, attempt: _Attempt, request: bytes, cookies: Cookies | None, until: float
    ) -> Exchange | None:
        """The exchange on an idle connection; None where there is none, or it had died meanwhile."""
        wire = self._take(origin_of(attempt.url))
        if wire is None:
            return None
        attempt.wire, attempt.addresses = wire, wire.addresses
        exchange = await self._converse(attempt, request, cookies, until)
        if exchange.ending is not Ending.NO_RESPONSE or exchange.informational:
            return exchange
        attempt.wire, attempt.addresses, attempt.request = None, (), b""
        attempt.timings.clear()
        attempt.notes.append("an idle connection had been closed; asked again on a new one")
        return None

    def _take(self, origin: str) -> Wire | None:
        now = asyncio.get_running_loop().time()
        kept = self._idle.pop(origin, [])
        while kept:
            wire = kept.pop()
            if wire.fresh(now):
                if kept:
                    self._idle[origin] = kept
                return wire
            wire.close()
        return None

    def _keep(self, origin: str, wire: Wire) -> None:
        wire.idle_since = asyncio.get_running_loop().time()
        self._idle.setdefault(origin, []).append(wire)
        if sum(len(kept) for kept in self._idle.values()) > MAX_IDLE:
            oldest = min(self._idle, key=lambda name: self._idle[name][0].idle_since)
            self._idle[oldest].pop(0).close()
            if not self._idle[oldest]:
                del self._idle[oldest]

    # -- the conversation -------------------------------------------------------------------------------------

    async def _converse(self, attempt: _Attempt, request: bytes, cookies: Cookies | None, until: float) -> Exchange:
        loop = asyncio.get_running_loop()
        wire = attempt.wire
        assert wire is not None
        framer = Framer(max_head=self._settings.max_head, max_body=self._settings.max_body)
        try:
            attempt.request = request
            wire.send(request)
            attempt.mark("sent", loop.time())
            await self._receive(attempt, wire, framer, until)
        except BaseException:
            wire.abort()
            raise
        attempt.mark("done", loop.time())
        if framer.reusable and not wire.ended and not self._closed:
            self._keep(origin_of(attempt.url), wire)
        elif framer.ending is Ending.COMPLETE:
            wire.close()
        else:
            wire.abort()
        if cookies is not None and framer.head is not None:
            cookies.absorb(attempt.url, framer.head.fields)
        assert framer.ending is not None
        return attempt.exchange(framer.ending, framer, framer.detail)

    async def _receive(self, attempt: _Attempt, wire: Wire, framer: Framer, until: float) -> None:
        loop = asyncio.get_running_loop()
        while not framer.done:
            now = loop.time()
            silence = UNREADABLE_SILENCE if framer.unreadable else self._settings.read_timeout
            limit = min(until, now + min(silence, self._settings.read_timeout))
            try:
                if now >= until:
                    raise TimeoutError
                pieces = await wire.read(limit)
            except TimeoutError:
                whole = limit >= until
                span = self._settings.total_timeout if whole else self._settings.read_timeout
                framer.time_out(f"not done in {span:g} s" if whole else f"nothing came for {span:g} s")
                return
            if not pieces:
                framer.close(clean=wire.clean)
                if framer.ending is Ending.COMPLETE and wire.unnotified:
                    attempt.notes.append("TLS ended without close_notify: a cut cannot be ruled out")
                return
            if "first_byte" not in attempt.timings:
                attempt.mark("first_byte", loop.time())
            framer.feed(*pieces)

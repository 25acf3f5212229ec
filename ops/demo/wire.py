"""An HTTP/1.1 server on loopback that sends exactly the bytes it is told to, and remembers them.

A handler gets a `Request` and gives back an `Answer`: a script of steps (send these bytes, pause, stall, cut
the connection). That is all it takes to play a well-kept newspaper and the worst server on the web alike.
Every connection keeps what it received and sent, so that a test can compare an archived block with the truth.

The server runs in a thread with an event loop of its own; its methods are called from synchronous code. What
the pages say, and who answers for which host, is left to the callers. For loopback only.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from ops.demo.messages import Request, response

LOOPBACK = "127.0.0.1"
#: Bytes of a request head that are read before the server gives up; browsers send far less than 64 KiB.
MAX_REQUEST_HEAD = 1 << 20
#: Bytes of a connection that are remembered; a flood of gigabytes is counted, not kept.
MAX_REMEMBERED = 64 << 20
#: Connections that may wait to be accepted; a crawl of a hundred hosts opens as many at once.
BACKLOG = 512
#: Seconds that a closing TLS connection waits for the peer's close_notify before it is dropped.
TLS_SHUTDOWN = 1.0
#: Bytes in one write of a flood: large enough to be quick, small enough to stop soon after the client leaves.
FLOOD_WRITE = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Send:
    """Send these bytes; with `every`, that many at a time with `pause` seconds between (a slow drip)."""

    data: bytes
    every: int = 0
    pause: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Flood:
    """Send a pattern over and over, `total` bytes in all, or for as long as the client listens (None)."""

    pattern: bytes
    total: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """Say nothing for some seconds, then go on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Say nothing more until the client leaves (or the server stops)."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection in order: FIN, over TLS a close_notify first."""


@dataclass(frozen=True, slots=True)
class Cut:
    """End the connection with a bare FIN: over TLS without close_notify, as a truncation attack would."""


@dataclass(frozen=True, slots=True)
class Reset:
    """End the connection with RST."""


Step = Send | Flood | Pause | Stall | Close | Cut | Reset


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What to do about one request. The connection stays open afterwards only if `keep`."""

    steps: tuple[Step, ...]
    keep: bool = True


Handler = Callable[[Request], Answer]


@dataclass(kw_only=True, slots=True)
class Exchange:
    """One request and the bytes that were sent in answer to it."""

    request: Request
    sent: bytearray = field(default_factory=bytearray)
    sent_total: int = 0
    started: float
    ended: float | None = None
    """Monotonic seconds; None while the answer is still being sent."""


@dataclass(kw_only=True, slots=True)
class Connection:
    """One TCP connection: who, when, and everything that was said on it."""

    number: int
    peer: tuple[str, int]
    sni: str | None = None
    opened: float
    closed: float | None = None
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def sent(self) -> bytes:
        """All bytes sent on this connection (the first `MAX_REMEMBERED` of each answer)."""
        return b"".join(bytes(exchange.sent) for exchange in self.exchanges)


class WireServer:
    """The server. `start()` gives the base URL; `stop()` ends it and tells of faults in the handler."""

    def __init__(
        self,
        handler: Handler,
        *,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
        host: str = LOOPBACK,
        remember: bool = True,
    ) -> None:
        """`remember=False` keeps nothing of what was said, for runs of many thousand requests."""
        self._handler = handler
        self._remember = remember
        self._tls = tls
        self._address = (host, port)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = 0
        self.connections: list[Connection] = []
        self.requests: list[Request] = []
        self.errors: list[Exception] = []

    # -- life ---------------------------------------------------------------------------------------------

    @property
    def scheme(self) -> str:
        """`https` where the server speaks TLS, else `http`."""
        return "https" if self._tls is not None else "http"

    @property
    def port(self) -> int:
        """The port that the server listens on; 0 before `start()`."""
        return self._port

    @property
    def base_url(self) -> str:
        """Scheme, address and port, without a slash at the end."""
        return f"{self.scheme}://{self._address[0]}:{self._port}"

    @property
    def connect_to(self) -> str:
        """The value for `[crawl] connect_to` that sends every host's default port here."""
        return f":{443 if self._tls is not None else 80}:{self._address[0]}:{self._port}"

    def start(self) -> str:
        """Listen, and serve from a thread; returns the base URL. OSError where the port is taken."""
        if self._thread is not None:
            raise RuntimeError("the server was started already; make another one")
        listening = socket.create_server(self._address, backlog=BACKLOG)
        # Accepted sockets inherit it; asyncio sets it only where the socket's protocol number is spelt out.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listening.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main(listening, ready)), name=f"wire-{self._port}", daemon=True
        )
        self._thread.start()
        ready.wait()
        return self.base_url

    def stop(self) -> None:
        """End every connection and the thread. The first fault of the handler, if any, is raised here."""
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        if self.errors:
            raise RuntimeError("the handler of the test server failed") from self.errors[0]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- what was seen ------------------------------------------------------------------------------------

    def exchanges(self, path: str | None = None, host: str | None = None) -> list[Exchange]:
        """The exchanges in the order of their requests, of one path (or whole target) and host if given."""
        every = [exchange for connection in list(self.connections) for exchange in list(connection.exchanges)]
        chosen = [
            exchange
            for exchange in every
            if (path is None or path in (exchange.request.path, exchange.request.target))
            and (host is None or exchange.request.host == host)
        ]
        return sorted(chosen, key=lambda exchange: exchange.started)

    def sent(self, path: str, host: str | None = None) -> list[bytes]:
        """The bytes of each answer to a path, in order."""
        return [bytes(exchange.sent) for exchange in self.exchanges(path, host)]

    def peak(self, host: str | None = None) -> int:
        """The largest number of connections that were open at once (to a host: that asked for it)."""
        edges: list[tuple[float, int]] = []
        for connection in list(self.connections):
            if host is None or any(exchange.request.host == host for exchange in connection.exchanges):
                edges.append((connection.opened, 1))
                if connection.closed is not None:
                    edges.append((connection.closed, -1))
        now = most = 0
        for _, change in sorted(edges):
            now += change
            most = max(most, now)
        return most

    def gaps(self, host: str | None = None) -> list[float]:
        """Seconds from the end of each answer to the start of the next request to the same host."""
        found: list[float] = []
        last: dict[str, float] = {}
        for exchange in self.exchanges(host=host):
            name = exchange.request.host
            if name in last:
                found.append(exchange.started - last[name])
            last[name] = exchange.ended if exchange.ended is not None else exchange.started
        return found

    # -- the loop's side ----------------------------------------------------------------------------------

    async def _main(self, listening: socket.socket, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        # A client that breaks a handshake is no news; faults of the handler are kept in `errors`.
        self._loop.set_exception_handler(lambda loop, context: None)
        self._stopping = asyncio.Event()
        shutdown = None if self._tls is None else TLS_SHUTDOWN
        server = await asyncio.start_server(
            self._connected,
            sock=listening,
            ssl=self._tls,
            limit=MAX_REQUEST_HEAD,
            ssl_shutdown_timeout=shutdown,
        )
        ready.set()
        await self._stopping.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        # A drained write has reached the kernel, so that a reset afterwards does not swallow it.
        # (asyncio's TLS transport takes a limit of 0 for "always full".)
        writer.transport.set_write_buffer_limits(high=0 if self._tls is None else 1, low=0)
        peer = writer.get_extra_info("peername") or ("", 0)
        connection = Connection(
            number=len(self.connections),
            peer=(peer[0], peer[1]),
            sni=_sni_of(writer),
            opened=time.monotonic(),
        )
        if self._remember:
            self.connections.append(connection)
        try:
            while await self._one(reader, writer, connection):
                pass
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            connection.closed = time.monotonic()
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            self._tasks.discard(task)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection) -> bool:
        """Answer one request; False once the connection is to end."""
        try:
            request = await self._read(reader, connection)
        except (ValueError, asyncio.LimitOverrunError):
            writer.write(response(400, body=b"bad request\n", headers=[("Connection", "close")]))
            await writer.drain()
            return False
        if request is None:
            return False
        exchange = Exchange(request=request, started=request.monotonic)
        if self._remember:
            connection.exchanges.append(exchange)
            self.requests.append(request)
        try:
            answer = self._handler(request)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is told at stop()
            self.errors.append(error)
            answer = Answer(steps=(Send(data=response(500, body=b"handler failed\n")),), keep=False)
        try:
            for step in answer.steps:
                if not await _play(step, reader, writer, exchange if self._remember else None):
                    return False
        finally:
            exchange.ended = time.monotonic()
        asked = (request.header("connection") or "").lower()
        return answer.keep and request.version == "HTTP/1.1" and "close" not in asked

    async def _read(self, reader: asyncio.StreamReader, connection: Connection) -> Request | None:
        """One request, or None where the client ended the connection between two of them."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as ended:
            if ended.partial.strip():
                raise
            return None
        at, monotonic = time.time(), time.monotonic()
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, version = first.split(" ")
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        length = next((value for name, value in headers if name.lower() == "content-length"), "0")
        body = await reader.readexactly(int(length)) if length != "0" else b""
        return Request(
            method=method, target=target, version=version, headers=headers, raw=head + body, body=body,
            scheme=self.scheme, sni=connection.sni, connection=connection.number, at=at, monotonic=monotonic,
        )  # fmt: skip


def _sni_of(writer: asyncio.StreamWriter) -> str | None:
    """The server name that the client asked for, where the context is one of ours (see `certs`)."""
    tls = writer.get_extra_info("ssl_object")
    return getattr(tls.context, "server_name", None) if tls is not None else None


async def _play(
    step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exchange: Exchange | None
) -> bool:
    """Do one step; False where it ended the connection."""
    match step:
        case Send():
            size = step.every or max(1, len(step.data))
            for start in range(0, len(step.data), size):
                if start:
                    await asyncio.sleep(step.pause)
                await _write(writer, exchange, step.data[start : start + size])
        case Flood():
            await _flood(step, writer, exchange)
        case Pause():
            await asyncio.sleep(step.seconds)
        case Stall():
            while await reader.read(FLOOD_WRITE):
                pass
            return False
        case Close():
            return False
        case Cut():
            writer.transport.abort()
            return False
        case Reset():
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
    return True


async def _write(writer: asyncio.StreamWriter, exchange: Exchange | None, data: bytes) -> None:
    if exchange is not None:
        exchange.sent_total += len(data)
        exchange.sent += data[: max(0, MAX_REMEMBERED - len(exchange.sent))]
    writer.write(data)
    await writer.drain()


async def _flood(step: Flood, writer: asyncio.StreamWriter, exchange: Exchange | None) -> None:
    block = step.pattern * max(1, FLOOD_WRITE // len(step.pattern))
    left = step.total
    while left is None or left > 0:
        piece = block if left is None else block[:left]
        await _write(writer, exchange, piece)
        left = None if left is None else left - len(piece)
        await asyncio.sleep(0)  # other connections are served meanwhile

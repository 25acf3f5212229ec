"""One connection: TCP, TLS over it, bytes out and bytes in, and how it ended.

TLS runs over memory buffers (`ssl.MemoryBIO`) instead of asyncio's own layer: so the difference between a
close_notify and a bare end of the stream is seen, and the peer's certificate chain can be had. What the bytes mean is
left to `framing`, whom to connect to was decided in `dial`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from schemas.errors import SettingsError

#: Bytes received and not yet read at which the peer is made to wait.
HIGH_WATER: Final = 1024 * 1024
#: Bytes taken out of the TLS layer at once: a record holds 16 KiB (RFC 8446 section 5.1).
TLS_READ: Final = 64 * 1024
#: Seconds that an idle connection is kept for the next request; servers commonly close after 5 to 75.
IDLE_LIFE: Final = 15.0

_VERSIONS: Final = {"TLSv1": "tls/1.0", "TLSv1.1": "tls/1.1", "TLSv1.2": "tls/1.2", "TLSv1.3": "tls/1.3"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Security:
    """What was negotiated, for the record."""

    protocol: str  # a value of WARC-Protocol, e.g. tls/1.3
    cipher: str | None  # name in the IANA registry
    certificates: tuple[bytes, ...]  # DER, leaf first
    chain_complete: bool  # False where only the leaf could be had


def make_context(ca_file: Path | None) -> ssl.SSLContext:
    """A verifying client context: the authorities in `ca_file` alone, or the system's where None.

    Raises SettingsError where the file cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    # Strict RFC 5280 checks became Python's default in 3.13; browsers do not make them, and a capture should not
    # depend on the version of Python.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        if ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"the certificate authorities in {ca_file} cannot be read: {error}",
            remedy="name a file in PEM form as [crawl] ca_file",
        ) from error
    return context


class Wire(asyncio.Protocol):
    """One connection to one checked address."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._received: list[bytes] = []  # as they came, and
        self._held = 0  # how many bytes they are
        self._waiter: asyncio.Future[None] | None = None
        self._until = 0.0  # loop time at which the waiter has waited enough
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._notified = False
        self.ended = False
        self.error: Exception | None = None
        self.security: Security | None = None
        self.peer: tuple[str, int] = ("", 0)
        self.addresses: tuple[str, ...] = ()
        self.idle_since = 0.0

    # -- called by the loop -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember who is at the other end."""
        self._transport = cast(asyncio.Transport, transport)
        name = transport.get_extra_info("peername") or ("", 0)
        self.peer = (str(name[0]), int(name[1]))

    def data_received(self, data: bytes) -> None:
        """Keep what came; make the peer wait where nobody reads."""
        if self._tls is None:
            self._keep(data)
        else:
            self._incoming.write(data)
            self._decrypt(self._tls)
        if self._held > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """The peer sent FIN: nothing more will come, and nothing more is sent."""
        self.ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; `exc` says how, where it was not in order."""
        self.ended = True
        self.error = self.error or exc
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake()

    # -- called by the recorder ---------------------------------------------------------------------------------

    @property
    def clean(self) -> bool:
        """Whether it ended in order: by FIN or close_notify, not by a reset or a damaged TLS record."""
        return self.error is None

    @property
    def unnotified(self) -> bool:
        """Whether TLS ended without a close_notify (RFC 8446 section 6.1), so that a cut cannot be ruled out."""
        return self._tls is not None and not self._notified

    def fresh(self, now: float) -> bool:
        """Whether an idle connection can be tried for another request."""
        return not self.ended and not self._received and now - self.idle_since < IDLE_LIFE

    def send(self, data: bytes) -> None:
        """Send bytes (through TLS where it runs)."""
        if self._transport is None or self.ended:
            return
        if self._tls is None:
            self._transport.write(data)
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            self._fail(error)
        self._flush()

    async def read(self, until: float) -> list[bytes]:
        """What came, in pieces that are not empty; none at the end. Raises TimeoutError at `until` (loop time)."""
        while not self._received and not self.ended:
            await self._wait(until)
        pieces, self._received, self._held = self._received, [], 0
        if self._paused and self._transport is not None and not self.ended:
            self._paused = False
            self._transport.resume_reading()
        return pieces

    async def start_tls(self, context: ssl.SSLContext, host: str, until: float) -> None:
        """Shake hands and verify. Raises ssl.SSLError, ConnectionError or TimeoutError."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=False, server_hostname=host)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
            except ssl.SSLError:
                self._flush()  # the alert that tells the peer why
                raise
            pieces = await self.read(until)
            if not pieces:
                raise ConnectionResetError("closed during the TLS handshake")
            for piece in pieces:
                self._incoming.write(piece)
        self._flush()
        self._tls = tls
        self.security = _security(tls)
        pieces, self._received, self._held = self._received, [], 0
        for piece in pieces:  # came between the last read and now: still ciphertext
            self._incoming.write(piece)
        self._decrypt(tls)

    def close(self) -> None:
        """End the connection in order, without waiting for the peer."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._tls is not None and not self.ended:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()  # writes our close_notify, then wants the peer's, which we do not wait for
            self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Drop the connection at once."""
        self.ended = True
        if self._transport is not None:
            self._transport.abort()

    # -- inside -------------------------------------------------------------------------------------------------

    def _keep(self, data: bytes) -> None:
        self._received.append(data)
        self._held += len(data)

    def _decrypt(self, tls: ssl.SSLObject) -> None:
        try:
            while not self._notified:
                data = tls.read(TLS_READ)
                if data:
                    self._keep(data)
                else:
                    self._notified = self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._notified = self.ended = True
        except ssl.SSLError as error:
            self._fail(error)
        self._flush()

    def _fail(self, error: Exception) -> None:
        self.error = self.error or error
        self.ended = True

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._outgoing.read())

    async def _wait(self, until: float) -> None:
        waiter = self._waiter = self._loop.create_future()
        self._until = until
        if self._timer is not None and self._timer.when() > until:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(until, self._expire)
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _expire(self) -> None:
        """One timer serves wait after wait: where bytes came meanwhile, it is set anew."""
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._until:
            self._timer = self._loop.call_at(self._until, self._expire)
        else:
            self._waiter.set_exception(TimeoutError())


def _security(tls: ssl.SSLObject) -> Security:
    version, cipher = tls.version() or "", tls.cipher()
    certificates, complete = _chain(tls)
    return Security(
        protocol=_VERSIONS.get(version, version.lower()),
        cipher=None if cipher is None else iana_cipher(cipher[0]),
        certificates=certificates,
        chain_complete=complete,
    )


def _chain(tls: ssl.SSLObject) -> tuple[tuple[bytes, ...], bool]:
    """The certificates as the peer sent them, DER, leaf first; and whether that is all of them.

    Public from Python 3.13; before, only the C object underneath has it. Where neither has, the leaf alone.
    """
    private: Any = getattr(tls, "_sslobj", None)
    for source in (tls, private):
        ask = getattr(source, "get_unverified_chain", None)
        if ask is not None:
            return tuple(_der(one) for one in cast(Iterable[Any], ask() or ())), True
    leaf = tls.getpeercert(binary_form=True)
    return ((leaf,) if leaf else ()), False


def _der(certificate: Any) -> bytes:
    if isinstance(certificate, bytes):
        return certificate
    der: bytes = certificate.public_bytes(2)  # _ssl.ENCODING_DER
    return der


def iana_cipher(name: str) -> str:
    """The IANA name of a cipher suite that OpenSSL calls by its own, e.g. ECDHE-RSA-AES128-GCM-SHA256.

    TLS 1.3 suites have one name in both; of the older ones those with an authenticated cipher are known (the only
    ones that Python's defaults still offer beside a few CBC suites); another is given back as it came.
    """
    exchange, dash, rest = name.partition("-AES")
    cipher = ""
    if dash:
        size, _, mode = rest.partition("-")
        cipher = f"AES_{size}_{mode.replace('-', '_')}" if mode.startswith(("GCM", "CCM")) else ""
    elif name.endswith("-CHACHA20-POLY1305"):
        exchange, cipher = name.removesuffix("-CHACHA20-POLY1305"), "CHACHA20_POLY1305_SHA256"
    if exchange not in ("ECDHE-RSA", "ECDHE-ECDSA", "DHE-RSA") or not cipher:
        return name
    return f"TLS_{exchange.replace('-', '_')}_WITH_{cipher}"

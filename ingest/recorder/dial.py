"""From a URL to a connection: where to connect, what the name resolves to, whether that is allowed.

The address that was judged is the address that is connected to: names are resolved here once, never again by a
library underneath. `connect_to` (curl's HOST:PORT:HOST:PORT) changes where the connection goes and nothing else; its
targets are judged as well. What is then said on the connection is left to `wire` and `client`.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Final

from ingest.addresses import AddressPolicy
from ingest.recorder.wire import Wire
from schemas.captures import Ending
from schemas.errors import InvalidValue

#: Addresses of one name that are tried; a name with hundreds must not hold up the crawl.
MAX_TRIED: Final = 4
#: Addresses of one name that are kept for the record.
MAX_ADDRESSES: Final = 64
#: Share of the remaining time that one address may take while others are left to try.
SHARE: Final = 0.5

_RULE: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]*):([0-9]*):(\[[^\]]*\]|[^:\[\]]*):([0-9]*)")
_MAX_PORT: Final = 65_535


class DialFailed(Exception):
    """No connection came about; `ending` says how, the message says it in words."""

    def __init__(self, ending: Ending, words: str) -> None:
        super().__init__(words)
        self.ending = ending
        self.words = words


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectRule:
    """One `connect_to`: connections to `host:port` go to `to_host:to_port`; an empty part means any, or unchanged."""

    host: str
    port: int | None
    to_host: str
    to_port: int | None

    @classmethod
    def parse(cls, text: str) -> ConnectRule:
        """Read curl's syntax. Raises InvalidValue."""
        match = _RULE.fullmatch(text.strip())
        ports = [] if match is None else [int(p) if p else None for p in (match[2], match[4])]
        if match is None or any(p is not None and not 0 < p <= _MAX_PORT for p in ports):
            raise InvalidValue(
                f"{text!r} is no connect_to rule", remedy="write it HOST:PORT:HOST:PORT, any part may be empty"
            )
        return cls(host=_bare(match[1]), port=ports[0], to_host=_bare(match[3]), to_port=ports[1])

    def __str__(self) -> str:
        """As `parse` reads it."""
        left, right = (f"[{h}]" if ":" in h else h for h in (self.host, self.to_host))
        return f"{left}:{self.port or ''}:{right}:{self.to_port or ''}"


def _bare(host: str) -> str:
    return host.removeprefix("[").removesuffix("]").lower()


def route(rules: Sequence[ConnectRule], host: str, port: int) -> tuple[str, int]:
    """Where a connection for `host:port` goes: by the first rule that fits, else there."""
    for rule in rules:
        if rule.host in ("", host) and rule.port in (None, port):
            return rule.to_host or host, rule.to_port or port
    return host, port


async def resolve(host: str, port: int, until: float, threads: Executor) -> tuple[str, ...]:
    """The addresses of a name, as the system's resolver orders them; an address is its own. Raises DialFailed.

    `threads` are the resolver's own: a name server that does not answer holds one long after `until`.
    """
    try:
        return (str(ip_address(host)),)
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(until):
            ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
            found = await loop.run_in_executor(threads, ask)
    except TimeoutError:
        raise DialFailed(Ending.DNS, f"no answer for the name {host} in time") from None
    except (socket.gaierror, UnicodeError) as error:
        raise DialFailed(Ending.DNS, f"the name {host} does not resolve: {error}") from error
    except OSError as error:
        raise DialFailed(Ending.DNS, f"the resolver failed for {host}: {error}") from error
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    return tuple(addresses)[:MAX_ADDRESSES]


def permitted(policy: AddressPolicy, addresses: Sequence[str]) -> tuple[str, ...]:
    """Those of the addresses that may be connected to. Raises DialFailed where none may."""
    refusals = {address: policy.refusal(address) for address in addresses}
    fine = tuple(address for address, refusal in refusals.items() if refusal is None)
    if not fine:
        words = next(iter(refusals.values()), None) or "the name has no address"
        raise DialFailed(Ending.ADDRESS_DENIED if refusals else Ending.DNS, words)
    return fine


async def connect(addresses: Sequence[str], port: int, until: float) -> Wire:
    """Connect to the first of the addresses that answers. Raises DialFailed with the last one's failure."""
    loop = asyncio.get_running_loop()
    failure = DialFailed(Ending.UNREACHABLE, "no address to connect to")
    tried = addresses[:MAX_TRIED]
    for left, address in zip(range(len(tried) - 1, -1, -1), tried, strict=True):
        now = loop.time()
        limit = now + (until - now) * SHARE if left else until
        try:
            async with asyncio.timeout_at(limit):
                _, wire = await loop.create_connection(lambda: Wire(loop), address, port)
            return wire
        except TimeoutError:
            failure = DialFailed(Ending.TIMEOUT, f"{address} port {port} did not accept a connection in time")
        except ConnectionRefusedError:
            failure = DialFailed(Ending.REFUSED, f"{address} port {port} refused the connection")
        except OSError as error:
            failure = DialFailed(
                Ending.UNREACHABLE, f"{address} port {port} cannot be reached: {error.strerror or error}"
            )
    raise failure


async def secure(wire: Wire, context: ssl.SSLContext, host: str, until: float) -> None:
    """Shake hands on a connection; drops it and raises DialFailed where that fails."""
    try:
        await wire.start_tls(context, host, until)
    except TimeoutError:
        wire.abort()
        raise DialFailed(Ending.TIMEOUT, "the TLS handshake did not end in time") from None
    except ssl.SSLCertVerificationError as error:
        wire.abort()
        raise DialFailed(Ending.TLS, f"the certificate is not accepted: {error.verify_message}") from error
    except (ssl.SSLError, OSError, ValueError) as error:  # ValueError: a name that no certificate can carry
        words = getattr(error, "reason", None) or error
        wire.abort()
        raise DialFailed(Ending.TLS, f"the TLS handshake failed: {words}") from error
    except asyncio.CancelledError:
        wire.abort()
        raise

"""Which IP addresses a crawl may connect to: what a name resolves to is input from strangers (DESIGN section 7).

A page, a redirect or a poisoned name must not lead the crawler to machines of the operator: private networks,
loopback, cloud metadata services, and the IPv6 forms that carry such an IPv4 address inside. Pure: it judges
addresses; resolving names and connecting to the address that was judged is left to `ingest.recorder`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from schemas.errors import InvalidValue

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Networks that no public web server lives in (IANA special-purpose registries, RFC 6890), and two more.
_FORBIDDEN: Final[tuple[tuple[Network, str], ...]] = tuple(
    (ip_network(network), words)
    for network, words in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private network"),
        ("100.64.0.0/10", "shared address space"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "metadata service of a cloud"),  # Azure's, in the public range
        ("169.254.0.0/16", "link-local, metadata services"),
        ("172.16.0.0/12", "private network"),
        ("192.0.0.0/24", "IETF protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private network"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved, broadcast"),
        ("::/128", "unspecified address"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("100::/64", "discard"),
        ("2001::/23", "IETF protocol assignments, Teredo"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "unique local network"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
#: All of IPv6 that is routed publicly today; the rest is unassigned or special.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
#: IPv6 forms that carry an IPv4 address in their last 32 bits: mapped (RFC 4291), translated (RFC 2765), NAT64
#: (RFC 6052), compatible (deprecated).
_CARRIERS: Final = tuple(IPv6Network(n) for n in ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "::/96"))
#: 6to4 carries it in bits 16 to 48 (RFC 3056).
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
#: Judgements kept: one crawl sees some hundred addresses again and again.
_REMEMBERED: Final = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class AddressPolicy:
    """The rule with the operator's exceptions."""

    allowed: tuple[Network, ...] = ()  # connected to although the rule forbids them

    @classmethod
    def of(cls, allow: Sequence[str]) -> AddressPolicy:
        """From CIDR texts (`[crawl] allow_addresses`). Raises InvalidValue."""
        return cls(allowed=tuple(_network(text) for text in allow))

    def refusal(self, address: str) -> str | None:
        """Why an address may not be connected to, in words; None where it may.

        What is no IP address at all is refused too: nothing is connected to that was not judged.
        """
        return _judge(address.partition("%")[0], self.allowed)


def _network(text: str) -> Network:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise InvalidValue(f"{text!r} is not an address range", remedy="write it like 127.0.0.0/8") from error


@lru_cache(maxsize=_REMEMBERED)
def _judge(text: str, allowed: tuple[Network, ...]) -> str | None:
    try:
        address: Address = ip_address(text)
    except ValueError:
        return f"{text!r} is not an IP address"
    forms = (address, *_carried(address))
    if any(form in network for form in forms for network in allowed):
        return None
    for form in forms:
        for network, words in _FORBIDDEN:
            if form in network:
                return f"{text} is forbidden: {words} ({network})"
    carried = len(forms) > 1
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST and not carried:
        return f"{text} is forbidden: not a public IPv6 address"
    return None


def _carried(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 address inside an IPv6 one, where there is one."""
    if isinstance(address, IPv4Address):
        return ()
    value = int(address)
    if any(address in carrier for carrier in _CARRIERS):
        return (IPv4Address(value & 0xFFFFFFFF),)
    if address in _SIX_TO_FOUR:
        return (IPv4Address((value >> 80) & 0xFFFFFFFF),)
    return ()

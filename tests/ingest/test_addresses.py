"""Which addresses are refused, in every disguise, and how the operator's exceptions work."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.addresses import Address, AddressPolicy
from schemas.errors import InvalidValue

FORBIDDEN = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.100.100.200", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.168.1.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::808:808", "2002:7f00:1::1", "2002:a00:1::",
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "3fff::1", "5f00::1", "100::1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "4000::1", "1::1", "e000::1",
    "", "localhost", "127.1", "0x7f000001", "2130706433", "1.2.3.4/8", "[::1]", "127.0.0.1\n",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255",
    "128.0.0.1", "168.63.129.17", "172.15.255.255", "172.32.0.1", "192.0.1.1", "198.17.255.255", "223.255.255.255",
    "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "2001:4860:4860::8888", "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8", "2002:808:808::1",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_inner_addresses_are_refused_with_words(address: str) -> None:
    refusal = AddressPolicy().refusal(address)
    assert refusal
    assert "\n" not in refusal


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_not(address: str) -> None:
    assert AddressPolicy().refusal(address) is None


@given(st.ip_addresses())
def test_nothing_passes_that_the_standard_library_calls_private(address: Address) -> None:
    if AddressPolicy().refusal(str(address)) is None:
        inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
        carried = address.version == 6 and address in ipaddress.ip_network("64:ff9b::/96")
        assert (inner or address).is_global or carried


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_every_disguise(address: ipaddress.IPv4Address) -> None:
    policy = AddressPolicy()
    plain = policy.refusal(str(address)) is None
    number = int(address)
    for disguise in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert (policy.refusal(str(ipaddress.IPv6Address(disguise))) is None) == plain


def test_exceptions_open_exactly_what_they_name() -> None:
    policy = AddressPolicy.of(["127.0.0.0/8", "fd00::/8", "10.1.2.3"])
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "fd00::1", "10.1.2.3"):
        assert policy.refusal(address) is None
    for address in ("10.1.2.4", "192.168.0.1", "fc00::1", "::1"):
        assert policy.refusal(address) is not None


@pytest.mark.parametrize("text", ["", "nonsense", "1.2.3.4/33", "1.2.3"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="address range"):
        AddressPolicy.of([text])

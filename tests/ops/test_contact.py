"""Nobody crawls a public address without saying who they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.settings import parse
from ops.wiring import need_contact
from schemas.errors import SettingsError
from schemas.outlets import Outlet


def outlet(url: str) -> Outlet:
    return Outlet(id="x", name="x", url=url, domain="x")


def check(url: str, *connect_to: str, contact: str = "") -> None:
    values = {"operator": {"contact": contact}, "crawl": {"connect_to": list(connect_to)}}
    need_contact(parse(values, Path("archive"), {}, where="here"), [outlet(url)])


@pytest.mark.parametrize(
    ("url", "connect_to"),
    [
        ("https://news.example/", ()),
        ("http://93.184.215.14/", ()),
        ("https://news.example/", ("other.example:443:127.0.0.1:8443",)),
        ("https://news.example/", (":443:proxy.example:443",)),
    ],
)
def test_a_public_outlet_needs_a_contact(url: str, connect_to: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="contact"):
        check(url, *connect_to)
    check(url, *connect_to, contact="desk@example.org")


@pytest.mark.parametrize(
    ("url", "connect_to"),
    [
        ("http://127.0.0.1:8080/", ()),
        ("http://[::1]:8080/", ()),
        ("http://localhost/", ()),
        ("https://news.example/", (":443:127.0.0.1:8443",)),
        ("https://news.example/", ("a.example:443:b:1", "news.example:443:[::1]:8443")),
    ],
)
def test_what_stays_at_home_needs_none(url: str, connect_to: tuple[str, ...]) -> None:
    check(url, *connect_to)

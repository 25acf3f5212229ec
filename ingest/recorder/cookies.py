"""Cookies that live as long as one redirect chain and no longer (DESIGN section 1, principle 7).

Some publishers set a cookie and redirect to the same page; without it that is an endless loop. So a chain of
redirects may carry cookies, in a jar that its maker throws away at the end. The rules of who gets which cookie are
the standard library's (RFC 6265 in essence).
"""

from __future__ import annotations

import http.client
import urllib.request
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, cast

#: Set-Cookie fields of one response that are looked at; browsers keep about 50 a site.
MAX_SET: Final = 50
#: Bytes of a Cookie header that is sent; servers refuse heads beyond some 8 kB.
MAX_SENT: Final = 4096


class Cookies:
    """The jar of one redirect chain."""

    def __init__(self) -> None:
        self._jar = CookieJar(DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrict))

    def header(self, url: str) -> str | None:
        """The value of the Cookie header for a URL; None where there is nothing to send."""
        request = urllib.request.Request(url)  # noqa: S310 - a value to ask the jar with; nothing is opened
        self._jar.add_cookie_header(request)
        value = request.get_header("Cookie")
        if value is None or len(value) > MAX_SENT or not (value.isascii() and value.isprintable()):
            return None
        return value

    def absorb(self, url: str, fields: tuple[tuple[bytes, bytes], ...]) -> None:
        """Keep what a response to `url` sets; `fields` are its header fields, names in lower case."""
        values = [value for name, value in fields if name == b"set-cookie" and len(value) <= MAX_SENT]
        if not values:
            return
        message = http.client.HTTPMessage()
        for value in values[:MAX_SET]:
            message["Set-Cookie"] = value.decode("latin-1")
        request = urllib.request.Request(url)  # noqa: S310 - as above
        self._jar.extract_cookies(cast(Any, _Response(message)), request)


class _Response:
    """What the jar asks of a response: its header fields."""

    def __init__(self, message: http.client.HTTPMessage) -> None:
        self._message = message

    def info(self) -> http.client.HTTPMessage:
        return self._message

"""The recorder against a real server on loopback: every byte, every ending, no exception."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.recorder import Cookies, Recorder, RecorderSettings
from ingest.recorder.dial import ConnectRule, route
from ingest.recorder.framing import Framer
from ingest.recorder.wire import iana_cipher
from ops.demo import faults
from ops.demo.faults import CASES, Case
from ops.demo.messages import Request, response
from ops.demo.wire import Answer, Send
from schemas import http1
from schemas.captures import Ending, Exchange
from schemas.errors import InvalidValue, SettingsError
from tests.support.newsroom import Newsroom, dead_port

LOOPBACK = ("127.0.0.0/8",)
BODY = b"<html><body><p>Harbour wall to be raised.</p><p>" + b"Work begins in May. " * 40 + b"</p></body></html>"


def settings(room: Newsroom | None = None, **changes: object) -> RecorderSettings:
    """Quick settings that may reach loopback; every host's default port goes to the newsroom."""
    values: dict[str, object] = {
        "user_agent": "Pressmark/0.1 (+mailto:desk@example.org)",
        "allow_addresses": LOOPBACK,
        "read_timeout": 5.0,
        "connect_timeout": 5.0,
        "total_timeout": 20.0,
    }
    if room is not None:
        values |= {"connect_to": (room.connect_to,), "ca_file": room.ca_file}
    return RecorderSettings(**(values | changes))  # type: ignore[arg-type]


def fetch(url: str, config: RecorderSettings, headers: Iterable[tuple[str, str]] = ()) -> Exchange:
    """One exchange on a recorder of its own."""
    return fetch_all([url], config, headers)[0]


def fetch_all(urls: Iterable[str], config: RecorderSettings, headers: Iterable[tuple[str, str]] = ()) -> list[Exchange]:
    """Exchanges one after the other on one recorder."""

    async def run() -> list[Exchange]:
        async with Recorder(config) as recorder:
            return [await recorder.fetch(url, headers=tuple(headers)) for url in urls]

    return asyncio.run(run())


# -- the bytes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True, 7])
@pytest.mark.parametrize("gzip", [False, True])
def test_a_page_is_kept_as_it_was_sent(newsroom: Newsroom, chunked: bool | int, gzip: bool) -> None:
    newsroom.page("/a", BODY, chunked=chunked, gzip=gzip, etag='"1"')
    exchange = fetch(newsroom.url("/a"), settings())
    assert exchange.ending is Ending.COMPLETE
    assert [exchange.response] == newsroom.sent("/a")
    assert exchange.request == newsroom.requests[0].raw
    view = http1.parse_response(exchange.response)
    assert (view.status, view.complete, view.trailing) == (200, True, b"")
    assert http1.entity_body(view, 1 << 20) == (BODY, None)
    assert (exchange.peer, exchange.port) == ("127.0.0.1", newsroom.port)
    assert exchange.addresses == ("127.0.0.1",)
    assert exchange.protocols == ("http/1.1",)
    assert exchange.detail == ""
    order = ["dns", "connect", "sent", "first_byte", "done"]
    assert list(exchange.timings) == order
    assert sorted(exchange.timings.values()) == [exchange.timings[name] for name in order]


def test_the_request_is_what_a_polite_crawler_sends(newsroom: Newsroom) -> None:
    newsroom.page("/a", BODY)
    url = newsroom.url("/a?b=1", host="lantern.example")
    fetch(url, settings(newsroom), [("If-None-Match", '"x"'), ("Accept", "text/xml")])
    request = newsroom.requests[0]
    assert request.raw.startswith(b"GET /a?b=1 HTTP/1.1\r\nHost: lantern.example\r\n")
    assert request.header("User-Agent") == "Pressmark/0.1 (+mailto:desk@example.org)"
    assert request.header("Accept-Encoding") == "gzip"
    assert request.header("Connection") == "keep-alive"
    assert request.header("Accept") == "text/xml"
    assert request.header("If-None-Match") == '"x"'
    assert request.header("Cookie") is None


def test_a_304_has_no_body_and_is_complete(newsroom: Newsroom) -> None:
    newsroom.page("/a", BODY, etag='"1"')
    exchange = fetch(newsroom.url("/a"), settings(), [("If-None-Match", '"1"')])
    assert exchange.ending is Ending.COMPLETE
    assert http1.parse_response(exchange.response).status == 304


def test_the_clock_gives_the_date(newsroom: Newsroom) -> None:
    newsroom.page("/a", BODY)
    at = datetime(2022, 9, 13, 12, 0, 0, 5, tzinfo=UTC)
    assert fetch(newsroom.url("/a"), settings(clock=lambda: at)).started == at


# -- the odd and broken answers -----------------------------------------------------------------------------------

#: What is at the end of the message where the server sent more, and heads that are kept apart.
LEFT_OUT = {"junk_after", "length_too_short", "body_on_304"}
#: Heads that the HTTP parser refuses and browsers read.
TOLERANT = {"equal_lengths_twice", "blank_before_colon", "return_in_header", "line_without_colon", "nul_in_header"}
ENDINGS = {
    "length_too_long": Ending.DISCONNECT,
    "missing_terminator": Ending.DISCONNECT,
    "broken_chunk_size": Ending.UNSPECIFIED,
    "negative_length": Ending.UNSPECIFIED,
    "endless_length": Ending.UNSPECIFIED,
    "huge_chunk_size": Ending.DISCONNECT,
    "not_chunked": Ending.DISCONNECT,
    "chunk_cut": Ending.DISCONNECT,
    "different_lengths": Ending.UNSPECIFIED,
    "reset_in_body": Ending.DISCONNECT,
    "not_http": Ending.UNSPECIFIED,
    "silence": Ending.NO_RESPONSE,
    "head_cut": Ending.DISCONNECT,
    "reset_at_once": Ending.NO_RESPONSE,
    "stall_in_body": Ending.TIME,
    "drip_for_ever": Ending.TIME,
    "body_for_ever": Ending.LENGTH,
    "chunks_for_ever": Ending.LENGTH,
    "stall_in_head": Ending.TIME,
    "headers_for_ever": Ending.LENGTH,
    "informational_for_ever": Ending.UNSPECIFIED,
    "huge_header": Ending.LENGTH,
    "many_headers": Ending.LENGTH,
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_odd_answer_is_kept_and_labelled(newsroom: Newsroom, case: Case) -> None:
    newsroom.raw("/a", case.script(BODY))
    short = {} if case.bounded else {"read_timeout": 0.5, "total_timeout": 1.5}
    exchange = fetch(newsroom.url("/a"), settings(max_head=64 * 1024, max_body=256 * 1024, **short))
    assert exchange.ending is ENDINGS.get(case.name, Ending.COMPLETE), exchange.detail
    sent = newsroom.sent("/a")[0]
    received = b"".join(exchange.informational) + exchange.response
    assert sent.startswith(received)
    if case.bounded and case.name not in LEFT_OUT:
        assert received == sent
    assert exchange.ending.has_response == bool(exchange.response)
    assert (exchange.ending is Ending.COMPLETE) == (exchange.detail == "") or case.name in LEFT_OUT | TOLERANT


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_stored_block_reads_as_complete_exactly_where_the_recorder_said_so(case: Case) -> None:
    framer = Framer(max_head=64 * 1024, max_body=256 * 1024)
    for part in case.script(BODY):
        data = part if isinstance(part, bytes) else getattr(part, "data", b"")
        if framer.feed(data[: 1 << 20]):
            break
    framer.close(clean=True)
    view = http1.parse_response(framer.response)
    if framer.ending is Ending.COMPLETE:
        assert view.complete
        assert view.trailing == b""
        assert framer.head is not None
        assert view.status == framer.head.status
    elif view.framing != "close":  # what a limit of ours cut from a body without a length cannot be told later
        assert not view.complete


def test_early_hints_are_not_the_answer(newsroom: Newsroom) -> None:
    newsroom.raw("/a", faults.several_informational(BODY))
    exchange = fetch(newsroom.url("/a"), settings())
    assert [head.split(b"\r\n")[0] for head in exchange.informational] == [
        b"HTTP/1.1 100 Continue", b"HTTP/1.1 102 Processing", b"HTTP/1.1 103 Early Hints",
    ]  # fmt: skip
    assert exchange.response.startswith(b"HTTP/1.1 200 OK")


def test_what_follows_the_message_is_left_out_and_told(newsroom: Newsroom) -> None:
    newsroom.raw("/a", faults.junk_after(BODY), keep=True)
    config = settings()
    first, second = fetch_all([newsroom.url("/a")] * 2, config)
    assert first.response.endswith(b"</html>")
    assert "27 bytes after the end" in first.detail
    assert second.response == first.response
    assert len(newsroom.connections) == 2, "a connection with junk on it is not used again"


def test_a_body_at_the_limit_is_whole_and_one_byte_more_is_cut(newsroom: Newsroom) -> None:
    newsroom.page("/fits", b"x" * 1000)
    newsroom.page("/over", b"x" * 1001)
    config = settings(max_body=1000)
    fits, over = fetch_all([newsroom.url("/fits"), newsroom.url("/over")], config)
    assert fits.ending is Ending.COMPLETE
    assert over.ending is Ending.LENGTH
    assert over.ending.truncated == "length"
    assert over.response == newsroom.sent("/over")[0][:-1]


def test_a_server_that_says_nothing_is_a_timeout(newsroom: Newsroom) -> None:
    newsroom.raw("/a", faults.Stall())
    exchange = fetch(newsroom.url("/a"), settings(read_timeout=0.2))
    assert exchange.ending is Ending.TIMEOUT
    assert exchange.request
    assert "0.2 s" in exchange.detail


# -- connections --------------------------------------------------------------------------------------------------


def test_a_connection_is_used_again(newsroom: Newsroom) -> None:
    newsroom.page("/a", BODY)
    exchanges = fetch_all([newsroom.url("/a")] * 3, settings())
    assert [e.ending for e in exchanges] == [Ending.COMPLETE] * 3
    assert len(newsroom.connections) == 1
    assert "connect" in exchanges[0].timings
    assert "connect" not in exchanges[1].timings
    assert exchanges[1].addresses == ("127.0.0.1",)


def test_a_connection_that_died_idle_is_made_anew(newsroom: Newsroom) -> None:
    newsroom.page("/a", BODY)
    newsroom.raw("/b", http1.print_head("HTTP/1.1 200 OK", [("Content-Length", "0")]), faults.Pause(seconds=0.2))

    async def run() -> list[Exchange]:
        async with Recorder(settings()) as recorder:
            first = await recorder.fetch(newsroom.url("/b"))
            second = await recorder.fetch(newsroom.url("/a"))
            return [first, second]

    first, second = asyncio.run(run())
    assert first.ending is Ending.COMPLETE
    assert second.ending is Ending.COMPLETE
    assert "asked again" in second.detail
    assert second.response == newsroom.sent("/a")[-1]
    assert len(newsroom.connections) == 2


def test_many_hosts_at_once_keep_their_answers_apart(newsroom: Newsroom) -> None:
    hosts = [f"h{number}.example" for number in range(20)]
    for host in hosts:
        newsroom.page("/", host * 50, host=host)

    async def run() -> list[Exchange]:
        async with Recorder(settings(newsroom)) as recorder:
            return await asyncio.gather(*(recorder.fetch(f"http://{host}/") for host in hosts))

    for host, exchange in zip(hosts, asyncio.run(run()), strict=True):
        assert http1.parse_response(exchange.response).payload == host.encode() * 50


def test_cancelling_passes_and_drops_the_connection(newsroom: Newsroom) -> None:
    newsroom.raw("/a", faults.stall_in_body(BODY))

    async def run() -> None:
        async with Recorder(settings(read_timeout=60.0, total_timeout=60.0)) as recorder:
            task = asyncio.create_task(recorder.fetch(newsroom.url("/a")))
            while not newsroom.exchanges("/a"):
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not recorder._idle

    asyncio.run(run())


def test_a_recorder_that_was_closed_keeps_no_connection(newsroom: Newsroom) -> None:
    """A fetch that is under way at that moment ends as it would have; its connection ends with it."""
    go_on = threading.Event()

    def answer(request: Request) -> Answer:
        assert go_on.wait(30)
        return Answer(steps=(Send(data=response(200, body=BODY)),))

    newsroom.answer("/a", answer)

    async def run() -> Exchange:
        async with Recorder(settings()) as recorder:
            task = asyncio.create_task(recorder.fetch(newsroom.url("/a")))
            while not newsroom.connections:
                await asyncio.sleep(0.01)
        go_on.set()
        exchange = await task
        async with asyncio.timeout(20):
            while newsroom.connections[0].closed is None:  # one that was kept stays open as long as its recorder lives
                await asyncio.sleep(0.01)
        return exchange

    assert asyncio.run(run()).ending is Ending.COMPLETE


# -- names and addresses ------------------------------------------------------------------------------------------


def test_connect_to_changes_the_connection_and_nothing_else(newsroom: Newsroom) -> None:
    newsroom.page("/a", BODY, host="www.lantern.example")
    exchange = fetch("http://www.lantern.example/a", settings(newsroom))
    assert exchange.url == "http://www.lantern.example/a"
    assert exchange.ending is Ending.COMPLETE
    assert newsroom.requests[0].host == "www.lantern.example"
    assert exchange.port == newsroom.port


def test_loopback_is_refused_unless_allowed(newsroom: Newsroom) -> None:
    newsroom.page("/a", BODY)
    for url, config in (
        (newsroom.url("/a"), settings(allow_addresses=())),
        ("http://lantern.example/a", settings(newsroom, allow_addresses=())),
        (f"http://localhost:{newsroom.port}/a", settings(allow_addresses=("10.0.0.0/8",))),
        (f"http://[::ffff:127.0.0.1]:{newsroom.port}/a", settings(allow_addresses=())),
    ):
        exchange = fetch(url, config)
        assert exchange.ending is Ending.ADDRESS_DENIED
        assert exchange.addresses
        assert "loopback" in exchange.detail
        assert exchange.request == b""
    assert newsroom.connections == []


def test_a_name_that_does_not_exist() -> None:
    exchange = fetch("http://no-such-host.invalid/", settings())
    assert exchange.ending is Ending.DNS
    assert "no-such-host.invalid" in exchange.detail


def test_names_that_nobody_answers_for_hold_up_no_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver blocks its thread long after we have given up; a deposit needs a thread too."""
    others_worked = threading.Event()
    seen: list[bool] = []

    def no_answer(host: str, *_: object, **__: object) -> list[object]:
        seen.append(others_worked.wait(20))
        raise socket.gaierror(socket.EAI_AGAIN, "no name server answers")

    monkeypatch.setattr(socket, "getaddrinfo", no_answer)

    async def run() -> list[Exchange]:
        async with Recorder(settings()) as recorder:
            names = [f"http://silent-{n}.example/" for n in range(24)]
            fetches = [asyncio.create_task(recorder.fetch(name)) for name in names]
            await asyncio.sleep(0)
            await asyncio.to_thread(others_worked.set)
            return await asyncio.gather(*fetches)

    assert {exchange.ending for exchange in asyncio.run(run())} == {Ending.DNS}
    assert seen == [True] * 24


def test_a_port_where_nobody_listens() -> None:
    exchange = fetch(f"http://127.0.0.1:{dead_port()}/", settings())
    assert exchange.ending is Ending.REFUSED
    assert exchange.addresses == ("127.0.0.1",)


@pytest.mark.parametrize("url", ["ftp://x.example/", "http:///", "http://a b/", "nonsense", "http://x\r\ny/", ""])
def test_what_is_no_url_is_an_attempt(url: str) -> None:
    exchange = fetch(url, settings())
    assert exchange.ending is Ending.BAD_URL
    assert exchange.detail


def test_a_hostile_header_value_is_left_out_and_told(newsroom: Newsroom) -> None:
    newsroom.page("/a", BODY)
    exchange = fetch(newsroom.url("/a"), settings(), [("If-None-Match", '"a"\r\nX-Evil: 1'), ("X-Fine", "1")])
    assert exchange.ending is Ending.COMPLETE
    assert b"Evil" not in exchange.request
    assert b"X-Fine: 1" in exchange.request
    assert "If-None-Match was not sent" in exchange.detail
    with pytest.raises(InvalidValue):
        fetch(newsroom.url("/a"), settings(), [("X Y", "1")])


def test_settings_that_cannot_be_carried_out_are_refused(tmp_path: Path) -> None:
    for changes in (
        {"user_agent": "a\r\nb"}, {"user_agent": " "}, {"allow_addresses": ("x",)}, {"connect_to": ("a:b",)},
    ):  # fmt: skip
        with pytest.raises(InvalidValue):
            Recorder(settings(None, **changes))
    with pytest.raises(SettingsError, match="ca_file"):
        Recorder(settings(ca_file=tmp_path / "missing.pem"))
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(SettingsError):
        Recorder(settings(ca_file=tmp_path / "empty.pem"))


NAMES = st.one_of(st.just(""), st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True), st.just("::1"))
PORTS = st.one_of(st.none(), st.integers(1, 65_535))


@given(NAMES, PORTS, NAMES, PORTS)
def test_a_connect_to_rule_prints_and_reads_back(host: str, port: int | None, to: str, to_port: int | None) -> None:
    rule = ConnectRule(host=host, port=port, to_host=to, to_port=to_port)
    assert ConnectRule.parse(str(rule)) == rule


def test_connect_to_is_curls() -> None:
    rules = [ConnectRule.parse(text) for text in ("a.example:443:127.0.0.1:8443", ":443::9443", "b.example::[::1]:")]
    assert route(rules, "a.example", 443) == ("127.0.0.1", 8443)
    assert route(rules, "a.example", 80) == ("a.example", 80)
    assert route(rules, "c.example", 443) == ("c.example", 9443)
    assert route(rules, "b.example", 80) == ("::1", 80)
    for text in ("", "a:b:c:d", "a:1:b", "a:1:b:99999", "a:0:b:1"):
        with pytest.raises(InvalidValue):
            ConnectRule.parse(text)


# -- TLS ----------------------------------------------------------------------------------------------------------


def test_tls_is_verified_and_recorded(tls_newsroom: Newsroom) -> None:
    tls_newsroom.page("/a", BODY, gzip=True)
    one, two = fetch_all(["https://www.lantern.example/a"] * 2, settings(tls_newsroom))
    assert one.ending is two.ending is Ending.COMPLETE
    assert [one.response, two.response] == tls_newsroom.sent("/a")
    assert one.protocols == ("http/1.1", "tls/1.3")
    assert one.cipher == "TLS_AES_256_GCM_SHA384"
    assert one.chain_complete
    assert len(one.certificates) == 2
    assert tls_newsroom.ca_file is not None
    assert one.certificates[1] == ssl.PEM_cert_to_DER_cert(tls_newsroom.ca_file.read_text())
    assert list(one.timings) == ["dns", "connect", "tls", "sent", "first_byte", "done"]
    assert (two.certificates, two.cipher) == (one.certificates, one.cipher)
    assert len(tls_newsroom.connections) == 1
    assert tls_newsroom.connections[0].sni == "www.lantern.example"


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.bounded and case.name != "not_http"], ids=lambda case: case.name
)
def test_over_tls_the_odd_answers_are_the_same(tls_newsroom: Newsroom, case: Case) -> None:
    tls_newsroom.raw("/a", case.script(BODY))
    exchange = fetch(tls_newsroom.url("/a", host="lantern.example"), settings(tls_newsroom, read_timeout=2.0))
    assert exchange.ending is ENDINGS.get(case.name, Ending.COMPLETE), exchange.detail
    received = b"".join(exchange.informational) + exchange.response
    assert tls_newsroom.sent("/a")[0].startswith(received)


def test_a_missing_close_notify_is_noted(tls_newsroom: Newsroom) -> None:
    tls_newsroom.raw("/cut", faults.cut_in_body(BODY))
    tls_newsroom.raw("/fine", faults.until_close(BODY))
    urls = [tls_newsroom.url(path, host="lantern.example") for path in ("/cut", "/fine")]
    cut, fine = fetch_all(urls, settings(tls_newsroom))
    assert cut.ending is fine.ending is Ending.COMPLETE
    assert "close_notify" in cut.detail
    assert fine.detail == ""


def test_a_large_body_over_tls_flows_through_a_bounded_buffer(tls_newsroom: Newsroom) -> None:
    tls_newsroom.page("/a", b"0123456789abcdef" * (1 << 19))
    exchange = fetch(tls_newsroom.url("/a", host="lantern.example"), settings(tls_newsroom))
    assert exchange.ending is Ending.COMPLETE
    assert [exchange.response] == tls_newsroom.sent("/a")


def test_bad_certificates_end_the_attempt() -> None:
    for room in (Newsroom(tls=True, certificate_for=["other.example"]), Newsroom(tls=True, expired=True)):
        with room:
            room.page("/a", BODY)
            exchange = fetch("https://lantern.example/a", settings(room))
            assert exchange.ending is Ending.TLS
            assert "certificate" in exchange.detail
            assert exchange.request == b""
            assert exchange.peer == "127.0.0.1"


def test_an_authority_that_is_not_trusted(tls_newsroom: Newsroom) -> None:
    exchange = fetch("https://lantern.example/", settings(tls_newsroom, ca_file=None))
    assert exchange.ending is Ending.TLS
    assert tls_newsroom.requests == []


def test_a_server_without_tls() -> None:
    def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ready\r\n")
        writer.close()

    async def run() -> Exchange:
        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server, Recorder(settings()) as recorder:
            port = server.sockets[0].getsockname()[1]
            return await recorder.fetch(f"https://127.0.0.1:{port}/")

    exchange = asyncio.run(run())
    assert exchange.ending is Ending.TLS
    assert exchange.response == b""


def test_a_handshake_that_never_ends_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes the connection, nobody answers
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        exchange = fetch(url, settings(connect_timeout=1.0))
    assert exchange.ending is Ending.TIMEOUT
    assert "handshake" in exchange.detail


def test_cipher_names_are_those_of_the_registry() -> None:
    assert iana_cipher("TLS_AES_128_GCM_SHA256") == "TLS_AES_128_GCM_SHA256"
    assert iana_cipher("ECDHE-RSA-AES128-GCM-SHA256") == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    assert iana_cipher("ECDHE-ECDSA-CHACHA20-POLY1305") == "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
    assert iana_cipher("ECDHE-RSA-AES256-SHA384") == "ECDHE-RSA-AES256-SHA384"


# -- cookies ------------------------------------------------------------------------------------------------------


def test_cookies_live_for_one_chain(newsroom: Newsroom) -> None:
    newsroom.page("/set", BODY, status=302, headers=[("Location", "/a"), ("Set-Cookie", "seen=1; Path=/; HttpOnly")])
    newsroom.page("/a", BODY)

    async def run() -> None:
        async with Recorder(settings(newsroom)) as recorder:
            jar = Cookies()
            await recorder.fetch("http://lantern.example/set", cookies=jar)
            await recorder.fetch("http://lantern.example/a", cookies=jar)
            await recorder.fetch("http://other.example/a", cookies=jar)
            await recorder.fetch("http://lantern.example/a")

    asyncio.run(run())
    assert [request.header("Cookie") for request in newsroom.requests] == [None, "seen=1", None, None]


def test_hostile_cookies_are_harmless() -> None:
    jar = Cookies()
    fields = [b"a=\x00\xff", b"=", b";;;", b"b=2; Domain=.example", b"c=" + b"x" * 10_000, b"d=1; Expires=never"]
    jar.absorb("http://lantern.example/", tuple((b"set-cookie", value) for value in fields * 100))
    header = jar.header("http://lantern.example/")
    assert header is None or header.isascii()
    assert jar.header("http://other.example/") is None


def test_a_fetch_takes_no_longer_than_the_total_timeout(newsroom: Newsroom) -> None:
    newsroom.raw("/a", faults.drip_for_ever(BODY))
    begun = time.monotonic()
    exchange = fetch(newsroom.url("/a"), settings(total_timeout=0.4))
    assert exchange.ending is Ending.TIME
    assert timedelta(seconds=time.monotonic() - begun) >= timedelta(seconds=0.4)
    assert exchange.timings["done"] >= 400_000

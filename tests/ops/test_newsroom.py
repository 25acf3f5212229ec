"""The test double of the world does what it says: what it remembers is what a plain socket receives."""

from __future__ import annotations

import gzip
import socket
import ssl
import time

import pytest

from ops.demo import faults
from ops.demo.messages import Request, response
from ops.demo.wire import Answer, Send
from tests.support.newsroom import Newsroom, dead_port
from tests.support.services import Bucket

BODY = "<html><body><p>Nebel über dem Hafen, seit heute früh.</p></body></html>".encode() * 5
BOUNDED = [case for case in faults.CASES if case.bounded]


def ask(room: Newsroom, path: str, *lines: str, host: str = "paper.example") -> bytes:
    """Everything that a plain socket receives for one request until the server ends the connection."""
    request = "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *lines, "", ""])
    with socket.create_connection(("127.0.0.1", room.port)) as plain, connection(room, plain, host) as stream:
        stream.sendall(request.encode("latin-1"))
        return read_all(stream)


def connection(room: Newsroom, plain: socket.socket, host: str) -> socket.socket:
    if room.ca_file is None:
        return plain
    context = ssl.create_default_context(cafile=str(room.ca_file))
    return context.wrap_socket(plain, server_hostname=host, suppress_ragged_eofs=True)


def read_all(stream: socket.socket) -> bytes:
    got = bytearray()
    try:
        while part := stream.recv(1 << 16):
            got += part
    except ConnectionResetError:
        pass
    return bytes(got)


@pytest.mark.parametrize("case", BOUNDED, ids=lambda case: case.name)
def test_bytes_received_are_bytes_remembered(newsroom: Newsroom, case: faults.Case) -> None:
    newsroom.raw("/case", case.script(BODY))
    got = ask(newsroom, "/case")
    assert newsroom.sent("/case") == [got]


@pytest.mark.parametrize("case", BOUNDED, ids=lambda case: case.name)
def test_bytes_received_over_tls_are_bytes_remembered(tls_newsroom: Newsroom, case: faults.Case) -> None:
    tls_newsroom.raw("/case", case.script(BODY))
    got = ask(tls_newsroom, "/case")
    assert tls_newsroom.sent("/case") == [got]


def test_cases_that_never_end_are_ended_by_the_client_and_by_stop(newsroom: Newsroom) -> None:
    endless = [case for case in faults.CASES if not case.bounded and "huge" not in case.name]
    held = []
    for case in endless:
        newsroom.raw(f"/{case.name}", case.script(BODY))
        stream = socket.create_connection(("127.0.0.1", newsroom.port))
        stream.sendall(f"GET /{case.name} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode())
        assert stream.recv(10) == b"HTTP/1.1 2" or not case.head or case.name == "many_headers"
        held.append(stream)
    for stream in held[::2]:
        stream.close()
    newsroom.stop()
    for stream in held:
        stream.close()
    assert len(newsroom.requests) == len(endless)


def test_page_chunked_and_gzipped_only_for_who_accepts_it(newsroom: Newsroom) -> None:
    newsroom.page("/a", BODY, chunked=True, gzip=True)
    plain = ask(newsroom, "/a")
    packed = ask(newsroom, "/a", "Accept-Encoding: gzip")
    assert b"Transfer-Encoding: chunked" in plain
    assert b"Content-Encoding" not in plain
    assert BODY[:40] in plain
    assert b"Content-Encoding: gzip" in packed
    _, _, framed = packed.partition(b"\r\n\r\n")
    size, _, rest = framed.partition(b"\r\n")
    assert gzip.decompress(rest[: int(size, 16)]) == BODY


def test_validators_that_hold_are_answered_304(newsroom: Newsroom) -> None:
    newsroom.page("/a", BODY, etag='"v1"', last_modified=1_700_000_000)
    assert ask(newsroom, "/a", 'If-None-Match: "v1"').startswith(b"HTTP/1.1 304 Not Modified\r\n")
    assert ask(newsroom, "/a", 'If-None-Match: "v2"').startswith(b"HTTP/1.1 200 OK\r\n")
    same = "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"
    assert ask(newsroom, "/a", same).startswith(b"HTTP/1.1 304")
    assert ask(newsroom, "/a", "If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT").startswith(b"HTTP/1.1 200")
    assert ask(newsroom, "/a", 'If-None-Match: "v2"', same).startswith(b"HTTP/1.1 200")


def test_hosts_have_pages_of_their_own(newsroom: Newsroom) -> None:
    newsroom.page("/", "everyone")
    newsroom.page("/", "one alone", host="one.example")
    assert ask(newsroom, "/", host="one.example").endswith(b"one alone")
    assert ask(newsroom, "/", host="two.example:8080").endswith(b"everyone")
    assert newsroom.asked("one.example") == ["/"]
    assert [request.host for request in newsroom.requests] == ["one.example", "two.example"]


def test_tls_knows_each_host_by_its_name(tls_newsroom: Newsroom) -> None:
    tls_newsroom.page("/", "hello")
    for host in ("one.example", "two.example"):
        assert ask(tls_newsroom, "/", host=host).endswith(b"hello")
    assert [request.sni for request in tls_newsroom.requests] == ["one.example", "two.example"]


@pytest.mark.parametrize(
    ("facts", "why"), [({"certificate_for": ["other.example"]}, "mismatch"), ({"expired": True}, "expired")]
)
def test_bad_certificates_are_refused_by_a_checking_client(facts: dict[str, object], why: str) -> None:
    with Newsroom(tls=True, **facts) as room, pytest.raises(ssl.SSLCertVerificationError, match=why):
        ask(room, "/", host="127.0.0.1")


def test_connection_is_kept_and_its_requests_told_apart(newsroom: Newsroom) -> None:
    newsroom.page("/a", "first")
    newsroom.page("/b", "second")
    with socket.create_connection(("127.0.0.1", newsroom.port)) as stream:
        stream.sendall(b"GET /a HTTP/1.1\r\nHost: x.example\r\n\r\nGET /b?q=1 HTTP/1.0\r\nHost: x.example\r\n\r\n")
        got = read_all(stream)
    assert len(newsroom.connections) == 1
    assert newsroom.connections[0].sent == got
    assert newsroom.sent("/a")[0] + newsroom.sent("/b?q=1")[0] == got


def test_answers_in_turn(newsroom: Newsroom) -> None:
    newsroom.in_turn(
        "/a",
        lambda path: newsroom.page(path, "busy", status=503),
        lambda path: newsroom.page(path, "fine"),
    )
    statuses = [ask(newsroom, "/a").split(b" ")[1] for _ in range(3)]
    assert statuses == [b"503", b"200", b"200"]


def test_redirects_and_missing_pages(newsroom: Newsroom) -> None:
    newsroom.redirect("/old", "/new", status=308)
    newsroom.page("/gone", "x")
    newsroom.remove("/gone")
    assert ask(newsroom, "/old").startswith(b"HTTP/1.1 308 Permanent Redirect\r\nContent-Type: text/html")
    assert b"\r\nLocation: /new\r\n" in ask(newsroom, "/old")
    assert ask(newsroom, "/gone").startswith(b"HTTP/1.1 404")


def test_pace_and_open_connections_are_measured(newsroom: Newsroom) -> None:
    newsroom.page("/", "x")
    ask(newsroom, "/", host="one.example")
    time.sleep(0.05)
    ask(newsroom, "/", host="one.example")
    ask(newsroom, "/", host="two.example")
    assert len(newsroom.server.gaps("one.example")) == 1
    assert newsroom.server.gaps("one.example")[0] >= 0.05
    assert newsroom.server.gaps("two.example") == []
    with socket.create_connection(("127.0.0.1", newsroom.port)) as first:
        first.sendall(b"GET / HTTP/1.1\r\nHost: one.example\r\n\r\n")
        assert first.recv(10)
        ask(newsroom, "/", host="one.example")
    assert newsroom.server.peak("one.example") == 2
    assert newsroom.server.peak("two.example") == 1


def test_fault_in_a_handler_is_told_at_the_end() -> None:
    room = Newsroom()
    room.start()

    def broken(request: Request) -> Answer:
        raise KeyError(request.path)

    room.answer("/", broken)
    assert ask(room, "/").startswith(b"HTTP/1.1 500")
    with pytest.raises(RuntimeError, match="handler"):
        room.stop()


def test_head_request_gets_no_body(newsroom: Newsroom) -> None:
    newsroom.page("/a", BODY)
    with socket.create_connection(("127.0.0.1", newsroom.port)) as stream:
        stream.sendall(b"HEAD /a HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n")
        got = read_all(stream)
    assert got.endswith(b"\r\n\r\n")
    assert f"Content-Length: {len(BODY)}".encode() in got


def test_answer_by_function_sees_the_request(newsroom: Newsroom) -> None:
    newsroom.answer("/echo", lambda request: Answer(steps=(Send(data=response(200, body=request.raw)),)))
    assert ask(newsroom, "/echo", "X-Odd:  two  words ").endswith(b"X-Odd:  two  words \r\n\r\n")


def test_nobody_listens_on_a_dead_port() -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", dead_port()))


def test_postgres_gives_each_test_a_database(postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url.replace("+psycopg", "")) as db:
        row = db.execute("select current_database()").fetchone()
    assert row is not None
    assert row[0].startswith("test_")
    assert row[0] in postgres_url


def test_s3_bucket_is_empty_and_takes_objects(s3_bucket: Bucket) -> None:
    client = s3_bucket.client()
    client.put_object(Bucket=s3_bucket.name, Key="a", Body=b"1")
    assert client.list_objects_v2(Bucket=s3_bucket.name)["KeyCount"] == 1
    client.close()
    assert s3_bucket.url.startswith(f"s3://{s3_bucket.name}/prefix?endpoint=http://127.0.0.1:")

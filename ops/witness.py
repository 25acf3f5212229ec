"""The witness's small HTTP server: POST /add-checkpoint, and nothing else (C2SP tlog-witness).

What is cosigned is decided in `storage.log.witness`. Whoever can reach it may ask: requests are bounded in size and
time, and only checkpoints that a known log signed are looked at further. TLS is left to a proxy in front of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from schemas.errors import PressmarkError
from schemas.witnessing import MAX_REQUEST
from storage.log.witness import PLAIN, Reply, WitnessBook

PATH: Final = "/add-checkpoint"
#: Seconds that a client may take for one request, and a connection may idle.
PATIENCE: Final = 30.0
#: Requests served at a time: each is a thread, and a signature check takes milliseconds.
MAX_AT_ONCE: Final = 32


class WitnessServer(ThreadingHTTPServer):
    """Serves one book. `server_address` says where, `say` gets a line for each request that was not granted."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], book: WitnessBook, say: Callable[[str], None]) -> None:
        self.book, self.say = book, say
        self.room = threading.BoundedSemaphore(MAX_AT_ONCE)
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is nothing to tell of."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive, as the specification asks
    timeout = PATIENCE
    server: WitnessServer

    def do_POST(self) -> None:
        with self.server.room:
            self._answer(self._reply())

    def do_GET(self) -> None:
        self._answer(Reply(status=405 if self.path == PATH else 404, body=b"POST /add-checkpoint\n"))

    def _reply(self) -> Reply:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()) or self.headers.get("Transfer-Encoding") is not None:
            self.close_connection = True
            return Reply(status=411, body=b"a request has a Content-Length\n")
        if len(length) > 9 or int(length) > MAX_REQUEST:
            self.close_connection = True
            return Reply(status=413, body=b"a request is not that large\n")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            self.close_connection = True
            return Reply(status=400, body=b"the request broke off\n")
        if self.path != PATH:
            return Reply(status=404, body=b"POST /add-checkpoint\n")
        try:
            reply = self.server.book.add_checkpoint(body)
        except PressmarkError as error:
            self.server.say(f"pressmark: {error}")
            return Reply(status=500, body=b"the witness cannot keep its state\n")
        if reply.status not in (200, 409):
            self.server.say(f"refused {reply.status}: {reply.body.decode('utf-8', 'replace').strip()}")
        return reply

    def _answer(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type if reply.body else PLAIN)
        self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)

    def version_string(self) -> str:
        return "pressmark"

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: what was cosigned is kept."""

"""Connections by themselves: what a socket brought is what the connection gives, whatever else its process does."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from ingest.recorder.wire import Wire

MIB = 1024 * 1024


def pour(sock: socket.socket, byte: bytes) -> None:
    """Send a stream of one byte, and end."""
    with sock:
        for _ in range(48):
            sock.sendall(byte * MIB)


def received(sock: socket.socket) -> tuple[set[int], int]:
    """(the bytes that came, how many) on an event loop of its own."""

    async def read() -> tuple[set[int], int]:
        loop = asyncio.get_running_loop()
        transport, wire = await loop.create_connection(lambda: Wire(loop), sock=sock)
        found: set[int] = set()
        length = 0
        while pieces := await wire.read(loop.time() + 60):
            for piece in pieces:
                found |= set(piece)
                length += len(piece)
        transport.close()
        return found, length

    return asyncio.run(read())


def test_event_loops_of_two_threads_share_no_bytes() -> None:
    pairs = [socket.socketpair(socket.AF_UNIX) for _ in range(2)]
    senders = [threading.Thread(target=pour, args=(far, bytes([65 + n]))) for n, (_, far) in enumerate(pairs)]
    for sender in senders:
        sender.start()
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(received, [near for near, _ in pairs]))
    for sender in senders:
        sender.join()
    assert results == [({65}, 48 * MIB), ({66}, 48 * MIB)]

"""A witness: what it cosigns, each status code of the specification, and that nothing rolls it back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.checkpoints import (
    ALGORITHM_COSIGNATURE,
    Checkpoint,
    Note,
    VerifierKey,
    open_checkpoint,
    parse_signature_lines,
)
from schemas.cosignatures import verify_cosignature, with_signatures
from schemas.errors import DamageError, UsageError
from schemas.merkle import EMPTY_ROOT, consistency_path, node_hash, root_of
from schemas.witnessing import SIZE_TYPE, AddCheckpoint
from storage.log.signing import Signer
from storage.log.witness import LOGS_FILE, STATE_FOLDER, WitnessBook, add_logs, read_logs
from tests.schemas.evidence import Key

NOW = datetime(2026, 11, 25, tzinfo=UTC)
LEAVES = [bytes([n]) * 32 for n in range(64)]
FORK = [*LEAVES[:3], b"\xff" * 32, *LEAVES[4:]]
LOG = Key.make(1, "log.example")


def note(size: int, leaves: list[bytes] = LEAVES, key: Key = LOG) -> bytes:
    root = root_of(leaves[:size]) if size else EMPTY_ROOT
    return key.sign(Checkpoint(origin=key.vkey.name, size=size, root=root))


def request(old: int, size: int, leaves: list[bytes] = LEAVES, **change: bytes) -> bytes:
    def get(level: int, index: int) -> bytes:
        return leaves[index] if level == 0 else node_hash(get(level - 1, 2 * index), get(level - 1, 2 * index + 1))

    proof = tuple(consistency_path(old, size, get)) if 0 < old <= size else ()
    return AddCheckpoint(old=old, proof=proof, checkpoint=change.get("checkpoint", note(size, leaves))).encode()


@pytest.fixture
def open_book(tmp_path: Path) -> Callable[[], WitnessBook]:
    signer = Signer.create(tmp_path / "witness.key", "witness.example/w", algorithm=ALGORITHM_COSIGNATURE)
    return lambda: WitnessBook(tmp_path, signer, [LOG.vkey], lambda: NOW)


@pytest.fixture
def book(open_book: Callable[[], WitnessBook]) -> WitnessBook:
    return open_book()


def test_a_growing_log_is_cosigned(book: WitnessBook) -> None:
    old = 0
    for size in (0, 1, 1, 5, 8, 33, 64):
        reply = book.add_checkpoint(request(old, size))
        assert (reply.status, reply.content_type.partition(";")[0]) == (200, "text/plain"), reply.body
        cosigned = with_signatures(Note.parse(note(size)), parse_signature_lines(reply.body))
        assert verify_cosignature(cosigned, book.signer.vkey) == int(NOW.timestamp())
        assert open_checkpoint(cosigned.encode(), LOG.vkey).size == size
        old = size


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"old 5\n\nno checkpoint\n", 400),
        (b"old 5\n\n" + note(9).replace(b"\n9\n", b"\nnine\n"), 400),
        (request(9, 5), 400),
        (request(5, 9, checkpoint=note(9, key=Key.make(1, "other.example"))), 404),
        (request(5, 9, checkpoint=note(9, key=Key.make(2, "log.example"))), 403),
        (request(5, 9, checkpoint=note(9).replace(b"\n9\n", b"\n8\n")), 403),
        (request(0, 9), 409),
        (request(4, 9), 409),
        (request(6, 9), 409),
        (request(0, 3), 409),
        (request(5, 5, FORK), 409),
        (request(5, 9, FORK), 422),
        (request(5, 9).replace(b"old 5\n", b"old 5\n" + b"A" * 43 + b"=\n"), 422),
        (AddCheckpoint(old=5, proof=(), checkpoint=note(9)).encode(), 422),
        (AddCheckpoint(old=5, proof=(bytes(32),), checkpoint=note(5)).encode(), 422),
    ],
)
def test_each_status_of_the_specification(book: WitnessBook, body: bytes, status: int) -> None:
    assert book.add_checkpoint(request(0, 5)).status == 200
    reply = book.add_checkpoint(body)
    assert reply.status == status, reply.body
    if status == 409:
        assert (reply.content_type, reply.body) == (SIZE_TYPE, b"5\n")
    assert book.add_checkpoint(request(5, 9)).status == 200, "a refusal changes nothing"


def test_a_proof_where_none_is_due_is_refused(book: WitnessBook) -> None:
    assert book.add_checkpoint(AddCheckpoint(old=0, proof=(bytes(32),), checkpoint=note(5)).encode()).status == 422


def test_what_was_cosigned_is_known_after_a_restart(open_book: Callable[[], WitnessBook]) -> None:
    assert open_book().add_checkpoint(request(0, 9)).status == 200
    again = open_book()
    assert again.add_checkpoint(request(0, 9)).status == 409
    assert again.add_checkpoint(request(9, 9)).status == 200
    assert again.add_checkpoint(request(0, 3)).body == b"9\n"


def test_a_log_with_two_keys_is_known_by_either(tmp_path: Path, open_book: Callable[[], WitnessBook]) -> None:
    second = Key.make(7, "log.example")
    signer = open_book().signer
    book = WitnessBook(tmp_path, signer, [LOG.vkey, second.vkey], lambda: NOW)
    assert book.add_checkpoint(request(0, 5)).status == 200
    assert book.add_checkpoint(request(5, 9, checkpoint=note(9, key=second))).status == 200


def test_of_many_requests_at_once_only_what_continues_is_granted(open_book: Callable[[], WitnessBook]) -> None:
    """Threads over two books of one folder race from each size to the next: sizes granted only ever grow."""
    books = [open_book(), open_book()]
    granted: list[int] = []
    lock = threading.Lock()

    def race(number: int) -> None:
        size = 0
        while size < 60:
            reply = books[number % 2].add_checkpoint(request(size, size + 1 + number % 3))
            if reply.status == 200:
                with lock:
                    granted.append(size)
                size += 1 + number % 3
            else:
                assert reply.status == 409, reply.body
                size = int(reply.body)

    threads = [threading.Thread(target=race, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == len(set(granted)), "two checkpoints were granted from one size"


def test_a_damaged_state_grants_nothing(tmp_path: Path, book: WitnessBook) -> None:
    book.add_checkpoint(request(0, 5))
    (path,) = (tmp_path / STATE_FOLDER).iterdir()
    for wrong in (b"", note(5, key=Key.make(1, "other.example"))):
        path.write_bytes(wrong)
        with pytest.raises(DamageError):
            book.add_checkpoint(request(5, 9))


def test_the_list_of_logs_grows_and_reads_back(tmp_path: Path) -> None:
    other = VerifierKey.parse(str(Key.make(3, "b.example").vkey))
    assert add_logs(tmp_path, [LOG.vkey]) == [LOG.vkey]
    assert add_logs(tmp_path, [other, LOG.vkey]) == [LOG.vkey, other] == read_logs(tmp_path)
    (tmp_path / LOGS_FILE).write_text(f"# ours\n\n{other}\n")
    assert read_logs(tmp_path) == [other]
    (tmp_path / LOGS_FILE).write_text("nonsense\n")
    with pytest.raises(UsageError, match="line 1"):
        read_logs(tmp_path)

"""A witness: cosigns checkpoints of the logs that it knows, each only if it continues what it cosigned before.

Source: c2sp.org/tlog-witness, `add-checkpoint`. For each log it keeps the last note that it cosigned, and nothing else;
looking at it and replacing it are one step under a lock that other processes see too, durable before the answer. How
requests travel is left to `ops.witness`.
"""

from __future__ import annotations

import fcntl
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from schemas.checkpoints import Checkpoint, Note, VerifierKey, note_signature_line, verify_note
from schemas.errors import CheckFailed, DamageError, InvalidValue, UsageError
from schemas.merkle import EMPTY_ROOT, verify_consistency
from schemas.witnessing import SIZE_TYPE, AddCheckpoint, print_size
from storage.disk import disk_errors, write_durably
from storage.log.signing import Signer

KEY_FILE: Final = "witness.key"
LOGS_FILE: Final = "logs"
STATE_FOLDER: Final = "cosigned"
LOCK_FILE: Final = "lock"
PLAIN: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer to `add-checkpoint`."""

    status: int
    body: bytes
    content_type: str = PLAIN


class WitnessBook:
    """The state of a witness in a folder of its own. Safe for threads and for several processes."""

    def __init__(
        self, folder: Path, signer: Signer, logs: Iterable[VerifierKey], clock: Callable[[], datetime]
    ) -> None:
        """`logs` are the keys of the logs that are cosigned; one log may have several."""
        self.signer = signer
        self._folder, self._clock = folder, clock
        self._keys: dict[str, list[VerifierKey]] = {}
        for vkey in logs:
            self._keys.setdefault(vkey.name, []).append(vkey)
        self._thread_lock = threading.Lock()
        with disk_errors(f"cannot make {folder / STATE_FOLDER}"):
            (folder / STATE_FOLDER).mkdir(parents=True, exist_ok=True)

    def add_checkpoint(self, data: bytes) -> Reply:
        """Answer a request, by the steps of the specification. Raises DiskError, DamageError."""
        # 1. The request and its checkpoint can be read.
        try:
            asked = AddCheckpoint.parse(data)
            note = Note.parse(asked.checkpoint)
            head = Checkpoint.parse(note.text)
        except InvalidValue as error:
            return _refusal(400, str(error))
        # 2. The log is known, and one of its keys signed; other signatures are ignored.
        keys = self._keys.get(head.origin)
        if keys is None:
            return _refusal(404, "no such log is witnessed here")
        if not any(_signed(note, key) for key in keys):
            return _refusal(403, "no signature by a key of that log")
        # 3. The old size is not beyond the new one.
        if asked.old > head.size:
            return _refusal(400, "the old size is beyond that of the checkpoint")
        # 4. From here on nobody else looks at or changes the state.
        with self._locked():
            last = self._last(head.origin)
            known = last.size if last is not None else 0
            # 5. The old size is that of what was cosigned last.
            if asked.old != known:
                return Reply(status=409, body=print_size(known), content_type=SIZE_TYPE)
            # 6. Of one size there is one root.
            if last is not None and last.size == head.size and last.root != head.root:
                return Reply(status=409, body=print_size(known), content_type=SIZE_TYPE)
            # 7. The new tree continues the old one.
            try:
                root = last.root if last is not None else EMPTY_ROOT
                verify_consistency(known, head.size, asked.proof, root, head.root)
            except CheckFailed as error:
                return _refusal(422, str(error))
            # 8. Durable before it is signed and answered.
            write_durably(self._path(head.origin), asked.checkpoint)
            line = self.signer.cosign(note.text, int(self._clock().timestamp()))
        return Reply(status=200, body=note_signature_line(line.name, line.key_id, line.signature).encode())

    def _last(self, origin: str) -> Checkpoint | None:
        """What was cosigned last of a log."""
        path = self._path(origin)
        with disk_errors(f"cannot read {path}"):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
        try:
            found = Checkpoint.parse(Note.parse(data).text)
        except InvalidValue as error:
            raise DamageError(f"{path} is damaged: {error.message}", remedy="bring it back from a backup") from error
        if found.origin != origin:
            raise DamageError(f"{path} is of the log {found.origin}", remedy="bring it back from a backup")
        return found

    def _path(self, origin: str) -> Path:
        return self._folder / STATE_FOLDER / hashlib.sha256(origin.encode()).hexdigest()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._thread_lock, disk_errors(f"cannot lock {self._folder}"), self._lock_file() as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _lock_file(self) -> BinaryIO:
        return (self._folder / LOCK_FILE).open("a+b")


def read_logs(folder: Path) -> list[VerifierKey]:
    """The keys of the logs that a witness knows, one a line of its file `logs`. Raises UsageError, DiskError."""
    path = folder / LOGS_FILE
    with disk_errors(f"cannot read {path}"):
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            try:
                found.append(VerifierKey.parse(line.strip()))
            except InvalidValue as error:
                raise UsageError(f"{path}, line {number}: {error.message}", remedy="write one key a line") from error
    return found


def add_logs(folder: Path, new: Iterable[VerifierKey]) -> list[VerifierKey]:
    """Make a witness know more logs; all that it knows then. Raises UsageError, DiskError."""
    known = read_logs(folder)
    all_keys = list(dict.fromkeys((*known, *new)))
    if all_keys != known:
        write_durably(folder / LOGS_FILE, "".join(f"{key}\n" for key in all_keys).encode())
    return all_keys


def _signed(note: Note, key: VerifierKey) -> bool:
    try:
        verify_note(note, key)
    except CheckFailed:
        return False
    return True


def _refusal(status: int, words: str) -> Reply:
    return Reply(status=status, body=f"{words}\n".encode())

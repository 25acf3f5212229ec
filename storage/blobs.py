"""Objects: put once, get, range, list. The seam that every store keeps to, and the local folder.

S3 is left to `s3`, the choice by URL to `stores`. What an object means is left to those who name the keys.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, Protocol
from urllib.parse import quote

from schemas.errors import AlreadyExists, DiskError, InvalidValue, NotFound, StoreError
from storage.disk import sync_folder

#: Bytes read at a time where a whole object is copied, compared or hashed.
CHUNK: Final = 1 << 20
#: Bytes of a key: what S3 allows, less the room for a prefix.
MAX_KEY: Final = 900

# Parts of a key: no part begins with a dot, so that none leads upwards and none is one of our temporary
# files.
_PART: Final = r"[A-Za-z0-9_=+@~-][A-Za-z0-9._=+@~-]*"
_KEY: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_PREFIX: Final = re.compile(rf"(?:{_PART}/)*(?:{_PART})?")

_TEMPORARY: Final = ".tmp"
#: Seconds after which a temporary file that nobody locks is taken for one that a killed process left.
_STALE: Final = 3600
#: Seconds after which such a file has its lock, where its writer lives: it is taken at once after the file is made.
_SETTLED: Final = 2
_FILE_MODE: Final = 0o640
_DISK_ERRNOS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG})
_ABSENT: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})

#: What `probe` found: (name, held, one sentence) each.
Probed = list[tuple[str, bool, str]]


class BlobStore(Protocol):
    """A place for objects. Keys are ASCII parts joined by `/` (`check_key`); every method may raise
    StoreError.
    """

    url: str

    def put(self, key: str, data: bytes) -> None:
        """Put an object once, durable on return. The same bytes again are fine; else AlreadyExists."""

    def put_file(self, key: str, path: Path, *, final: bool = False) -> None:
        """As `put`, with the bytes of a local file, which stays.

        `final` says that nobody will ever write to that file again: a folder may then hold the file itself, by a
        second name.
        """

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """The bytes from `start`, at most `length`; fewer, down to none, where the object ends. NotFound."""

    def open(self, key: str) -> BinaryIO:
        """The object as a stream, read from its beginning. Raises NotFound."""

    def size(self, key: str) -> int:
        """Bytes of an object. Raises NotFound."""

    def exists(self, key: str) -> bool:
        """True where there is such an object."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """Keys that begin with `prefix`, ascending."""

    def folders(self, prefix: str) -> Iterator[str]:
        """The first parts, in some order, of keys that lie below `prefix` (which ends in a slash) and go on deeper."""

    def replace(self, key: str, data: bytes, *, expected: bytes | None) -> None:
        """Compare and swap: put `data` where the object's bytes are `expected` (None: where there is none).

        Raises AlreadyExists where it holds anything else than `expected` or `data`. For `log/checkpoint` and
        objects that a logged redaction names; everything else is put once.
        """

    def replace_file(self, key: str, path: Path, *, expected: str) -> None:
        """Compare and swap objects of any size: put a local file's bytes where the object's SHA-256 is `expected`.

        `expected` is `sha256:hex`. Raises NotFound where there is none, AlreadyExists where it holds anything else than
        `expected` or the file's bytes. For repairs, and for objects that a logged redaction names.
        """

    def rewrite(self, key: str, path: Path, *, expected: str) -> None:
        """Put the bytes of a local file in place of the object whose SHA-256 is `expected` (`sha256:hex`).

        Earlier versions and unfinished uploads of the key are gone on return. The same bytes again are fine; raises
        NotFound, AlreadyExists where it holds anything else. For objects that a logged redaction names, alone.
        """

    def erase(self, key: str) -> None:
        """Take an object away, with every version and unfinished upload of it; one that is not there is fine.

        For objects that a logged redaction names, and derived state (the trace index), alone.
        """

    def local_path(self, key: str) -> Path | None:
        """The file that holds the object, where it is a local file; never to be written to."""

    def probe(self) -> Probed:
        """What the store may be trusted with, for `doctor`. Leaves nothing behind."""


def check_key(key: str) -> str:
    """The key itself. Raises InvalidValue for one that leads elsewhere or that a store could not hold."""
    if len(key) > MAX_KEY or _KEY.fullmatch(key) is None:
        raise InvalidValue(f"not a key of an object: {key[:120]!r}")
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself. Raises InvalidValue for one that no key begins with."""
    if len(prefix) > MAX_KEY or _PREFIX.fullmatch(prefix) is None:
        raise InvalidValue(f"not a prefix of keys: {prefix[:120]!r}")
    return prefix


class FolderStore:
    """Objects as files in a folder. Any number of processes on one machine may use it at once."""

    def __init__(self, root: Path) -> None:
        """Objects in `root`, which is made where it does not exist. Raises StoreError, DiskError."""
        self.root = root.absolute()
        self.url = f"file://{quote(str(self.root))}"
        self._temporary = self.root / _TEMPORARY
        with _store_errors(f"cannot make the object folder {self.root}"):
            self.root.mkdir(parents=True, exist_ok=True)
            self._temporary.mkdir(exist_ok=True)
        self._sweep()

    def put(self, key: str, data: bytes) -> None:
        """See BlobStore."""

        def write(stream: BinaryIO) -> None:
            stream.write(data)

        if not self._is_there(key, lambda held: _same_bytes(held, data)):
            self._publish(key, write, same=lambda held: _same_bytes(held, data))

    def put_file(self, key: str, path: Path, *, final: bool = False) -> None:
        """See BlobStore."""

        def write(stream: BinaryIO) -> None:
            with path.open("rb") as source:
                shutil.copyfileobj(source, stream, CHUNK)

        if not path.is_file():
            raise DiskError(f"cannot put object {key}: there is no file {path}")
        if not self._is_there(key, lambda held: _same_files(held, path)) and not (final and self._adopt(key, path)):
            self._publish(key, write, same=lambda held: _same_files(held, path))

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """See BlobStore."""
        _check_range(start, length)
        with self._reading(key), self._path(key).open("rb", buffering=0) as stream:
            if start:
                stream.seek(start)
            return _read_fully(stream, length)

    def open(self, key: str) -> BinaryIO:
        """See BlobStore."""
        with self._reading(key):
            return self._path(key).open("rb", buffering=CHUNK)

    def size(self, key: str) -> int:
        """See BlobStore."""
        with self._reading(key):
            found = self._path(key).stat()
            if not stat.S_ISREG(found.st_mode):
                raise IsADirectoryError
            return found.st_size

    def exists(self, key: str) -> bool:
        """See BlobStore."""
        try:
            self.size(key)
        except NotFound:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[str]:
        """See BlobStore."""
        check_prefix(prefix)
        self._check_root()
        return self._walk("", prefix)

    def folders(self, prefix: str) -> Iterator[str]:
        """See BlobStore."""
        folder = self.root / check_prefix(prefix).rstrip("/")
        self._check_root()
        with _store_errors(f"cannot list {folder}"):
            try:
                return iter([e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith(".")])
            except FileNotFoundError:
                return iter(())

    def replace(self, key: str, data: bytes, *, expected: bytes | None) -> None:
        """See BlobStore."""
        path = self._path(key)
        with _store_errors(f"cannot replace object {key}"), self._lock():
            held = path.read_bytes() if path.exists() else None
            if held == data:
                _make_durable(path)
                return
            if held != expected:
                raise AlreadyExists(f"object {key} was changed by another process; nothing was replaced")
            self._make_folders(path.parent)
            with self._scratch() as (scratch, stream):
                stream.write(data)
                _sync(stream)
                os.replace(scratch, path)
                sync_folder(path.parent)

    def replace_file(self, key: str, path: Path, *, expected: str) -> None:
        """See BlobStore."""
        target = self._path(key)
        with self._reading(key), _store_errors(f"cannot replace object {key}", passing=_ABSENT), self._lock():
            held = _sha256(target)
            if held == _sha256(path):
                _make_durable(target)
                return
            if held != expected:
                raise AlreadyExists(f"object {key} was changed by another process; nothing was replaced")
            with self._scratch() as (scratch, stream):
                with path.open("rb") as source:
                    shutil.copyfileobj(source, stream, CHUNK)
                _sync(stream)
                os.replace(scratch, target)
                sync_folder(target.parent)

    def rewrite(self, key: str, path: Path, *, expected: str) -> None:
        """See BlobStore."""
        self._sweep(_SETTLED)  # what a killed process left may hold the bytes that must go
        self.replace_file(key, path, expected=expected)

    def erase(self, key: str) -> None:
        """See BlobStore."""
        self._sweep(_SETTLED)
        path = self._path(key)
        with _store_errors(f"cannot erase object {key}"), self._lock():
            if path.exists():
                path.unlink()
                sync_folder(path.parent)

    def local_path(self, key: str) -> Path | None:
        """See BlobStore."""
        path = self._path(key)
        return path if path.is_file() else None

    def probe(self) -> Probed:
        """See BlobStore."""
        found = []
        for name, check, held, failed in (
            (
                "write",
                self._probe_write,
                "a file can be written, synced and read back",
                "cannot be written to",
            ),
            (
                "put once",
                self._probe_link,
                "a name is given once",
                "gives no hard links; a lock stands in for them",
            ),
        ):
            try:
                ok, detail = check(), ""
            except OSError as error:
                ok, detail = False, f" ({error.strerror or error})"
            found.append((name, ok, f"{self.root}: {held if ok else failed + detail}"))
        with suppress(OSError):
            free = shutil.disk_usage(self.root).free
            found.append(("free space", free > 0, f"{self.root}: {free // 2**20} MiB free"))
        return found

    # -- where things stand

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _check_root(self) -> None:
        if not self.root.is_dir():
            raise StoreError(f"the object folder {self.root} is gone", remedy="mount or restore it")

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            with _store_errors(f"cannot read object {key}", passing=_ABSENT):
                yield
        except _ABSENT as error:
            self._check_root()  # a disk that is not mounted is not a missing object
            raise NotFound(f"there is no object {key} in {self.root}") from error

    def _walk(self, folder: str, prefix: str) -> Iterator[str]:
        """Keys in ascending order: a folder sorts as its name with the slash that follows it in a key."""
        with _store_errors(f"cannot list {self.root / folder}"):
            try:
                entries = [e for e in os.scandir(self.root / folder) if not e.name.startswith(".")]
            except FileNotFoundError:
                return
            names = sorted(folder + e.name + ("/" if e.is_dir() else "") for e in entries)
        for name in names:
            if name.endswith("/"):
                if name.startswith(prefix) or prefix.startswith(name):
                    yield from self._walk(name, prefix)
            elif name.startswith(prefix):
                yield name

    # -- how things get there

    def _is_there(self, key: str, same: Callable[[Path], bool]) -> bool:
        """True where the object stands already with the same bytes, now durable. Raises AlreadyExists for
        others.
        """
        path = self._path(key)
        with _store_errors(f"cannot put object {key}"):
            if not path.exists():
                return False
            if not same(path):
                raise AlreadyExists(
                    f"object {key} exists with other bytes; it is put once and was left as it is"
                )
            _make_durable(path)  # its writer may have been killed between the name and the sync
        return True

    def _publish(self, key: str, write: Callable[[BinaryIO], None], *, same: Callable[[Path], bool]) -> None:
        """Write a temporary file, make it durable, and give it the key's name unless that is taken."""
        path = self._path(key)
        with _store_errors(f"cannot put object {key}"), self._scratch() as (scratch, stream):
            write(stream)
            _sync(stream)
            self._make_folders(path.parent)
            try:
                self._give_name(scratch, path)
            except FileExistsError as error:
                if not same(path):
                    text = f"object {key} exists with other bytes; it is put once and was left as it is"
                    raise AlreadyExists(text) from error
            sync_folder(path.parent)

    def _adopt(self, key: str, source: Path) -> bool:
        """Give a local file the key's name beside its own, durably; False where that cannot be: another disk, no hard
        links, or a name that was taken meanwhile.
        """
        path = self._path(key)
        with _store_errors(f"cannot put object {key}"):
            self._check_root()
            self._make_folders(path.parent)
            try:
                os.link(source, path)
            except OSError as error:
                if error.errno in _NO_LINKS or error.errno in (errno.EXDEV, errno.EEXIST):
                    return False
                raise
            _make_durable(path)
        return True

    def _give_name(self, scratch: Path, path: Path) -> None:
        """Name a file where the name is free, in one step. Raises FileExistsError."""
        try:
            os.link(scratch, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            with self._lock():  # a file system without hard links: all who name files here hold this lock
                if path.exists():
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
                os.rename(scratch, path)

    def _make_folders(self, folder: Path) -> None:
        """Make a folder and those above it, each name durable."""
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            new.mkdir(exist_ok=True)
            sync_folder(new.parent)

    @contextmanager
    def _scratch(self) -> Iterator[tuple[Path, BinaryIO]]:
        """A temporary file, locked so that no sweep takes it; gone at the end unless it was renamed."""
        self._check_root()
        self._temporary.mkdir(exist_ok=True)
        scratch = self._temporary / secrets.token_hex(16)
        descriptor = os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_RDWR, _FILE_MODE)
        with os.fdopen(descriptor, "w+b") as stream:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                yield scratch, stream
            finally:
                scratch.unlink(missing_ok=True)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One process and thread at a time in this store."""
        self._check_root()
        self._temporary.mkdir(exist_ok=True)
        descriptor = os.open(self._temporary / "lock", os.O_CREAT | os.O_RDWR, _FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _sweep(self, age: float = _STALE) -> None:
        """Remove what killed processes left: temporary files of that age, in seconds, that nobody locks."""
        with suppress(OSError):  # another process may sweep at the same time; nothing depends on this
            for path in self._temporary.iterdir():
                if path.name != "lock" and path.stat().st_mtime < time.time() - age and _unlocked(path):
                    path.unlink(missing_ok=True)

    def _probe_write(self) -> bool:
        data = secrets.token_bytes(64)
        with self._scratch() as (scratch, stream):
            stream.write(data)
            _sync(stream)
            return scratch.read_bytes() == data

    def _probe_link(self) -> bool:
        with self._scratch() as (scratch, _):
            second = scratch.with_suffix(".link")
            os.link(scratch, second)
            try:
                os.link(scratch, second)
            except FileExistsError:
                return True
            finally:
                second.unlink(missing_ok=True)
        return False


@contextmanager
def _store_errors(what: str, *, passing: tuple[type[OSError], ...] = ()) -> Iterator[None]:
    """Turn what the operating system says into DiskError or StoreError, but for the errors in `passing`."""
    try:
        yield
    except passing:
        raise
    except OSError as error:
        text = f"{what}: {error.strerror or error}"
        if error.errno in _DISK_ERRNOS:
            raise DiskError(text, remedy="free or mend the disk and run the command again") from error
        raise StoreError(text, remedy="check the object folder and its permissions") from error


def _check_range(start: int, length: int | None) -> None:
    if start < 0 or (length is not None and length < 0):
        raise InvalidValue(f"not a range of bytes: {start}, {length}")


def _read_fully(stream: BinaryIO, length: int | None) -> bytes:
    """Up to `length` bytes, fewer only at the end of the file (one read gives at most 2 GiB)."""
    pieces = []
    left = length
    while left is None or left > 0:
        piece = stream.read(-1 if left is None else left)
        if not piece:
            break
        pieces.append(piece)
        left = None if left is None else left - len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _same_bytes(path: Path, data: bytes) -> bool:
    return path.stat().st_size == len(data) and path.read_bytes() == data


def _same_files(first: Path, second: Path) -> bool:
    if first.stat().st_size != second.stat().st_size:
        return False
    with first.open("rb") as one, second.open("rb") as two:
        return hashlib.file_digest(one, "sha256").digest() == hashlib.file_digest(two, "sha256").digest()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _make_durable(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
    sync_folder(path.parent)


def _unlocked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True

"""Kill -9, or a failing disk, at every call that changes a disk: a story is told again and again, each time one later.

    with Crasher() as crasher:
        whole = crasher.run("crawl", folder)                  # to its end: how many calls there are
        cut = crasher.run("crawl", other, kill_at=17)         # killed as it enters the 17th of them
        assert cut.said == [...]                              # what it had been told was safe before it died
        sick = crasher.run("crawl", third, fail_at=17, error=errno.EIO)     # that call and all after it fail

The process that tells the story is traced by its parent (ptrace(2)), which counts the calls of `CALLS` as they are
entered, those that SQLite makes included, and kills at the one that is named, or makes it fail: it is not carried out.
Story and tracer live in a process of their own, so that what is forked has one thread. Nothing is drawn at random.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from schemas.captures import Context, Ending, Exchange
from schemas.errors import PressmarkError
from storage.archive import Archive, StorageSettings
from storage.recovery import recover
from tests.support import logs
from tests.support.archives import ARTICLE, OUTLET, START, add_outlet, exchange, page, read_article, settings, ticking
from tests.support.attendant import Attendant

#: Calls that change what a disk holds, or make it durable, by architecture (arch/*/syscalls in Linux). `openat` counts
#: where it makes a file.
CALLS: Final[dict[str, dict[int, str]]] = {
    "x86_64": {
        1: "write", 18: "pwrite64", 20: "writev", 296: "pwritev", 26: "msync", 40: "sendfile", 326: "copy_file_range",
        74: "fsync", 75: "fdatasync", 76: "truncate", 77: "ftruncate", 285: "fallocate", 82: "rename", 264: "renameat",
        316: "renameat2", 86: "link", 265: "linkat", 87: "unlink", 263: "unlinkat", 83: "mkdir", 258: "mkdirat",
        257: "openat",
    },
    "aarch64": {
        64: "write", 68: "pwrite64", 66: "writev", 70: "pwritev", 227: "msync", 71: "sendfile", 285: "copy_file_range",
        82: "fsync", 83: "fdatasync", 45: "truncate", 46: "ftruncate", 47: "fallocate", 38: "renameat",
        276: "renameat2", 37: "linkat", 35: "unlinkat", 34: "mkdirat", 56: "openat",
    },
}  # fmt: skip
_WRITES: Final = frozenset({"write", "writev"})

# ptrace(2)
_TRACEME, _SYSCALL = 0, 24
_SETOPTIONS, _GET_SYSCALL_INFO = 0x4200, 0x420E
_GETREGS, _SETREGS = 12, 13  # x86 alone
#: Where struct user_regs_struct of x86-64 has a call's result and its number, and how many words it has.
_RAX, _ORIG_RAX, _WORDS = 10, 15, 27
_SYSGOOD, _EXITKILL = 0x1, 0x100000
_ENTRY: Final = 1


class _CallInfo(ctypes.Structure):
    """struct ptrace_syscall_info, as far as it is read here."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Crash:
    """How a story went."""

    killed: bool
    calls: list[str]  # those that were entered, the one at which it was killed included
    said: list[list[str]]  # what it announced as safe: [kind, value]; last the error of ours that ended it, if one did
    trouble: str = ""  # a traceback, where the story itself failed


# -- the stories ---------------------------------------------------------------------------------------------------

Announce = Callable[[str, str], None]


def later(folder: Path, hours: int) -> StorageSettings:
    """The settings of a story's archive, hours after it: no lease of a dead process holds any more."""
    return replace(settings(folder), clock=ticking(START + timedelta(hours=hours)))


def crawl(folder: Path, announce: Announce) -> None:
    """A small crawl: each thing is announced once the archive has returned, and so has acknowledged it."""
    with Archive.open(settings(folder)) as archive:
        recover(archive)
        announce("outlet", add_outlet(archive).id)
        failed = Exchange(url="https://lantern.example/gone", started=START, ending=Ending.DNS, detail="no such name")
        batch = [(exchange("/1", page(1)), ARTICLE), (failed, ARTICLE), (exchange("/2", page(2)), ARTICLE)]
        captures = archive.deposit(batch)
        for capture in captures:
            announce("capture", capture.id)
        for capture in (captures[0], captures[2]):
            announce("article", archive.deposit_article(read_article(archive, capture), capture)[0].conversion_id)
        _publish(archive, announce)
        again = archive.deposit([(exchange("/1", page(1), at=START + timedelta(minutes=1)), ARTICLE)])[0]
        announce("revisit", again.id)
        archive.deposit_article(read_article(archive, again), again)
        announce("sighting", again.id)
        for name in archive.rotate(force=True):
            announce("segment", name)
        context = Context(outlet_id=OUTLET.id, role=ARTICLE.role, refers_to=captures[0].id)
        same = exchange("/1", b"", status="304 Not Modified", at=START + timedelta(minutes=2))
        changed = exchange("/2", page(2, extra=" at noon"), at=START + timedelta(minutes=2))
        for capture in (both := archive.deposit([(same, context), (changed, ARTICLE)])):
            announce("capture", capture.id)
        announce("article", archive.deposit_article(read_article(archive, both[1]), both[1])[0].conversion_id)
        archive.seal()
        _publish(archive, announce)


def _publish(archive: Archive, announce: Announce) -> None:
    archive.integrate()
    note = archive.log.checkpoint()
    if note is not None:  # a start after a kill that came before anything was logged has none
        announce("checkpoint", note)


def restart(folder: Path, announce: Announce) -> None:
    """What the next start does, an hour later: recovery, and a checkpoint."""
    with Archive.open(later(folder, 1)) as archive:
        for sentence in recover(archive):
            announce("mended", sentence)
        archive.seal()
        _publish(archive, announce)


def take_down(folder: Path, announce: Announce) -> None:
    """A redaction of the article at /1, where there still is one; what it left undone is told."""
    from storage.redaction import Request, plan, redact

    with Archive.open(later(folder, 1)) as archive:
        recover(archive)
        with archive.catalog.read() as tx:
            row = tx.articles.by_url(f"{OUTLET.url}1")
        if row is not None:
            wanted = Request(id=row.article_id, code="court-order", authority="court", keep=("all",), note="asked")
            outcome = redact(archive, plan(archive, wanted))
            announce("redacted", str(outcome.entries[0]))


def sequence(folder: Path, announce: Announce) -> None:
    """Entries sequenced and published as the folder's `work.json` says, on a log without an archive around it."""
    work = json.loads((folder / "work.json").read_bytes())
    logs.write(logs.Work(folder=str(folder), seed=work["seed"], adds=tuple(work["adds"])), announce)


STORIES: Final[dict[str, Callable[[Path, Announce], None]]] = {
    "crawl": crawl,
    "restart": restart,
    "take_down": take_down,
    "sequence": sequence,
}


# -- the test's side -----------------------------------------------------------------------------------------------


class Crasher(Attendant):
    """Tells stories in a process of its own. A context manager."""

    module = "tests.support.crash"

    def refusal(self) -> str | None:
        """Why no story can be told here, in words; None where one can."""
        answer = self.ask({"story": None})
        return answer["refusal"]

    def run(
        self,
        story: str,
        folder: Path,
        *,
        kill_at: int | None = None,
        fail_at: int | None = None,
        error: int = 0,
        once: bool = False,
    ) -> Crash:
        """Tell a story on an archive; killed as it enters the `kill_at`-th call, from 1.

        Or `fail_at` that call (`once`), or it and all after it, with `error` (of `errno`), without being carried out.
        """
        fault = {"kill_at": kill_at, "fail_at": fail_at, "error": error, "once": once}
        crash = Crash(**self.ask({"story": story, "folder": str(folder), "fault": fault}))
        assert not crash.trouble, crash.trouble
        return crash


# -- the tracer's side ---------------------------------------------------------------------------------------------


def _serve() -> None:
    for line in sys.stdin:
        question = json.loads(line)
        if question["story"] is None:
            print(json.dumps({"refusal": _refusal()}), flush=True)
            continue
        story, folder = STORIES[question["story"]], Path(question["folder"])
        answer = _run(lambda announce: story(folder, announce), _Fault(**question["fault"]))  # noqa: B023 - called here
        print(json.dumps(answer), flush=True)


def _refusal() -> str | None:
    if sys.platform != "linux" or platform.machine() not in CALLS:
        return f"no table of system calls for {sys.platform} on {platform.machine()}"
    with open(os.devnull, "wb", buffering=0) as null:
        seen = _run(lambda announce: null.write(b"x") and None, _Fault())
    return None if seen["calls"] == ["write"] else "this system lets no process trace its child"


def can_fail_calls() -> bool:
    """Whether calls can be made to fail here: their numbers are put away by rewriting registers."""
    return platform.machine() == "x86_64"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fault:
    """See `Crasher.run`."""

    kill_at: int | None = None
    fail_at: int | None = None
    error: int = 0
    once: bool = False

    def fails(self, number: int) -> bool:
        """Whether the call of this number fails."""
        return self.fail_at is not None and (number == self.fail_at or (number > self.fail_at and not self.once))


def _run(work: Callable[[Announce], None], fault: _Fault) -> dict[str, Any]:
    """Fork, trace, count, kill."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os._exit(_tell(work, writing))
    os.close(writing)
    with os.fdopen(reading, "r") as stream:
        killed, calls = _trace(child, fault, quiet=writing)
        said = [json.loads(line) for line in stream]
    trouble = "".join(text for kind, text in said if kind == "trouble")
    return {"killed": killed, "calls": calls, "said": said, "trouble": trouble}


def _tell(work: Callable[[Announce], None], writing: int) -> int:
    def announce(kind: str, value: str) -> None:
        os.write(writing, json.dumps([kind, value]).encode() + b"\n")

    try:
        _ptrace(_TRACEME, 0, 0, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        work(announce)
    except PressmarkError as error:
        announce("error", f"{type(error).__name__} {error.exit_code}: {error}")
    except BaseException:  # noqa: BLE001 - told to the test, which fails with it
        announce("trouble", traceback.format_exc())
        return 1
    return 0


def _trace(child: int, fault: _Fault, *, quiet: int) -> tuple[bool, list[str]]:
    """(killed, calls entered) of a child that stops itself first. Writes to `quiet` are announcements."""
    table, calls = CALLS[platform.machine()], []
    _, status = os.waitpid(child, 0)
    if not os.WIFSTOPPED(status):
        return False, []
    _ptrace(_SETOPTIONS, child, 0, _SYSGOOD | _EXITKILL)
    give, failing = 0, False
    while True:
        _ptrace(_SYSCALL, child, 0, give)
        _, status = os.waitpid(child, 0)
        if not os.WIFSTOPPED(status):
            return os.WIFSIGNALED(status), calls
        number = os.WSTOPSIG(status)
        give = 0 if number == signal.SIGTRAP | 0x80 else number
        if failing and not give:  # this stop is the end of the call that was put away
            _set_register(child, _RAX, -fault.error)
            failing = False
            continue
        name = _entered(child, table, quiet) if not give else None
        if name is None:
            continue
        calls.append(name)
        if len(calls) == fault.kill_at:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True, calls
        if fault.fails(len(calls)):
            _set_register(child, _ORIG_RAX, -1)
            failing = True


def _entered(child: int, table: dict[int, str], quiet: int) -> str | None:
    """The counted call that the child is entering; None for any other stop."""
    info = _CallInfo()
    _ptrace(_GET_SYSCALL_INFO, child, ctypes.sizeof(info), ctypes.byref(info))
    name = table.get(info.number) if info.op == _ENTRY else None
    if name in _WRITES and info.arguments[0] in (quiet, 1, 2):
        return None
    if name == "openat" and not info.arguments[2] & os.O_CREAT:
        return None
    return name


def _set_register(child: int, place: int, value: int) -> None:
    words = (ctypes.c_uint64 * _WORDS)()
    _ptrace(_GETREGS, child, 0, ctypes.byref(words))
    words[place] = value % 2**64
    _ptrace(_SETREGS, child, 0, ctypes.byref(words))


_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.restype = ctypes.c_long
_LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


def _ptrace(request: int, process: int, address: int, data: Any) -> None:
    if _LIBC.ptrace(request, process, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


if __name__ == "__main__":
    _serve()

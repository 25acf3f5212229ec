"""A pool of extractor processes: a page that breaks one, or asks too much of it, costs one article and nothing else.

Each worker is a process of its own (spawned, so that nothing of the parent's state reaches extraction) that takes one
page or image at a time over a pipe. One that passes its time or dies is killed and replaced; what it was reading gives
an ExtractionError, as does what needs more memory than a worker may have. With `workers=0` extraction runs in the
calling process: no isolation, no limits, for single pages and tests.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection, wait
from typing import Any, Final, Self

from schemas.articles import Article, OutletRef
from schemas.errors import ExtractionError
from schemas.images import ImageReading

#: Seconds that a worker gets to import its libraries before its first page counts against its time.
START_SECONDS: Final = 60.0
#: Seconds that a worker gets to end by itself when the pool closes.
_END_SECONDS: Final = 2.0
#: The code of what needs more memory than a worker may have.
OUT_OF_MEMORY: Final = "out-of-memory"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What `extract` takes: one page."""

    body: bytes  # entity body, transfer- and content-decoded
    url: str
    captured: datetime
    content_type: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    outlet: OutletRef | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageJob:
    """What `ingest.images.read_image` takes: one image file."""

    body: bytes  # entity body, transfer- and content-decoded


Result = Article | ImageReading | ExtractionError


def run_one(job: Job | ImageJob) -> Result:
    """Read one page or image here; errors as values."""
    # Loaded here, so that the parent of a pool need not load lxml, nor a pool without images their library.
    try:
        if isinstance(job, ImageJob):
            from ingest.images import read_image

            return read_image(job.body)
        from ingest.extract import extract

        return extract(
            body=job.body,
            url=job.url,
            captured=job.captured,
            content_type=job.content_type,
            headers=job.headers,
            outlet=job.outlet,
        )
    except ExtractionError as error:
        return error


def _serve(pipe: Connection, max_memory: int | None) -> None:
    """The loop of a worker: ready, then one result a job, until the pipe closes."""
    import ingest.extract  # noqa: F401 - loaded before time and memory count

    _limit_memory(max_memory)
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        pipe.send("ready")
        while _serve_one(pipe):
            pass


def _serve_one(pipe: Connection) -> bool:
    """Take one job and answer it; False where that was the last."""
    try:
        job = pipe.recv()
        if job is None:
            return False
        result = run_one(job)
        if not isinstance(result, ExtractionError):
            pipe.send(result)
            return True
        answer = (result.code, result.message, result.remedy)
    except MemoryError:  # taking the page or handing its article back took too much
        answer = (OUT_OF_MEMORY, "it needs more memory than a worker may have", None)
    if answer[0] != OUT_OF_MEMORY:
        pipe.send(answer)
        return True
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))  # so that there is room to say so
    pipe.send(answer)
    return False  # what a process took it seldom gives back whole: the next page gets a new one


def _limit_memory(max_memory: int | None) -> None:
    """Bound this process's address space, in bytes: what asks for more gets a MemoryError."""
    if max_memory is None:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = max_memory if hard == resource.RLIM_INFINITY else min(max_memory, hard)
    with contextlib.suppress(OSError, ValueError):  # systems that know no such limit: time is bounded still
        resource.setrlimit(resource.RLIMIT_AS, (bound, hard))


def _error(answer: tuple[str, str, str | None]) -> ExtractionError:
    code, message, remedy = answer
    return ExtractionError(message, code=code, remedy=remedy)


class _Worker:
    """One process, its pipe, and what it does."""

    def __init__(self, context: Any, max_memory: int | None) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, max_memory), daemon=True, name="pressmark-extract"
        )  # fmt: skip
        self.process.start()
        theirs.close()
        self.job: int | None = None
        self.ready = False
        self.deadline = time.monotonic() + START_SECONDS

    def give(self, number: int, job: Job | ImageJob, seconds: float) -> None:
        self.pipe.send(job)
        self.job = number
        self.deadline = time.monotonic() + seconds + (0 if self.ready else START_SECONDS)

    def end(self, *, now: bool) -> None:
        if not now:
            with contextlib.suppress(OSError, ValueError):
                self.pipe.send(None)
            self.process.join(_END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()
        self.process.close()


class ExtractPool:
    """Reads pages and images in processes apart. A context manager; `close` ends the processes."""

    def __init__(self, workers: int, max_seconds: float, max_memory: int | None = None) -> None:
        """`max_seconds` for one page; `max_memory` in bytes of address space for each process, None: unbounded."""
        self._size = max(0, workers)
        self._seconds = max_seconds
        self._memory = max_memory
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers that live."""
        return tuple(w.process.pid for w in self._workers if w.process.pid is not None)

    def run(self, jobs: Iterable[Job | ImageJob]) -> Iterator[Result]:
        """One result a job, in the order of the jobs, as soon as it can be given.

        Jobs are taken from the iterable only as workers become free.
        """
        if self._size == 0:
            yield from map(run_one, jobs)
            return
        yield from self._run(iter(jobs))

    def _run(self, jobs: Iterator[Job | ImageJob]) -> Iterator[Result]:
        done: dict[int, Result] = {}
        given = next_out = 0
        exhausted = False
        while not exhausted or next_out < given:
            # No more results wait to be given than there are workers, times a few: memory stays bounded.
            while not exhausted and given - next_out < self._size * 4 and (worker := self._free()) is not None:
                job = next(jobs, None)
                if job is None:
                    exhausted = True
                    break
                self._give(worker, given, job, done)
                given += 1
            if next_out in done:
                yield done.pop(next_out)
                next_out += 1
            elif next_out < given:
                self._collect(done)

    def _free(self) -> _Worker | None:
        free = next((w for w in self._workers if w.job is None), None)
        if free is None and len(self._workers) < self._size:
            free = _Worker(self._context, self._memory)
            self._workers.append(free)
        return free

    def _give(self, worker: _Worker, number: int, job: Job | ImageJob, done: dict[int, Result]) -> None:
        try:
            worker.give(number, job, self._seconds)
        except (OSError, ValueError, BrokenPipeError):
            worker.job = number
            self._drop(worker, done, "a worker process ended", "crashed")

    def _collect(self, done: dict[int, Result]) -> None:
        """Wait for an answer, an end or a deadline."""
        busy = [w for w in self._workers if w.job is not None]
        soonest = min(w.deadline for w in busy)
        ready = wait([w.pipe for w in busy], timeout=max(0.0, soonest - time.monotonic()))
        now = time.monotonic()
        for worker in busy:
            if worker.pipe in ready:
                self._receive(worker, done)
            elif worker.deadline <= now:
                self._drop(worker, done, f"extraction took longer than {self._seconds:g} s", "too-slow")

    def _receive(self, worker: _Worker, done: dict[int, Result]) -> None:
        try:
            answer = worker.pipe.recv()
        except (EOFError, OSError):
            self._drop(worker, done, "the worker process ended while it extracted this page", "crashed")
            return
        if answer == "ready":
            worker.ready = True
            worker.deadline = time.monotonic() + self._seconds
            return
        if isinstance(answer, tuple) and answer[0] == OUT_OF_MEMORY:
            self._drop(worker, done, answer[1], OUT_OF_MEMORY)
            return
        number = worker.job
        if number is not None:
            done[number] = _error(answer) if isinstance(answer, tuple) else answer
        worker.job = None

    def _drop(self, worker: _Worker, done: dict[int, Result], message: str, code: str) -> None:
        if worker.job is not None:
            done[worker.job] = ExtractionError(message, code=code)
        self._workers.remove(worker)
        worker.end(now=True)

    def close(self) -> None:
        """End the processes. Safe to call twice."""
        while self._workers:
            worker = self._workers.pop()
            worker.end(now=worker.job is not None)

"""Work done in batches: what arrives while a batch is under way goes into the next one.

This is what makes group commit, and what feeds a pool of processes, out of tasks that each hand in one thing. Knows
nothing of what the work is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

#: Seconds that a deposit waits for company while several hosts answer: what a batch costs (two syncs of a disk, two
#: transactions) is shared by those that come meanwhile, and it is little beside the seconds between requests to a host.
LINGER: Final = 0.05

In = TypeVar("In")
Out = TypeVar("Out")


class Batcher(Generic[In, Out]):
    """Calls `work` in a thread, one batch at a time; results are in the order of what was handed in.

    Where several hand in at a time (the last batch was of more than one), the next batch waits `linger` seconds for
    company: what a batch costs, a sync of the disk above all, is then shared by more.
    """

    def __init__(self, work: Callable[[list[In]], Sequence[Out]], *, linger: float = 0.0) -> None:
        self._work = work
        self._linger = linger
        self._several = False  # whether the last batch was of more than one
        self._waiting: list[tuple[In, asyncio.Future[Out]]] = []
        self._task: asyncio.Task[None] | None = None

    async def put(self, value: In) -> Out:
        """Hand in one value and wait for its result. Raises what `work` raised for its batch."""
        future: asyncio.Future[Out] = asyncio.get_running_loop().create_future()
        self._waiting.append((value, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        while self._waiting:
            if self._linger and self._several:
                await asyncio.sleep(self._linger)
            batch, self._waiting = self._waiting, []
            self._several = len(batch) > 1
            try:
                results = await asyncio.to_thread(self._work, [value for value, _ in batch])
            except Exception as error:  # noqa: BLE001 - every waiter gets it, and decides
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)

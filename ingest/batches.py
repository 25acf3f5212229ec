"""Work done in batches: what arrives while a batch is under way goes into the next one.

This is what makes group commit, and what feeds a pool of processes, out of tasks that each hand in one thing. Knows
nothing of what the work is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


class Batcher(Generic[In, Out]):
    """Calls `work` in a thread, one batch at a time; results are in the order of what was handed in."""

    def __init__(self, work: Callable[[list[In]], Sequence[Out]]) -> None:
        self._work = work
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
            batch, self._waiting = self._waiting, []
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

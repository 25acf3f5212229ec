"""Python's cycle collector, paused while a page is read.

All elements of a page are held until its article is made, so each pass of the collector walks them for nothing: about
a fourteenth of the time of a page. What a page leaves in cycles is collected after it. When the collector is on or
off otherwise is left to the program.
"""

from __future__ import annotations

import gc
import threading
from typing import Final


class Collector:
    """The process's collector, off from the first of several threads that enter to the last; then as it was.

    No generator: where memory is used up, Python 3.11 never gets out of one's `finally` (it needs an integer for that).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking = 0
        self._was_on = False

    def __enter__(self) -> None:
        with self._lock:
            if self._asking == 0:
                self._was_on = gc.isenabled()
                gc.disable()
            self._asking += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._asking -= 1
            if self._asking == 0 and self._was_on:
                gc.enable()


COLLECTOR: Final = Collector()

__all__ = ["COLLECTOR", "Collector"]

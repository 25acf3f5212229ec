"""What a process that works for hours asks of its interpreter and its allocator: less searching, less giving back.

Measured with `ops.bench.capture`: a crawl makes and drops some hundred kilobytes a page. glibc gives each such block
back to the system and gets it anew, zeroed, page fault by page fault; and Python's collector walks over every module
that was ever loaded each time that a few thousand small objects were made. Nothing here changes what is computed.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Final

#: Objects made and not yet gone after which the collector looks at the youngest; Python's own 700 or 2000 is for
#: programs of unknown kind, and what a crawl leaves in cycles is little.
COLLECT_AFTER: Final = 50_000
#: Younger generations looked at before the next older one.
COLLECT_OLDER: Final = (20, 50)

# glibc's <malloc.h>: parameters of mallopt(3).
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
#: Bytes of one block from which on it is mapped by itself and given back at once: beyond nearly every page.
MAP_FROM: Final = 8 * 1024 * 1024
#: Bytes free at the heap's end that are kept for what comes next.
KEEP_FREE: Final = 16 * 1024 * 1024


def settle() -> None:
    """Tell collector and allocator that what is loaded now stays. Call once, at the start of a long piece of work."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *COLLECT_OLDER)
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # another C library than glibc may have none
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, MAP_FROM)
            mallopt(_TRIM_THRESHOLD, KEEP_FREE)

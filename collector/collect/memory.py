"""How this process keeps memory: for answers that come in pages, each large, each gone before the next."""

from __future__ import annotations

import gc
from contextlib import suppress

__all__ = ["for_pages"]

_GARBAGE = 50_000  # objects that are made before Python looks for cycles among them: answers hold none
_LARGE = 256 * 2**10  # bytes from which a buffer is the system's again as soon as it is let go
_M_MMAP_THRESHOLD = -3  # glibc's malloc.h


def for_pages() -> None:
    """Look for cycles seldom, and give large buffers back at once (mallopt(3)).

    glibc else learns from the first of them to keep what they took, in each thread's own heap. C libraries
    without this setting are left as they are.
    """
    gc.set_threshold(_GARBAGE)
    import ctypes

    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)

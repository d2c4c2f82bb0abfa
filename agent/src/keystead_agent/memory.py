"""Giving memory back to the system. The one home of `ctypes` outside the Windows back end."""

from __future__ import annotations

import ctypes
import gc
import sys


def give_back_memory() -> None:
    """Returns what imports and the last job left free to the system, for a process that will wait for hours
    (malloc_trim(3) of the GNU C library; elsewhere only the garbage collector runs)."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)

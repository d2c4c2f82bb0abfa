"""Giving memory back to the system. The one home of `ctypes` outside the Windows back end."""

from __future__ import annotations

import ctypes
import gc
import sys


def give_back_memory() -> None:
    """Returns what imports and the last job left free to the system, for a process that will wait for hours
    (malloc_trim(3) of the GNU C library; SetProcessWorkingSetSize of Windows, which Wine does not have)."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
    elif sys.platform == "win32":
        from keystead_agent.windows._kernel32 import ALL_THAT_CAN_GO, kernel32

        process = kernel32.result("GetCurrentProcess")
        kernel32.result("SetProcessWorkingSetSize", process, ALL_THAT_CAN_GO, ALL_THAT_CAN_GO)

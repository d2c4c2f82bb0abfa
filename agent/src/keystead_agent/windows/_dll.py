"""A Windows DLL by its prototypes. Plain `ctypes` where rights, flags and waiting matter: each call can be held
against the SDK's header, and the service answers Windows before a larger library is loaded."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cached_property
from typing import Any

HANDLE = ctypes.c_size_t
DWORD = ctypes.c_uint32
BOOL = ctypes.c_int32
WORDS = ctypes.c_wchar_p
POINTER = ctypes.c_void_p
INVALID_HANDLE = 2 ** (8 * ctypes.sizeof(HANDLE)) - 1
SYSTEM32_ALONE = 0x800
"""LOAD_LIBRARY_SEARCH_SYSTEM32: no DLL that somebody put beside the program."""


class Win32Error(Exception):
    """`function` failed with `code` (winerror.h)."""

    def __init__(self, function: str, code: int) -> None:
        super().__init__(f"{function} failed with error {code}")
        self.function = function
        self.code = code


class Dll:
    """The functions of DLL `name`: their result and parameters in `prototypes`."""

    def __init__(self, name: str, prototypes: Mapping[str, tuple[Any, tuple[Any, ...]]]) -> None:
        self._name = name
        self._prototypes = prototypes

    @cached_property
    def _functions(self) -> dict[str, Any]:
        dll = ctypes.WinDLL(self._name, use_last_error=True, winmode=SYSTEM32_ALONE)  # type: ignore[attr-defined, unused-ignore]
        functions = {name: getattr(dll, name) for name in self._prototypes}
        for name, function in functions.items():
            function.restype, function.argtypes = self._prototypes[name]
        return functions

    def result(self, name: str, *arguments: Any) -> int:
        """What the function answers."""
        answer: int | None = self._functions[name](*arguments)
        return answer or 0

    def must(self, name: str, *arguments: Any) -> int:
        """What it answers, which is neither 0 nor INVALID_HANDLE. Raises Win32Error."""
        answer = self.result(name, *arguments)
        if answer in (0, INVALID_HANDLE):
            raise Win32Error(name, last_error())
        return answer


def last_error() -> int:
    """GetLastError of the last call in this thread."""
    code: int = ctypes.get_last_error()  # type: ignore[attr-defined, unused-ignore]
    return code

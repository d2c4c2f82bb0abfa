"""kernel32.dll: files, pipes and waiting (namedpipeapi.h, fileapi.h, ioapiset.h, synchapi.h)."""

from __future__ import annotations

import ctypes

from keystead_agent.windows._dll import BOOL, DWORD, HANDLE, POINTER, WORDS, Dll

PIPE_ACCESS_DUPLEX = 0x3
FILE_FLAG_FIRST_PIPE_INSTANCE = 0x0008_0000
FILE_FLAG_OVERLAPPED = 0x4000_0000
PIPE_TYPE_BYTE = 0x0
PIPE_REJECT_REMOTE_CLIENTS = 0x8
PIPE_UNLIMITED_INSTANCES = 255
OPEN_EXISTING = 3
SECURITY_SQOS_PRESENT = 0x0010_0000
SECURITY_IDENTIFICATION = 0x0001_0000
WAIT_OBJECT_0, WAIT_TIMEOUT = 0, 0x102
INFINITE = 0xFFFF_FFFF
ALL_THAT_CAN_GO = 2**64 - 1
"""(SIZE_T)-1, for both sizes of a working set (memoryapi.h)."""

ERROR_FILE_NOT_FOUND, ERROR_ACCESS_DENIED = 2, 5
ERROR_BROKEN_PIPE, ERROR_PIPE_BUSY, ERROR_NO_DATA, ERROR_PIPE_NOT_CONNECTED = 109, 231, 232, 233
ERROR_PIPE_CONNECTED, ERROR_OPERATION_ABORTED, ERROR_IO_PENDING = 535, 995, 997
GONE = (ERROR_BROKEN_PIPE, ERROR_NO_DATA, ERROR_PIPE_NOT_CONNECTED)


class Overlapped(ctypes.Structure):
    """OVERLAPPED."""

    _fields_ = (
        ("Internal", ctypes.c_size_t),
        ("InternalHigh", ctypes.c_size_t),
        ("Offset", DWORD),
        ("OffsetHigh", DWORD),
        ("hEvent", HANDLE),
    )


class SecurityAttributes(ctypes.Structure):
    """SECURITY_ATTRIBUTES."""

    _fields_ = (("nLength", DWORD), ("lpSecurityDescriptor", POINTER), ("bInheritHandle", BOOL))


kernel32 = Dll(
    "kernel32.dll",
    {
        "CreateNamedPipeW": (HANDLE, (WORDS, DWORD, DWORD, DWORD, DWORD, DWORD, DWORD, POINTER)),
        "ConnectNamedPipe": (BOOL, (HANDLE, POINTER)),
        "CreateFileW": (HANDLE, (WORDS, DWORD, DWORD, POINTER, DWORD, DWORD, HANDLE)),
        "ReadFile": (BOOL, (HANDLE, POINTER, DWORD, POINTER, POINTER)),
        "WriteFile": (BOOL, (HANDLE, POINTER, DWORD, POINTER, POINTER)),
        "GetOverlappedResult": (BOOL, (HANDLE, POINTER, POINTER, BOOL)),
        "CancelIoEx": (BOOL, (HANDLE, POINTER)),
        "CreateEventW": (HANDLE, (POINTER, BOOL, BOOL, WORDS)),
        "SetEvent": (BOOL, (HANDLE,)),
        "WaitForMultipleObjects": (DWORD, (DWORD, POINTER, BOOL, DWORD)),
        "CloseHandle": (BOOL, (HANDLE,)),
        "GetNamedPipeServerProcessId": (BOOL, (HANDLE, POINTER)),
        "GetNamedPipeClientProcessId": (BOOL, (HANDLE, POINTER)),
        "GetCurrentThread": (HANDLE, ()),
        "GetCurrentProcess": (HANDLE, ()),
        "SetProcessWorkingSetSize": (BOOL, (HANDLE, ctypes.c_size_t, ctypes.c_size_t)),
        "LocalFree": (POINTER, (POINTER,)),
    },
)

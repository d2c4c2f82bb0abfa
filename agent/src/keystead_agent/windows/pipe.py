r"""The local connection on Windows: the pipe \\.\pipe\keystead-agent, whose two ends the system names.

SYSTEM alone creates it and every instance of it. Who is logged in at the computer may open it for reading and writing,
but not create an instance (FILE_CREATE_PIPE_INSTANCE is FILE_APPEND_DATA: both ends ask for single rights, never for
GENERIC_WRITE, which holds it), nobody may over the network, nobody of low integrity (a browser's sandbox).
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from contextlib import suppress

from keystead_agent.backoff import Stopped
from keystead_agent.errors import AgentError
from keystead_agent.local.connection import LONGEST_FRAME, LocalTrouble, Peer, ServiceMissing
from keystead_agent.windows import _kernel32 as k
from keystead_agent.windows._advapi32 import SDDL_REVISION_1, advapi32
from keystead_agent.windows._dll import DWORD, HANDLE, POINTER, Win32Error, last_error
from keystead_agent.windows._kernel32 import kernel32
from keystead_agent.windows.accounts import client_of, own_sid
from keystead_agent.windows.control import running_service

PIPE = r"\\.\pipe\keystead-agent"
CLIENT_RIGHTS = 0x0012_019B
"""FILE_GENERIC_READ | FILE_GENERIC_WRITE without FILE_APPEND_DATA."""
CONNECT_LIMIT = 5.0
ACCEPT_PAUSE = 200
"""Milliseconds until what could not be had, for want of memory or handles, is tried again."""


def access_list(owner_sid: str) -> str:
    """The pipe's security descriptor (SDDL): the service's own account, then administrators and who is logged in."""
    return (
        f"D:P(D;;FA;;;NU)(A;;FA;;;{owner_sid})(A;;0x{CLIENT_RIGHTS:x};;;BA)(A;;0x{CLIENT_RIGHTS:x};;;IU)S:(ML;;NW;;;ME)"
    )


class PipeConnection:
    """One end of a connected pipe."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def receive(self, size: int, seconds: float) -> bytes:
        """See `connection.Connection`."""
        buffer = ctypes.create_string_buffer(size)
        try:
            count = overlapped(
                self._handle, lambda o: kernel32.result("ReadFile", self._handle, buffer, size, None, o), seconds
            )
        except Win32Error as error:
            if error.code in k.GONE:
                return b""
            raise _trouble(error) from error
        return buffer.raw[:count]

    def send(self, data: bytes, seconds: float) -> None:
        """See `connection.Connection`."""
        until = time.monotonic() + seconds
        try:
            while data:
                data = data[self._write(data, max(0.0, until - time.monotonic())) :]
        except Win32Error as error:
            raise _trouble(error) from error

    def _write(self, data: bytes, seconds: float) -> int:
        return overlapped(
            self._handle, lambda o: kernel32.result("WriteFile", self._handle, data, len(data), None, o), seconds
        )

    def peer(self) -> Peer:
        """See `connection.Connection`."""
        pid = DWORD()
        try:
            account = client_of(self._handle)
            kernel32.must("GetNamedPipeClientProcessId", self._handle, ctypes.byref(pid))
        except Win32Error as error:
            raise LocalTrouble(f"who asks cannot be told: {error}") from error
        return Peer(
            account=account.sid,
            pid=pid.value,
            session=account.session,
            administrator=account.administrator,
            interactive=account.interactive,
        )

    def server_pid(self) -> int:
        """The process that made the pipe. Raises Win32Error."""
        pid = DWORD()
        kernel32.must("GetNamedPipeServerProcessId", self._handle, ctypes.byref(pid))
        return pid.value

    def close(self) -> None:
        """See `connection.Connection`. What was sent stays readable: the pipe is closed, not disconnected."""
        kernel32.result("CloseHandle", self._handle)


class PipeListener:
    """The service's end of pipe `name`. Raises PipeTaken if somebody else made the pipe before."""

    def __init__(self, name: str = PIPE) -> None:
        self._name = name
        self._stop = kernel32.must("CreateEventW", None, True, False, None)
        self._next = self._instance(k.FILE_FLAG_FIRST_PIPE_INSTANCE)

    def accept(self) -> PipeConnection:
        """See `connection.Listener`."""
        while True:
            instance = self._next
            taken = self._connected(instance)
            self._next = self._another(instance)  # before this one is served, so that the name is never free
            if taken:
                return PipeConnection(instance)
            kernel32.result("CloseHandle", instance)
            self._pause(self._next)

    def _connected(self, instance: int) -> bool:
        """Waits for somebody to connect; whether it can be used. Raises Stopped, `instance` closed."""
        try:
            overlapped(instance, lambda o: kernel32.result("ConnectNamedPipe", instance, o), None, stop=self._stop)
        except Win32Error as error:
            return error.code in (k.ERROR_PIPE_CONNECTED, *k.GONE)
        except Stopped:
            kernel32.result("CloseHandle", instance)
            raise
        return True

    def _another(self, before: int) -> int:
        """The next instance, however long it takes until one can be made. Raises Stopped, `before` closed."""
        while True:
            try:
                return self._instance(0)
            except PipeTaken:
                self._pause(before)

    def _pause(self, instance: int) -> None:
        """Waits a moment. Raises Stopped, `instance` closed, when told to stop."""
        which = kernel32.result("WaitForMultipleObjects", 1, (HANDLE * 1)(self._stop), False, ACCEPT_PAUSE)
        if which == k.WAIT_OBJECT_0:
            kernel32.result("CloseHandle", instance)
            raise Stopped

    def close(self) -> None:
        """See `connection.Listener`."""
        with suppress(Win32Error):
            kernel32.must("SetEvent", self._stop)

    def _instance(self, flags: int) -> int:
        descriptor = POINTER()
        advapi32.must(
            "ConvertStringSecurityDescriptorToSecurityDescriptorW",
            access_list(own_sid()),
            SDDL_REVISION_1,
            ctypes.byref(descriptor),
            None,
        )
        attributes = k.SecurityAttributes(ctypes.sizeof(k.SecurityAttributes), descriptor, False)
        try:
            return kernel32.must(
                "CreateNamedPipeW",
                self._name,
                k.PIPE_ACCESS_DUPLEX | k.FILE_FLAG_OVERLAPPED | flags,
                k.PIPE_TYPE_BYTE | k.PIPE_REJECT_REMOTE_CLIENTS,
                k.PIPE_UNLIMITED_INSTANCES,
                LONGEST_FRAME,
                LONGEST_FRAME,
                0,
                ctypes.byref(attributes),
            )
        except Win32Error as error:
            raise PipeTaken(
                f"the pipe {self._name} cannot be made: {error}",
                "Another program made a pipe of that name. Find it (Sysinternals handle), end it, start the service.",
            ) from error
        finally:
            kernel32.result("LocalFree", descriptor)


class PipeTaken(AgentError):
    """The pipe's name is somebody else's."""


def connect(name: str = PIPE, *, service_pid: Callable[[], int | None] = running_service) -> PipeConnection:
    """A connection to the service. Raises ServiceMissing if nobody listens, or a process that is not the service's
    own (`service_pid`, from the service control manager): that one is sent nothing, and cannot act as this user."""
    connection = PipeConnection(_open(name))
    try:
        listening, service = connection.server_pid(), service_pid()
    except Win32Error as error:
        connection.close()
        raise ServiceMissing(f"who listens at {name} cannot be told: {error}", _START) from error
    if service is None or listening != service:
        connection.close()
        raise ServiceMissing(
            f"who listens at {name} is not the agent's service but process {listening}",
            "Nothing was sent. Tell the administrator of this computer.",
        )
    return connection


_START = "Start it: as an administrator, sc start KeysteadAgent. If it stays so, install the agent again."


def _open(name: str) -> int:
    until = time.monotonic() + CONNECT_LIMIT
    flags = k.FILE_FLAG_OVERLAPPED | k.SECURITY_SQOS_PRESENT | k.SECURITY_IDENTIFICATION
    while True:
        try:
            return kernel32.must("CreateFileW", name, CLIENT_RIGHTS, 0, None, k.OPEN_EXISTING, flags, 0)
        except Win32Error as error:
            if error.code == k.ERROR_PIPE_BUSY and time.monotonic() < until:
                time.sleep(0.05)
                continue
            if error.code == k.ERROR_ACCESS_DENIED:
                raise ServiceMissing(
                    "this account may not speak with the agent's service",
                    "It answers who is logged in at this computer, not over the network.",
                ) from error
            raise ServiceMissing(f"the agent's service does not answer: {error}", _START) from error


def overlapped(handle: int, begin: Callable[[object], int], seconds: float | None, *, stop: int | None = None) -> int:
    """Waits for what `begin` starts on `handle`, up to `seconds` and until event `stop` is set; the octets that were
    moved. Raises Win32Error; LocalTrouble when time is up, Stopped when told to stop."""
    event = kernel32.must("CreateEventW", None, True, False, None)
    operation = k.Overlapped(hEvent=event)
    moved = DWORD()
    try:
        if not begin(ctypes.byref(operation)):
            code = last_error()
            if code != k.ERROR_IO_PENDING:
                raise Win32Error("overlapped operation", code)
            _wait(handle, operation, event, seconds, stop)
        kernel32.result("GetOverlappedResult", handle, ctypes.byref(operation), ctypes.byref(moved), True) or _failed()
        return moved.value
    finally:
        kernel32.result("CloseHandle", event)


def _failed() -> int:
    raise Win32Error("GetOverlappedResult", last_error())


def _wait(handle: int, operation: k.Overlapped, event: int, seconds: float | None, stop: int | None) -> None:
    events = (HANDLE * 2)(event, stop or 0)
    limit = k.INFINITE if seconds is None else int(seconds * 1000)
    which = kernel32.result("WaitForMultipleObjects", 2 if stop else 1, events, False, limit)
    if which == k.WAIT_OBJECT_0:
        return
    moved = DWORD()
    kernel32.result("CancelIoEx", handle, ctypes.byref(operation))
    kernel32.result("GetOverlappedResult", handle, ctypes.byref(operation), ctypes.byref(moved), True)
    if which == k.WAIT_OBJECT_0 + 1:
        raise Stopped
    raise LocalTrouble("the other end of the local connection was too slow")


def _trouble(error: Win32Error) -> LocalTrouble:
    if error.code in k.GONE:
        return LocalTrouble("the other end of the local connection has gone")
    return LocalTrouble(f"the local connection broke: {error}")

"""Who a process or the client of a pipe is."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from keystead_agent.windows._advapi32 import (
    ADMINISTRATORS_SID,
    INTERACTIVE_SID,
    SYSTEM_SID,
    TOKEN_QUERY,
    TOKEN_SESSION_ID,
    TOKEN_USER,
    advapi32,
)
from keystead_agent.windows._dll import DWORD, HANDLE, POINTER
from keystead_agent.windows._kernel32 import kernel32


class Account:
    """What a token says: the user's SID, the session, and which of the groups that matter are in force."""

    def __init__(self, sid: str, session: int, administrator: bool, interactive: bool) -> None:
        self.sid = sid
        self.session = session
        self.administrator = administrator
        self.interactive = interactive


def own_sid() -> str:
    """The SID that this process runs as. Raises Win32Error."""
    token = HANDLE()
    advapi32.must("OpenProcessToken", kernel32.result("GetCurrentProcess"), TOKEN_QUERY, ctypes.byref(token))
    with _closing(token.value):
        return _sid(token.value)


def client_of(pipe: int) -> Account:
    """Who is at the other end of `pipe`, of which something was read. The impersonation tells and does nothing else:
    it ends before this returns. Raises Win32Error."""
    token = HANDLE()
    advapi32.must("ImpersonateNamedPipeClient", pipe)
    try:
        advapi32.must("OpenThreadToken", kernel32.result("GetCurrentThread"), TOKEN_QUERY, True, ctypes.byref(token))
    finally:
        if not advapi32.result("RevertToSelf"):
            os._exit(1)  # never go on as somebody else
    with _closing(token.value):
        sid = _sid(token.value)
        return Account(
            sid=sid,
            session=int.from_bytes(_information(token.value, TOKEN_SESSION_ID), "little"),
            administrator=sid == SYSTEM_SID or _member(token.value, ADMINISTRATORS_SID),
            interactive=_member(token.value, INTERACTIVE_SID),
        )


@contextmanager
def _closing(handle: int) -> Iterator[None]:
    try:
        yield
    finally:
        kernel32.result("CloseHandle", handle)


def _information(token: int, what: int) -> bytes:
    size = DWORD()
    advapi32.result("GetTokenInformation", token, what, None, 0, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(max(size.value, 4))
    advapi32.must("GetTokenInformation", token, what, buffer, len(buffer), ctypes.byref(size))
    if what == TOKEN_USER:  # SID_AND_ATTRIBUTES points into the buffer, which goes
        return _sid_text(POINTER.from_buffer(buffer).value).encode()
    return buffer.raw[: size.value]


def _sid(token: int) -> str:
    return _information(token, TOKEN_USER).decode()


def _sid_text(sid: int | None) -> str:
    text = POINTER()
    advapi32.must("ConvertSidToStringSidW", sid, ctypes.byref(text))
    try:
        return ctypes.wstring_at(text.value or 0)
    finally:
        kernel32.result("LocalFree", text)


def _member(token: int, group: str) -> bool:
    """Whether `group` is in force in `token`: not for an administrator who is not elevated."""
    sid, answer = POINTER(), ctypes.c_int32()
    advapi32.must("ConvertStringSidToSidW", group, ctypes.byref(sid))
    try:
        advapi32.must("CheckTokenMembership", token, sid, ctypes.byref(answer))
    finally:
        kernel32.result("LocalFree", sid)
    return bool(answer.value)

"""Files, locks, accounts and folders of Windows; see `posix` for the other half.

    %ProgramData%\\Keystead             agent.toml; everybody reads it, administrators write it
    %ProgramData%\\Keystead\\state       the computer's keys and certificates: SYSTEM and administrators alone
    %LOCALAPPDATA%\\Keystead            an account's: SYSTEM, administrators and the account

Any account may make folders in %ProgramData%, so what is found there counts only if no account but an administrator's
could have written it.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"  # for the type checker, which then reads this for one platform

import ctypes
import errno
import msvcrt
import os
import secrets
import stat
import tempfile
import time
import winreg
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pywintypes
import win32api
import win32file
import win32security as security
import winerror

OPEN_FLAGS = os.O_BINARY | os.O_NOINHERIT
POLICY_KEY = r"Software\Policies\Keystead"
POLICY_SOURCE = rf"HKLM\{POLICY_KEY}"

LOCKED_OCTET = 0x7FFFFF00
"""Far behind the end: a locked octet of a file cannot be read by others."""
BUSY_PATIENCE = 2.0
"""Seconds for which a file that another program has open is tried again: virus scanners look at new files."""
_BUSY = (winerror.ERROR_ACCESS_DENIED, winerror.ERROR_SHARING_VIOLATION, winerror.ERROR_LOCK_VIOLATION)
_MOVEFILE_REPLACE_EXISTING, _MOVEFILE_WRITE_THROUGH = 0x1, 0x8
_CSIDL_COMMON_APPDATA, _CSIDL_LOCAL_APPDATA = 0x23, 0x1C

_FOR_SYSTEM = "(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
_FOR_READERS = "(A;OICI;0x1200A9;;;BU)"
_COMPUTERS = f"O:BAD:P{_FOR_SYSTEM}{_FOR_READERS}"
_FILES = security.SE_FILE_OBJECT
_OWNER_AND_ACCESS = security.OWNER_SECURITY_INFORMATION | security.DACL_SECURITY_INFORMATION
_WRITES = 0x500D0156
"""GENERIC_ALL and _WRITE, WRITE_OWNER, WRITE_DAC, DELETE, FILE_WRITE_ATTRIBUTES, _DELETE_CHILD, _WRITE_EA,
_APPEND_DATA, _WRITE_DATA."""
_INHERIT_ONLY = 0x8


def try_lock(descriptor: int) -> bool:
    """Takes the lock on an open file (LockFileEx) until it is closed, unless another open of the file has it."""
    os.lseek(descriptor, LOCKED_OCTET, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True


def unseen_file(name: str) -> int:
    """The descriptor of an empty file that nobody else has; it goes when it is closed."""
    with tempfile.NamedTemporaryFile(prefix=f"{name}-") as file:
        return os.dup(file.fileno())


def replace(source: Path, target: Path) -> None:
    """Renames, on disk on return; a file takes the place of another one."""
    deadline = time.monotonic() + BUSY_PATIENCE
    flags = _MOVEFILE_WRITE_THROUGH | (0 if source.is_dir() else _MOVEFILE_REPLACE_EXISTING)
    while True:
        try:
            win32file.MoveFileExW(str(source), str(target), flags)
            return
        except pywintypes.error as error:
            if error.winerror not in _BUSY or time.monotonic() > deadline:
                raise _os_error(error, source) from error
        time.sleep(0.02)


def sync_directory(path: Path) -> None:
    """Nothing: NTFS keeps a journal of names, and `replace` waits for it."""


def make_private(path: Path) -> None:
    """Makes the folder `path` for this account alone, or for the computer's administrators below %ProgramData%, unless
    it is there. Raises OSError, also if another hand could write there."""
    folder = _computer_folder()
    if path == folder or folder in path.parents:
        _make_folder(folder, _COMPUTERS)
        _require_own(folder)
        access = f"O:BAD:P{_FOR_SYSTEM}"
    else:
        access = f"D:P{_FOR_SYSTEM}(A;OICI;FA;;;{_account_sid()})"
    missing = [place for place in (path, *path.parents) if not place.exists()]
    for place in reversed(missing):
        _make_folder(place, access)
    if folder in path.parents:
        _require_own(path)


def _make_folder(path: Path, access: str) -> None:
    attributes = pywintypes.SECURITY_ATTRIBUTES()
    attributes.SECURITY_DESCRIPTOR = security.ConvertStringSecurityDescriptorToSecurityDescriptor(
        access, security.SDDL_REVISION_1
    )
    try:
        win32file.CreateDirectoryW(str(path), attributes)
    except pywintypes.error as error:
        if error.winerror != winerror.ERROR_ALREADY_EXISTS:
            raise _os_error(error, path) from error


def _require_own(path: Path) -> None:
    other = foreign_hand(path)
    if other:
        raise PermissionError(errno.EPERM, f"{other}, who is no administrator, can write there", str(path))


def _os_error(error: pywintypes.error, path: Path) -> OSError:
    return OSError(0, error.strerror.strip(), str(path), error.winerror)


def works_for_computer() -> bool:
    """Whether this account's keys and certificates are the computer's: that of services is, no person's."""
    return _account_sid() == "S-1-5-18"


@cache
def _account_sid() -> str:
    token = security.OpenProcessToken(win32api.GetCurrentProcess(), security.TOKEN_QUERY)
    return str(security.ConvertSidToStringSid(security.GetTokenInformation(token, security.TokenUser)[0]))


def computer_state() -> Path:
    """Where the computer's keys and certificates are kept."""
    return _computer_folder() / "state"


def claim_computer_folder() -> None:
    """Makes the computer's folder; one that another account made before is put aside under another name. Raises
    OSError."""
    folder = _computer_folder()
    if os.path.lexists(folder) and foreign_hand(folder):
        replace(folder, folder.with_name(f"Keystead.foreign-{secrets.token_hex(4)}"))
    _make_folder(folder, _COMPUTERS)


def account_state(environ: Mapping[str, str]) -> Path:
    """Where this account's are kept. Windows itself says where, not a variable."""
    return _known_folder(_CSIDL_LOCAL_APPDATA) / "Keystead"


@cache
def _known_folder(number: int) -> Path:
    buffer = ctypes.create_unicode_buffer(260)
    status = ctypes.windll.shell32.SHGetFolderPathW(None, number, None, 0, buffer)
    if status != 0:
        raise OSError(0, "Windows does not say where this folder is", None, status & 0xFFFF)
    return Path(buffer.value)


def _computer_folder() -> Path:
    return _known_folder(_CSIDL_COMMON_APPDATA) / "Keystead"


SETTINGS_FILE = _computer_folder() / "agent.toml"


def foreign_hand(path: Path) -> str:
    """Who, not being an administrator, owns `path` or may write it; empty if nobody. A link is of whoever made it: what
    it leads to can be an administrator's now and another's when it is used. Raises OSError."""
    if os.lstat(path).st_file_attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT:
        return "whoever made the link that is there"
    try:
        facts = security.GetNamedSecurityInfo(str(path), _FILES, _OWNER_AND_ACCESS)
    except pywintypes.error as error:
        raise _os_error(error, path) from error
    owner = facts.GetSecurityDescriptorOwner()
    if str(owner) not in _trusted():
        return _name(owner)
    access = facts.GetSecurityDescriptorDacl()
    if access is None:
        return "everybody"
    for index in range(access.GetAceCount()):
        (kind, flags), mask, who = access.GetAce(index)[:3]
        grants = kind == security.ACCESS_ALLOWED_ACE_TYPE and not flags & _INHERIT_ONLY
        if grants and mask & _WRITES and str(who) not in _trusted():
            return _name(who)
    return ""


@cache
def _trusted() -> frozenset[str]:
    """Administrators, SYSTEM, and whoever owns Windows itself (TrustedInstaller)."""
    known = (security.WinBuiltinAdministratorsSid, security.WinLocalSystemSid, security.WinCreatorOwnerRightsSid)
    windows = security.GetNamedSecurityInfo(win32api.GetWindowsDirectory(), _FILES, security.OWNER_SECURITY_INFORMATION)
    return frozenset(
        str(sid)
        for sid in (*(security.CreateWellKnownSid(one, None) for one in known), windows.GetSecurityDescriptorOwner())
    )


def _name(sid: Any) -> str:
    with suppress(pywintypes.error):
        name, domain, _ = security.LookupAccountSid(None, sid)
        return f"{domain}\\{name}" if domain else name
    return str(security.ConvertSidToStringSid(sid))


def policy() -> dict[str, Any]:
    """Policy that Windows distributes to computers: the values of POLICY_KEY, which administrators alone write."""
    access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, POLICY_KEY, access=access) as key:
            values = [winreg.EnumValue(key, index) for index in range(winreg.QueryInfoKey(key)[1])]
    except FileNotFoundError:
        return {}
    return {name.lower(): value for name, value, _ in values}

"""Looking at this Windows computer for `doctor`. Changes nothing."""

from __future__ import annotations

import ctypes
import shlex
import sys
from pathlib import Path
from typing import Any

from keystead_agent.doctor_windows import TbsFacts, WindowsFacts
from keystead_agent.windows._dll import DWORD, POINTER, Dll, Win32Error
from keystead_agent.windows.control import service_status
from keystead_contracts.agent import URL_SCHEME

_COMMAND = rf"Software\Classes\{URL_SCHEME}\shell\open\command"
tbs = Dll("tbs.dll", {"Tbsi_GetDeviceInfo": (DWORD, (DWORD, POINTER))})


class TpmDeviceInfo(ctypes.Structure):
    """TPM_DEVICE_INFO (tbs.h)."""

    _fields_ = (
        ("structVersion", DWORD),
        ("tpmVersion", DWORD),
        ("tpmInterfaceType", DWORD),
        ("tpmImpRevision", DWORD),
    )


def look() -> WindowsFacts:
    """Asks this computer."""
    computers, accounts = _command("HKEY_LOCAL_MACHINE"), _command("HKEY_CURRENT_USER")
    return WindowsFacts(
        build=_build(),
        tbs=look_at_tbs(),
        service_state=_service_state(),
        service_version=_service_version(),
        computers_command=computers,
        accounts_command=accounts,
        program_there=_program(computers).is_file(),
    )


def look_at_tbs() -> TbsFacts:
    """What the TPM Base Services say; any account may ask."""
    info = TpmDeviceInfo(structVersion=1)
    try:
        status = tbs.result("Tbsi_GetDeviceInfo", ctypes.sizeof(info), ctypes.byref(info))
    except (OSError, AttributeError):
        return TbsFacts(status=0x8028_4008)  # TBS_E_SERVICE_NOT_RUNNING
    return TbsFacts(status=status, version=info.tpmVersion)


def _build() -> int:
    """The build of Windows itself, whatever the program's manifest declares."""
    version: Any = sys.getwindowsversion()  # type: ignore[attr-defined, unused-ignore]
    return int(version.platform_version[2])


def _service_state() -> int | None:
    try:
        status = service_status()
    except Win32Error:
        return None
    return status.dwCurrentState if status else None


def _service_version() -> str | None:
    from keystead_agent.local.client import running_version
    from keystead_agent.windows.pipe import connect

    return running_version(connect)


def _command(root: str) -> str:
    import winreg  # of Windows alone

    registry: Any = winreg
    try:
        with registry.OpenKey(getattr(registry, root), _COMMAND) as key:
            return str(registry.QueryValueEx(key, "")[0])
    except OSError:
        return ""


def _program(command: str) -> Path:
    """The program that `command` names first."""
    words = shlex.split(command.replace("\\", "\\\\")) if command else []
    return Path(words[0]) if words else Path()

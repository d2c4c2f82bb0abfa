"""The service control manager, asked about the agent's service."""

from __future__ import annotations

import ctypes

from keystead_agent.windows._advapi32 import (
    ERROR_SERVICE_DOES_NOT_EXIST,
    SC_MANAGER_CONNECT,
    SC_STATUS_PROCESS_INFO,
    SERVICE_QUERY_STATUS,
    SERVICE_RUNNING,
    ServiceStatusProcess,
    advapi32,
)
from keystead_agent.windows._dll import DWORD, Win32Error

NAME = "KeysteadAgent"
DISPLAY_NAME = "Keystead Agent"


def service_status(name: str = NAME) -> ServiceStatusProcess | None:
    """How the service is, None if there is none of that name. Any user may ask. Raises Win32Error."""
    manager = advapi32.must("OpenSCManagerW", None, None, SC_MANAGER_CONNECT)
    try:
        service = advapi32.must("OpenServiceW", manager, name, SERVICE_QUERY_STATUS)
    except Win32Error as error:
        if error.code == ERROR_SERVICE_DOES_NOT_EXIST:
            return None
        raise
    finally:
        advapi32.result("CloseServiceHandle", manager)
    status, needed = ServiceStatusProcess(), DWORD()
    try:
        advapi32.must(
            "QueryServiceStatusEx",
            service,
            SC_STATUS_PROCESS_INFO,
            ctypes.byref(status),
            ctypes.sizeof(status),
            ctypes.byref(needed),
        )
    finally:
        advapi32.result("CloseServiceHandle", service)
    return status


def running_service(name: str = NAME) -> int | None:
    """The process id of the running service, None if it does not run. Raises Win32Error."""
    status = service_status(name)
    return status.dwProcessId if status and status.dwCurrentState == SERVICE_RUNNING else None

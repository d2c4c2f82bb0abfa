"""advapi32.dll: accounts (securitybaseapi.h, sddl.h), services (winsvc.h), the event log (winbase.h)."""

from __future__ import annotations

import ctypes

from keystead_agent.windows._dll import BOOL, DWORD, HANDLE, POINTER, WORDS, Dll

TOKEN_QUERY = 0x8
TOKEN_USER, TOKEN_SESSION_ID = 1, 12
SDDL_REVISION_1 = 1
SYSTEM_SID, ADMINISTRATORS_SID, INTERACTIVE_SID = "S-1-5-18", "S-1-5-32-544", "S-1-5-4"

SC_MANAGER_CONNECT = 0x1
SERVICE_QUERY_STATUS = 0x4
SC_STATUS_PROCESS_INFO = 0
SERVICE_WIN32_OWN_PROCESS = 0x10
SERVICE_STOPPED, SERVICE_START_PENDING, SERVICE_STOP_PENDING, SERVICE_RUNNING = 1, 2, 3, 4
SERVICE_ACCEPT_STOP, SERVICE_ACCEPT_SHUTDOWN = 0x1, 0x4
SERVICE_CONTROL_STOP, SERVICE_CONTROL_INTERROGATE, SERVICE_CONTROL_SHUTDOWN = 1, 4, 5
NO_ERROR, ERROR_CALL_NOT_IMPLEMENTED = 0, 120
ERROR_SERVICE_DOES_NOT_EXIST, ERROR_SERVICE_SPECIFIC_ERROR = 1060, 1066
ERROR_FAILED_SERVICE_CONTROLLER_CONNECT = 1063

EVENTLOG_ERROR, EVENTLOG_WARNING, EVENTLOG_INFORMATION = 1, 2, 4

ServiceMain = ctypes.CFUNCTYPE(None, DWORD, POINTER)
"""LPSERVICE_MAIN_FUNCTIONW; x64 has one calling convention, so that CFUNCTYPE, which every platform has, fits."""
HandlerEx = ctypes.CFUNCTYPE(DWORD, DWORD, DWORD, POINTER, POINTER)


class ServiceTableEntry(ctypes.Structure):
    """SERVICE_TABLE_ENTRYW."""

    _fields_ = (("lpServiceName", WORDS), ("lpServiceProc", ServiceMain))


class ServiceStatus(ctypes.Structure):
    """SERVICE_STATUS."""

    _fields_ = (
        ("dwServiceType", DWORD),
        ("dwCurrentState", DWORD),
        ("dwControlsAccepted", DWORD),
        ("dwWin32ExitCode", DWORD),
        ("dwServiceSpecificExitCode", DWORD),
        ("dwCheckPoint", DWORD),
        ("dwWaitHint", DWORD),
    )


class ServiceStatusProcess(ctypes.Structure):
    """SERVICE_STATUS_PROCESS."""

    _fields_ = (*ServiceStatus._fields_, ("dwProcessId", DWORD), ("dwServiceFlags", DWORD))


advapi32 = Dll(
    "advapi32.dll",
    {
        "ConvertStringSecurityDescriptorToSecurityDescriptorW": (BOOL, (WORDS, DWORD, POINTER, POINTER)),
        "ConvertSidToStringSidW": (BOOL, (POINTER, POINTER)),
        "ConvertStringSidToSidW": (BOOL, (WORDS, POINTER)),
        "ImpersonateNamedPipeClient": (BOOL, (HANDLE,)),
        "RevertToSelf": (BOOL, ()),
        "OpenThreadToken": (BOOL, (HANDLE, DWORD, BOOL, POINTER)),
        "OpenProcessToken": (BOOL, (HANDLE, DWORD, POINTER)),
        "GetTokenInformation": (BOOL, (HANDLE, DWORD, POINTER, DWORD, POINTER)),
        "CheckTokenMembership": (BOOL, (HANDLE, POINTER, POINTER)),
        "OpenSCManagerW": (HANDLE, (WORDS, WORDS, DWORD)),
        "OpenServiceW": (HANDLE, (HANDLE, WORDS, DWORD)),
        "QueryServiceStatusEx": (BOOL, (HANDLE, DWORD, POINTER, DWORD, POINTER)),
        "CloseServiceHandle": (BOOL, (HANDLE,)),
        "StartServiceCtrlDispatcherW": (BOOL, (POINTER,)),
        "RegisterServiceCtrlHandlerExW": (HANDLE, (WORDS, HandlerEx, POINTER)),
        "SetServiceStatus": (BOOL, (HANDLE, POINTER)),
        "RegisterEventSourceW": (HANDLE, (WORDS, WORDS)),
        "ReportEventW": (
            BOOL,
            (HANDLE, ctypes.c_uint16, ctypes.c_uint16, DWORD, POINTER, ctypes.c_uint16, DWORD, POINTER, POINTER),
        ),
        "DeregisterEventSource": (BOOL, (HANDLE,)),
    },
)

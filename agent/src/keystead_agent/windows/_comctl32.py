"""comctl32.dll and user32.dll: windows to the person (commctrl.h, winuser.h)."""

from __future__ import annotations

import ctypes

from keystead_agent.windows._dll import BOOL, DWORD, HANDLE, POINTER, WORDS, Dll

TDF_ALLOW_DIALOG_CANCELLATION = 0x0008
TDF_SHOW_MARQUEE_PROGRESS_BAR = 0x0400
TDF_CALLBACK_TIMER = 0x0800
TDF_SIZE_TO_CONTENT = 0x0100_0000
TDN_CREATED, TDN_BUTTON_CLICKED, TDN_TIMER = 0, 2, 4
_WM_USER = 0x0400
TDM_CLICK_BUTTON = _WM_USER + 102
TDM_SET_PROGRESS_BAR_MARQUEE = _WM_USER + 107
TDM_SET_ELEMENT_TEXT = _WM_USER + 108
TDE_CONTENT = 0
TD_WARNING_ICON, TD_ERROR_ICON, TD_INFORMATION_ICON = 0xFFFF, 0xFFFE, 0xFFFD

IDOK, IDCANCEL, IDYES, IDNO = 1, 2, 6, 7
MB_OK, MB_YESNO = 0x0, 0x4
MB_ICONERROR, MB_ICONWARNING, MB_ICONINFORMATION = 0x10, 0x30, 0x40
MB_DEFBUTTON2 = 0x100
MB_SETFOREGROUND = 0x0001_0000

UOI_FLAGS = 1
WSF_VISIBLE = 0x1

Callback = ctypes.CFUNCTYPE(ctypes.c_long, HANDLE, ctypes.c_uint, ctypes.c_size_t, ctypes.c_ssize_t, ctypes.c_ssize_t)
"""PFTASKDIALOGCALLBACK; x64 has one calling convention."""


class Button(ctypes.Structure):
    """TASKDIALOG_BUTTON; commctrl.h packs it and the configuration by 1."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("nButtonID", ctypes.c_int), ("pszButtonText", WORDS))


class TaskDialogConfig(ctypes.Structure):
    """TASKDIALOGCONFIG."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("cbSize", ctypes.c_uint),
        ("hwndParent", HANDLE),
        ("hInstance", HANDLE),
        ("dwFlags", DWORD),
        ("dwCommonButtons", DWORD),
        ("pszWindowTitle", WORDS),
        ("pszMainIcon", HANDLE),
        ("pszMainInstruction", WORDS),
        ("pszContent", WORDS),
        ("cButtons", ctypes.c_uint),
        ("pButtons", ctypes.POINTER(Button)),
        ("nDefaultButton", ctypes.c_int),
        ("cRadioButtons", ctypes.c_uint),
        ("pRadioButtons", ctypes.POINTER(Button)),
        ("nDefaultRadioButton", ctypes.c_int),
        ("pszVerificationText", WORDS),
        ("pszExpandedInformation", WORDS),
        ("pszExpandedControlText", WORDS),
        ("pszCollapsedControlText", WORDS),
        ("pszFooterIcon", HANDLE),
        ("pszFooter", WORDS),
        ("pfCallback", Callback),
        ("lpCallbackData", ctypes.c_ssize_t),
        ("cxWidth", ctypes.c_uint),
    )


comctl32 = Dll("comctl32.dll", {"TaskDialogIndirect": (ctypes.c_long, (POINTER, POINTER, POINTER, POINTER))})

user32 = Dll(
    "user32.dll",
    {
        "MessageBoxW": (ctypes.c_int, (HANDLE, WORDS, WORDS, ctypes.c_uint)),
        "SendMessageW": (ctypes.c_ssize_t, (HANDLE, ctypes.c_uint, ctypes.c_size_t, POINTER)),
        "SetForegroundWindow": (BOOL, (HANDLE,)),
        "GetProcessWindowStation": (HANDLE, ()),
        "GetUserObjectInformationW": (BOOL, (HANDLE, ctypes.c_int, POINTER, DWORD, POINTER)),
    },
)

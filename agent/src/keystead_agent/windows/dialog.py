"""The person at a Windows desktop: task dialogs, and message boxes where there are none (a program whose manifest does
not ask for version 6 of the common controls)."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from keystead_agent.enroll import Enrolled
from keystead_agent.errors import AgentError, ConsentRefused
from keystead_agent.opening import Question, Work
from keystead_agent.output import sentence_of
from keystead_agent.windows import _comctl32 as c
from keystead_agent.windows._comctl32 import comctl32, user32
from keystead_agent.windows._dll import DWORD, Win32Error

TITLE = "Keystead"
MARQUEE_MILLISECONDS = 30


@dataclass(frozen=True)
class Page:
    """What a window says. `buttons` are (id, text); `default` is the one that Enter presses."""

    heading: str
    text: str
    icon: int
    buttons: tuple[tuple[int, str], ...] = ((c.IDOK, "Close"),)
    default: int = c.IDOK
    marquee: bool = False


def question_page(question: Question) -> Page:
    """The question, whose default is no."""
    return Page(
        heading=question.title,
        text=question.text,
        icon=c.TD_WARNING_ICON,
        buttons=((c.IDYES, "Enroll"), (c.IDNO, "Do not enroll")),
        default=c.IDNO,
    )


def success_page(done: Enrolled) -> Page:
    """It worked."""
    return Page("The certificate is installed.", f"{done.location}\nKey: {done.provider}", c.TD_INFORMATION_ICON)


def failure_page(error: AgentError) -> Page:
    """It did not, and what to do."""
    return Page(
        "The certificate was not installed.", "\n\n".join(filter(None, (error.detail, error.advice))), c.TD_ERROR_ICON
    )


WORKING_PAGE = Page(
    "Enrolling …", "Starting …", c.TD_INFORMATION_ICON, ((c.IDCANCEL, "Hide"),), default=c.IDCANCEL, marquee=True
)

Watch = Callable[[], str | None]
"""The text to show now; None when the window is to go."""


class Windows:
    """The calls that show windows. A test passes others."""

    def show(self, page: Page, watch: Watch | None = None) -> int:
        """The id of the button that was pressed, IDCANCEL if the window went. Raises Win32Error if none can be
        shown."""
        try:
            return _task_dialog(page, watch)
        except (Win32Error, AttributeError):
            return c.IDCANCEL if watch is not None else _message_box(page)


class WindowDesk:
    """Asks and tells in windows; see `opening.Desk`."""

    def __init__(self, windows: Windows | None = None) -> None:
        self._windows = windows or Windows()

    def agrees(self, question: Question) -> bool:
        """See `opening.Desk`. Closing the window is no."""
        try:
            return self._windows.show(question_page(question)) == c.IDYES
        except Win32Error as error:
            raise ConsentRefused(
                f"{question.server} wants to enroll a certificate on this computer, and no window can ask: {error}",
                "Open the link on the desktop.",
            ) from error

    def watch(self, work: Work) -> Enrolled:
        """See `opening.Desk`. The work goes on if its window is hidden."""
        progress = _Progress(work)
        with suppress(Win32Error):
            self._windows.show(WORKING_PAGE, progress.text)
        return progress.result()

    def succeeded(self, done: Enrolled) -> None:
        """See `opening.Desk`."""
        self._tell(success_page(done))

    def failed(self, error: AgentError) -> None:
        """See `opening.Desk`."""
        self._tell(failure_page(error))

    def _tell(self, page: Page) -> None:
        with suppress(Win32Error):
            self._windows.show(page)


class _Progress:
    """Work in another thread, and what to say of it meanwhile."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._text = WORKING_PAGE.text
        self._done: Enrolled | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="work", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._done = self._work(self._tell)
        except BaseException as error:
            self._error = error

    def _tell(self, event: str, /, **fields: object) -> None:
        self._text = sentence_of(event, fields)

    def text(self) -> str | None:
        """See `Watch`."""
        return self._text if self._thread.is_alive() else None

    def result(self) -> Enrolled:
        """Waits for the end. Raises what the work raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._done is not None  # noqa: S101 neither raised nor returned is no third way
        return self._done


def has_desktop() -> bool:
    """Whether this process can show windows that a person sees: not in a service's session or over ssh."""
    flags = (DWORD * 3)()
    station = user32.result("GetProcessWindowStation")
    known = user32.result("GetUserObjectInformationW", station, c.UOI_FLAGS, flags, ctypes.sizeof(flags), None)
    return bool(known and flags[2] & c.WSF_VISIBLE)


def _task_dialog(page: Page, watch: Watch | None) -> int:
    buttons = (c.Button * len(page.buttons))(*(c.Button(number, text) for number, text in page.buttons))
    shown: list[str] = [page.text]

    def called(window: int, what: int, _first: int, _second: int, _data: int) -> int:
        if what == c.TDN_CREATED:
            user32.result("SetForegroundWindow", window)
            if page.marquee:
                user32.result("SendMessageW", window, c.TDM_SET_PROGRESS_BAR_MARQUEE, 1, MARQUEE_MILLISECONDS)
        elif what == c.TDN_TIMER and watch is not None:
            text = watch()
            if text is None:
                user32.result("SendMessageW", window, c.TDM_CLICK_BUTTON, c.IDCANCEL, None)
            elif text != shown[0]:
                shown[0] = text
                user32.result("SendMessageW", window, c.TDM_SET_ELEMENT_TEXT, c.TDE_CONTENT, ctypes.c_wchar_p(text))
        return 0

    flags = c.TDF_ALLOW_DIALOG_CANCELLATION | c.TDF_SIZE_TO_CONTENT
    if page.marquee:
        flags |= c.TDF_SHOW_MARQUEE_PROGRESS_BAR
    if watch is not None:
        flags |= c.TDF_CALLBACK_TIMER
    config = c.TaskDialogConfig(
        cbSize=ctypes.sizeof(c.TaskDialogConfig),
        dwFlags=flags,
        pszWindowTitle=TITLE,
        pszMainIcon=page.icon,
        pszMainInstruction=page.heading,
        pszContent=page.text,
        cButtons=len(page.buttons),
        pButtons=buttons,
        nDefaultButton=page.default,
        pfCallback=c.Callback(called),
    )
    pressed = ctypes.c_int()
    status = comctl32.result("TaskDialogIndirect", ctypes.byref(config), ctypes.byref(pressed), None, None)
    if status != 0 or pressed.value <= 0:  # no window, no answer
        raise Win32Error("TaskDialogIndirect", status & 0xFFFF_FFFF)
    return pressed.value


_BOX_ICONS = {
    c.TD_WARNING_ICON: c.MB_ICONWARNING,
    c.TD_ERROR_ICON: c.MB_ICONERROR,
    c.TD_INFORMATION_ICON: c.MB_ICONINFORMATION,
}


def _message_box(page: Page) -> int:
    asks = len(page.buttons) > 1
    kind = (c.MB_YESNO | c.MB_DEFBUTTON2) if asks else c.MB_OK
    text = f"{page.heading}\n\n{page.text}" + ("\n\nEnroll?" if asks else "")
    return user32.must("MessageBoxW", 0, text, TITLE, kind | _BOX_ICONS[page.icon] | c.MB_SETFOREGROUND)

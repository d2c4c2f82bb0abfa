"""What the windows say and which button is the default, without Windows."""

from __future__ import annotations

import pytest

from keystead_agent.backoff import Stopped
from keystead_agent.enroll import Enrolled
from keystead_agent.errors import ConsentRefused, KeyLost
from keystead_agent.opening import Question
from keystead_agent.telling import Tell
from keystead_agent.windows import _comctl32 as c
from keystead_agent.windows._dll import Win32Error
from keystead_agent.windows.dialog import Page, Watch, WindowDesk, Windows, question_page

QUESTION = Question(server="https://enroll.example.org", for_machine=False, listed=True)
DONE = Enrolled("https://enroll.example.org", "order-1", r"C:\somewhere", "TPM", "installed")


class Shown(Windows):
    def __init__(self, pressed: int = c.IDCANCEL, error: Win32Error | None = None) -> None:
        self.pages: list[Page] = []
        self.texts: list[str] = []
        self._pressed = pressed
        self._error = error

    def show(self, page: Page, watch: Watch | None = None) -> int:
        if self._error is not None:
            raise self._error
        self.pages.append(page)
        while watch is not None and (text := watch()) is not None:
            if text not in self.texts:
                self.texts.append(text)
        return self._pressed


def test_no_is_the_default() -> None:
    page = question_page(QUESTION)
    assert page.default == c.IDNO
    assert page.heading == "https://enroll.example.org wants to enroll a certificate on this computer."


@pytest.mark.parametrize(
    ("pressed", "agrees"), [(c.IDYES, True), (c.IDNO, False), (c.IDCANCEL, False), (c.IDOK, False)]
)
def test_only_the_button_enroll_is_yes(pressed: int, agrees: bool) -> None:
    assert WindowDesk(Shown(pressed)).agrees(QUESTION) is agrees


def test_where_no_window_can_be_shown_nobody_agreed() -> None:
    with pytest.raises(ConsentRefused):
        WindowDesk(Shown(error=Win32Error("MessageBoxW", 5))).agrees(QUESTION)


def test_progress_is_shown_until_the_work_ends() -> None:
    shown = Shown()

    def work(tell: Tell) -> Enrolled:
        tell("job_started", kind="make_key_and_csr")
        while "Making a key in the TPM …" not in shown.texts:
            pass
        return DONE

    assert WindowDesk(shown).watch(work) == DONE
    assert shown.pages[0].marquee


def test_work_ends_well_even_if_its_window_cannot_be_shown() -> None:
    assert WindowDesk(Shown(error=Win32Error("x", 5))).watch(lambda tell: DONE) == DONE


@pytest.mark.parametrize("error", [KeyLost("Gone", "Enroll again."), Stopped()])
def test_what_the_work_raises_is_raised(error: BaseException) -> None:
    def work(tell: Tell) -> Enrolled:
        raise error

    with pytest.raises(type(error)):
        WindowDesk(Shown()).watch(work)


def test_a_failure_is_shown_with_its_advice() -> None:
    shown = Shown()
    WindowDesk(shown).failed(KeyLost("the key is gone", "Enroll again."))
    assert shown.pages[0].text == "The key is gone\n\nEnroll again."


def test_success_says_where_the_certificate_is() -> None:
    shown = Shown()
    WindowDesk(shown).succeeded(DONE)
    assert r"C:\somewhere" in shown.pages[0].text


def test_the_question_says_whose_it_is_and_what_is_odd() -> None:
    usual = QUESTION.text
    assert "for you" in usual and "xn--" not in usual and "No administrator" not in usual
    odd = Question(server="https://enroll.xn--exmple-4nf.org", for_machine=True, listed=False).text
    assert "for the whole computer" in odd and "xn--" in odd and "No administrator" in odd


def test_the_structures_are_packed_as_commctrl_h_packs_them() -> None:
    import ctypes

    assert (ctypes.sizeof(c.Button), ctypes.sizeof(c.TaskDialogConfig)) == (12, 160)

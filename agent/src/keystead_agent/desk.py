"""The person at a terminal."""

from __future__ import annotations

import os
import sys

import click

from keystead_agent.enroll import Enrolled
from keystead_agent.errors import AgentError, ConsentRefused
from keystead_agent.opening import Desk, Question, Work
from keystead_agent.output import show_enrolled, show_error, teller


class TerminalDesk:
    """Asks and tells on stderr; see `opening.Desk`."""

    def agrees(self, question: Question) -> bool:
        """See `opening.Desk`."""
        if sys.stdin is None or not sys.stdin.isatty():  # None in a program without a console
            raise ConsentRefused(
                f"{question.server} wants to enroll a certificate on this computer, and nobody is there to agree",
                "Open the link where you can answer: on the desktop, or in a terminal.",
            )
        click.echo(f"{question.title}\n{question.text}", err=True)
        return click.confirm("Go on?", default=False, err=True)

    def watch(self, work: Work) -> Enrolled:
        """See `opening.Desk`."""
        return work(teller(as_json=False, log=False))

    def succeeded(self, done: Enrolled) -> None:
        """See `opening.Desk`."""
        show_enrolled(done, as_json=False)
        _let_read()

    def failed(self, error: AgentError) -> None:
        """See `opening.Desk`."""
        show_error(error, as_json=False)
        _let_read()


def _let_read() -> None:
    """Waits for a key in a terminal that was opened for this process alone: it goes with it. Such a process leads the
    terminal's session; one that a shell started does not."""
    if sys.platform != "win32" and sys.stdin is not None and sys.stdin.isatty() and os.getsid(0) == os.getpid():
        click.pause("Press any key to close this window.", err=True)


def desk_here() -> Desk:
    """Windows where there is a desktop to show them on, else the terminal."""
    if sys.platform == "win32":
        from keystead_agent.windows.dialog import WindowDesk, has_desktop

        if has_desktop():
            return WindowDesk()
    return TerminalDesk()

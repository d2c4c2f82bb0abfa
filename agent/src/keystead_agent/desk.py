"""The person at a terminal."""

from __future__ import annotations

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

    def failed(self, error: AgentError) -> None:
        """See `opening.Desk`."""
        show_error(error, as_json=False)


def desk_here() -> Desk:
    """Windows where there is a desktop to show them on, else the terminal."""
    if sys.platform == "win32":
        from keystead_agent.windows.dialog import WindowDesk, has_desktop

        if has_desktop():
            return WindowDesk()
    return TerminalDesk()

"""What happens when somebody opens a `keystead://` link: one question, then the work, by whom it is for.

A link can come from any page and any program, so it is asked about even where policy lists its server: whoever has an
account there could send others a link of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from keystead_agent.backoff import Stop
from keystead_agent.enroll import ClaimHeld, Enrolled, enroll
from keystead_agent.errors import AgentError, ConsentRefused
from keystead_agent.files import locked, private_directory
from keystead_agent.link import read_link
from keystead_agent.local.rules import Scoped
from keystead_agent.machine import Machine
from keystead_agent.telling import Tell
from keystead_contracts.agent import EnrollLink

PATIENCE = 60.0
"""Seconds to try a server for that does not answer."""
Work = Callable[[Tell], Enrolled]


@dataclass(frozen=True)
class Question:
    """What a person is asked: `server` is an origin in A-labels, `remark` what the system's certificate stores will
    do besides."""

    server: str
    for_machine: bool
    listed: bool
    remark: str = ""

    @property
    def title(self) -> str:
        """The question in one sentence."""
        return f"{self.server} wants to enroll a certificate on this computer."

    @property
    def text(self) -> str:
        """What it means, and when to say no."""
        whose = "for the whole computer" if self.for_machine else "for you"
        sentences = [
            f"It makes a private key in this computer's TPM and stores a certificate {whose}.",
            "Say yes only if you have just asked that server for a certificate.",
        ]
        if "xn--" in self.server:
            sentences.append("Its name has letters that can look like others, shown here as xn--: check it.")
        if not self.listed:
            sentences.append("No administrator of this computer has listed this server.")
        return " ".join([*sentences, self.remark]).strip()


class Declined(ConsentRefused):
    """The person was asked and said no."""


class Desk(Protocol):
    """Where the person is: windows, or a terminal."""

    def agrees(self, question: Question) -> bool:
        """Whether the person says yes. Raises ConsentRefused if nobody can be asked."""

    def watch(self, work: Work) -> Enrolled:
        """Does `work` and shows how it goes. Raises what it raises."""

    def succeeded(self, done: Enrolled) -> None:
        """Shows that it is done."""

    def failed(self, error: AgentError) -> None:
        """Shows what went wrong and what to do."""


def open_link(
    machine: Machine, text: str, desk: Desk, *, stop: Stop, hand_over: Callable[[EnrollLink, Tell], Enrolled]
) -> Enrolled:
    """Asks about the link in `text`, then works on it; for a certificate of the whole computer `hand_over` does. Raises
    LinkMalformed, PolicyRefused, Declined, ClaimHeld, and like `enroll.enroll`."""
    link = read_link(text)
    machine.settings.require_allowed(link.server)
    listed, remark = link.server in machine.settings.servers, machine.store.platform.beforehand(link.server)
    question = Question(link.server, link.scope == "machine", listed, remark)
    with _asking(machine, link):
        if not desk.agrees(question):
            raise Declined("nothing was done", "Open the link again if you want the certificate after all.")
    return desk.watch(lambda tell: _work(machine, link, stop, tell, hand_over))


def _work(
    machine: Machine,
    link: EnrollLink,
    stop: Stop,
    tell: Tell,
    hand_over: Callable[[EnrollLink, Tell], Enrolled],
) -> Enrolled:
    if link.scope == "machine":
        return hand_over(link, tell)
    machine.recover(lambda pid: tell("busy", reason=f"Another keystead-agent is at work (pid {pid})"))
    own = Scoped(machine, machine=False)
    return enroll(machine, link, stop=stop, tell=tell, patience=PATIENCE, keeper=own)


@contextmanager
def _asking(machine: Machine, link: EnrollLink) -> Iterator[None]:
    """One question at a time for each account, and none about a link that is worked on. Raises ClaimHeld."""
    folder = private_directory(machine.settings.state_dir)
    with locked(folder / "asking.lock", patience=0) as lock:
        if lock is None:
            raise ClaimHeld("another link is being asked about", "Answer that question first, then open this link.")
        if machine.journal.worked_on(link):
            raise ClaimHeld("this link is being worked on already", "Wait for it; nothing more is needed.")
        yield

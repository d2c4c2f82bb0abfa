"""The composition root of `keystead-agent open`."""

from __future__ import annotations

import sys

from keystead_agent.backoff import Stop, Stopped
from keystead_agent.desk import desk_here
from keystead_agent.enroll import Enrolled
from keystead_agent.errors import AgentError, ExitCode, LinkMalformed
from keystead_agent.journal import Clock
from keystead_agent.local.client import hand_over
from keystead_agent.machine import Machine
from keystead_agent.opening import Declined, open_link
from keystead_agent.settings import Settings, load_settings, silence_tss_log
from keystead_agent.telling import Tell
from keystead_contracts.agent import EnrollLink


def open_from_desktop(arguments: tuple[str, ...], now: Clock) -> ExitCode:
    """Opens the one link in `arguments` and shows how it went, where the person is. Never raises AgentError: nobody
    may be at the terminal to read it."""
    desk = desk_here()
    try:
        text = the_link(arguments)
        silence_tss_log()
        settings = load_settings()
        machine = Machine.of(settings, now)
        done = open_link(
            machine, text, desk, stop=Stop(), hand_over=lambda link, tell: to_service(settings, link, tell)
        )
    except Declined as error:
        return error.exit_code
    except AgentError as error:
        desk.failed(error)
        return error.exit_code
    except Stopped:
        return ExitCode.FAILED
    desk.succeeded(done)
    return ExitCode.DONE


def the_link(arguments: tuple[str, ...]) -> str:
    """The one argument that a browser gives. A link with quotes in it can become several, or options, on its way
    through a command line: then it is none. Raises LinkMalformed."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise LinkMalformed(
            "what was opened is not one keystead:// link",
            "Nothing was done. Open the link on the enrollment page, or copy it from there.",
        )
    return arguments[0]


def to_service(settings: Settings, link: EnrollLink, tell: Tell) -> Enrolled:
    """Has this computer's service work on `link`. Raises ServiceMissing, LocalTrouble, ServiceRefused."""
    if sys.platform == "win32":
        from keystead_agent.windows.pipe import connect

        service = connect()
    else:
        from keystead_agent.local.unix import connect

        service = connect(settings.socket)
    try:
        return hand_over(service, link, tell)
    finally:
        service.close()

"""The user's end: asks the service and reports what it says."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from keystead_agent.enroll import Enrolled
from keystead_agent.errors import AgentError, ExitCode
from keystead_agent.local.connection import LocalTrouble, received
from keystead_agent.local.messages import (
    ANSWER,
    LONGEST_ANSWER,
    Activate,
    Activated,
    Answer,
    AskIdentity,
    AskStatus,
    EnrollMachine,
    Finished,
    Identity,
    Refused,
    Request,
    Status,
    Told,
    frame,
    parsed,
)
from keystead_agent.telling import Tell
from keystead_contracts.agent import EnrollLink

SEND_LIMIT = 5.0
STATUS_LIMIT = 30.0
"""Seconds; whoever answers may have to be started first."""
IDENTITY_LIMIT = 120.0
"""Seconds; the service may be making another key, or the identity itself."""
WORK_LIMIT = 1800.0
"""Seconds; a slow TPM takes minutes for the largest keys, and others may be before us."""


class ServiceRefused(AgentError):
    """The service said no, in its own words."""


def _refusal(refused: Refused) -> ServiceRefused:
    error = ServiceRefused(refused.detail, refused.advice)
    if refused.exit_code in list(ExitCode):
        error.exit_code = ExitCode(refused.exit_code)
    return error


class ServiceConnection(Protocol):
    """A connection to the service, known to be the service before anything is sent."""

    def receive(self, size: int, seconds: float) -> bytes:
        """Up to `size` octets; none when the service is gone. Raises LocalTrouble after `seconds`."""

    def send(self, data: bytes, seconds: float) -> None:
        """Sends all of it. Raises LocalTrouble."""

    def close(self) -> None:
        """Ends the connection."""


def ask_status(service: ServiceConnection) -> Status:
    """How the service is. Raises LocalTrouble, ServiceRefused."""
    for answer in _answers(service, AskStatus(), STATUS_LIMIT):
        if isinstance(answer, Status):
            return answer
    raise LocalTrouble("the service did not say how it is")


def ask_identity(service: ServiceConnection) -> Identity:
    """This computer's identity. Raises LocalTrouble, ServiceRefused."""
    for answer in _answers(service, AskIdentity(), IDENTITY_LIMIT):
        if isinstance(answer, Identity):
            return answer
    raise LocalTrouble("the service did not say what the TPM is")


def ask_activation(service: ServiceConnection, credential: bytes, secret: bytes) -> bytes:
    """What is in a challenge for this computer's identity. Raises LocalTrouble, ServiceRefused."""
    request = Activate(credential=base64.b64encode(credential).decode(), secret=base64.b64encode(secret).decode())
    for answer in _answers(service, request, IDENTITY_LIMIT):
        if isinstance(answer, Activated):
            return base64.b64decode(answer.secret)
    raise LocalTrouble("the service did not say what is in the challenge")


def running_version(connect: Callable[[], ServiceConnection]) -> str | None:
    """The version of the service that runs; None where none answers."""
    try:
        service = connect()
        try:
            return ask_status(service).version
        finally:
            service.close()
    except AgentError:
        return None


def hand_over(service: ServiceConnection, link: EnrollLink, tell: Tell) -> Enrolled:
    """Has the service work on `link` for the whole computer. Raises LocalTrouble, ServiceRefused."""
    for answer in _answers(service, EnrollMachine(link=str(link)), WORK_LIMIT):
        match answer:
            case Told():
                tell(answer.event, **answer.fields)
            case Finished():
                return Enrolled(
                    server=answer.server,
                    order_id=answer.order_id,
                    location=answer.location,
                    provider=answer.provider,
                    order_state=answer.order_state,
                )
    raise LocalTrouble("the service did not say how it ended", "Look at its log; keystead-agent list shows the rest.")


def _answers(service: ServiceConnection, request: Request, limit: float) -> Iterator[Answer]:
    """What the service answers, until its last answer. Raises ServiceRefused if that is a refusal."""
    until = time.monotonic() + limit
    service.send(frame(request), SEND_LIMIT)
    while True:
        answer = parsed(ANSWER, received(service.receive, until, LONGEST_ANSWER))
        if isinstance(answer, Refused):
            raise _refusal(answer)
        yield answer
        if not isinstance(answer, Told):
            return

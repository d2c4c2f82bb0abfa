"""What can be said over the local connection, and nothing else: four requests, six answers.

Each is a JSON object in a frame of its own, an answer one of at most LONGEST_ANSWER octets. One request a connection;
answers until the last one, which is anything but `Told`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from keystead_agent.link import LONGEST_LINK
from keystead_agent.local.connection import LocalTrouble, framed
from keystead_contracts.attestation import AttestationKey
from keystead_contracts.base import Base64, PlainText

LONGEST_ANSWER = 524288
"""An identity comes with the certificates that its TPM keeps."""
M = TypeVar("M")
Text = Annotated[PlainText, Field(max_length=2000)]


class LocalMessage(BaseModel):
    """A message. Both ends are of one build and one computer: what is unknown is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class AskStatus(LocalMessage):
    """How is the service?"""

    kind: Literal["status"] = "status"


class EnrollMachine(LocalMessage):
    """Work on this link for the whole computer. The person at it has agreed."""

    kind: Literal["enroll_machine"] = "enroll_machine"
    link: Annotated[str, Field(max_length=LONGEST_LINK)]


class AskIdentity(LocalMessage):
    """What is this computer's TPM, and which key speaks for it?"""

    kind: Literal["identity"] = "identity"


class Activate(LocalMessage):
    """Open this challenge of a server: a TPM2B_ID_OBJECT and a TPM2B_ENCRYPTED_SECRET for the computer's identity."""

    kind: Literal["activate"] = "activate"
    credential: Annotated[Base64, Field(max_length=1024)]
    secret: Annotated[Base64, Field(max_length=2048)]


class Status(LocalMessage):
    """The service works. `server` is where this computer is registered, or empty; `may_enroll` says whether whoever
    asks may have links done for the computer."""

    kind: Literal["status"] = "status"
    version: Text
    server: Text
    may_enroll: bool


class Told(LocalMessage):
    """Something happened on the way; see `telling.Tell`."""

    kind: Literal["told"] = "told"
    event: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
    fields: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")], Text], Field(max_length=16)]


class Finished(LocalMessage):
    """The link's certificate is installed; see `enroll.Enrolled`."""

    kind: Literal["finished"] = "finished"
    server: Text
    order_id: Text
    location: Text
    provider: Text
    order_state: Text


class Refused(LocalMessage):
    """Nothing more will happen, and why."""

    kind: Literal["refused"] = "refused"
    code: Text
    exit_code: int
    detail: Text
    advice: Text


class Identity(LocalMessage):
    """The computer's identity; `blob` names the key for whoever may use it."""

    kind: Literal["identity"] = "identity"
    key: AttestationKey
    blob: Annotated[Base64, Field(max_length=8192)]


class Activated(LocalMessage):
    """What was in the challenge."""

    kind: Literal["activated"] = "activated"
    secret: Annotated[Base64, Field(max_length=128)]


Request = AskStatus | EnrollMachine | AskIdentity | Activate
Answer = Status | Told | Finished | Identity | Activated | Refused
REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])
ANSWER: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="kind")])


def frame(message: LocalMessage) -> bytes:
    """`message` as it goes over the connection."""
    return framed(message.model_dump_json().encode())


def parsed(kind: TypeAdapter[M], body: bytes) -> M:
    """The message in `body`. Raises LocalTrouble."""
    try:
        return kind.validate_json(body)
    except ValidationError as error:
        raise LocalTrouble(
            "the other end of the local connection said something that is not known here",
            "Restart the agent's service, so that both are of one version.",
        ) from error

"""What can go wrong in the agent: one tree, every leaf named for what is wrong and saying what to do.

AgentError
├── SettingsInvalid            the environment or the settings file
├── PolicyRefused              an administrator's policy forbids it
├── ConsentRefused             the person at the terminal said no
├── ServerUnreachable          network, TLS or a 5xx: the same again may work later
├── ServerRefused              a 4xx with the server's own words: the same again will not work
├── LinkUnusable               its claim is spent
│   └── LinkMalformed          not a link at all
├── AgentBusy                  another process of the agent is at it: not now
├── NotRegistered, AlreadyRegistered
├── StoreUnwritable, OrderOfAnotherServer, CertificateUnacceptable
└── KeyStoreError
    ├── TpmMissing, TpmBusy, TpmFull, TpmLockedOut, TpmFailed
    ├── AlgorithmUnsupported
    ├── EndorsementUnusable, ChallengeForeign
    └── KeyLost, KeyMismatch
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from keystead_contracts.failures import FailureCode
from keystead_contracts.text import plain_text

if TYPE_CHECKING:
    from keystead_contracts.agent import Failed


class ExitCode(IntEnum):
    """What the process answers its caller with."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4


class AgentError(Exception):
    """A failure in words for a person: `detail` says what happened, `advice` what to do about it. Both are sentences:
    they stand in letters, on pages and in terminals, so what cannot be seen in them, which a server may have said, is
    shown as U+FFFD. Survives pickling with all that a subclass adds."""

    code: FailureCode = FailureCode.INTERNAL
    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, detail: str, advice: str = "") -> None:
        super().__init__(detail, advice)
        self.detail = _sentence(detail)
        self.advice = _sentence(advice)

    def __str__(self) -> str:
        return self.detail

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)

    def report(self) -> Failed:
        """The report to the server that a job failed for this reason."""
        from keystead_contracts.agent import Failed

        return Failed(code=self.code, detail=self.detail[:2000], advice=self.advice[:2000])


def _sentence(text: str) -> str:
    """`text` with a capital letter, unless it begins with an address, a path or a command."""
    text = plain_text(text)
    first = text.partition(" ")[0]
    return text if set(first) & set("/:.-_") else text[:1].upper() + text[1:]


def _restored(kind: type[AgentError], arguments: tuple[Any, ...], fields: dict[str, Any]) -> AgentError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(fields)
    return error


class SettingsInvalid(AgentError):
    """Environment or settings file hold mistakes; `detail` lists them all."""

    exit_code = ExitCode.USAGE


class PolicyRefused(AgentError):
    """The machine's policy forbids what was asked."""

    code = FailureCode.CONSENT_REFUSED
    exit_code = ExitCode.REFUSED


class ConsentRefused(AgentError):
    """The person did not agree, or could not be asked."""

    code = FailureCode.CONSENT_REFUSED
    exit_code = ExitCode.REFUSED


class ServerUnreachable(AgentError):
    """No usable answer from the server. `retry_after` is the least wait that the server asked for, in seconds."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, detail: str, advice: str = "", retry_after: float = 0.0) -> None:
        super().__init__(detail, advice)
        self.retry_after = retry_after


class ServerRefused(AgentError):
    """The server answered 4xx. `problem` is the code of its problem document (RFC 9457), or empty."""

    def __init__(self, detail: str, advice: str = "", *, status: int, problem: str = "") -> None:
        super().__init__(detail, advice)
        self.status = status
        self.problem = problem


class LinkUnusable(AgentError):
    """The `keystead://` link is no longer valid."""


class LinkMalformed(LinkUnusable):
    """The text is no `keystead://` link that this agent takes."""

    exit_code = ExitCode.USAGE


class AgentBusy(AgentError):
    """Another process of the agent is at work. Nothing is wrong: the same will work later, and no job fails of it."""


class NotRegistered(AgentError):
    """This machine has no device identity."""


class AlreadyRegistered(AgentError):
    """This machine already has a device identity with another server."""


class StoreUnwritable(AgentError):
    """The state directory cannot be read or written."""

    code = FailureCode.STORE_UNWRITABLE


class OrderOfAnotherServer(AgentError):
    """A server named an order that the machine holds from a different server."""


class CertificateUnacceptable(AgentError):
    """What the server sent to install is not a certificate with a chain to the root that it named."""


class KeyStoreError(AgentError):
    """The key store could not do what was asked."""

    code = FailureCode.TPM_FAILED


class TpmMissing(KeyStoreError):
    """There is no TPM 2.0 that this process may use."""

    code = FailureCode.TPM_MISSING


class TpmBusy(KeyStoreError):
    """The TPM is in use by another process, or asks to be tried again."""


class TpmFull(KeyStoreError):
    """The TPM has no room for another loaded object."""

    code = FailureCode.TPM_FULL


class TpmLockedOut(KeyStoreError):
    """The TPM's dictionary-attack protection refuses use of keys for some time."""

    code = FailureCode.TPM_LOCKED_OUT


class TpmFailed(KeyStoreError):
    """The TPM answered with an error, or not at all."""


class AlgorithmUnsupported(KeyStoreError):
    """This key store cannot make keys of the algorithm."""

    code = FailureCode.ALGORITHM_UNSUPPORTED


class EndorsementUnusable(KeyStoreError):
    """The TPM cannot show which TPM it is. Its keys are as good as ever."""


class ChallengeForeign(KeyStoreError):
    """The server's challenge is for another TPM, or another of its keys."""


class KeyLost(KeyStoreError):
    """The key is not on this machine, or its TPM was cleared since."""

    code = FailureCode.KEY_LOST


class KeyMismatch(KeyStoreError):
    """Certificate and key do not belong together."""

    code = FailureCode.KEY_MISMATCH

"""What an agent's failure codes mean, in our own words: letters and headings have these, never an agent's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from keystead_contracts.agent import FailureCode
from keystead_contracts.words import Words


@dataclass(frozen=True)
class FailureWords:
    """What happened, and what the person can do about it. A command stands between backticks."""

    reason: str
    advice: str


_DOCTOR = Words("Run `keystead-agent doctor` on that computer, then try again.")
_C = FailureCode
AGENT_FAILURES: Mapping[FailureCode, FailureWords] = MappingProxyType(
    {
        _C.TPM_MISSING: FailureWords(
            Words("No TPM was found on that computer."),
            Words("Run `keystead-agent doctor` on that computer; it says how to switch the TPM on."),
        ),
        _C.TPM_FULL: FailureWords(
            Words("The TPM of that computer has no room for another key."),
            Words("Restart that computer and try again; run `keystead-agent doctor` if it happens again."),
        ),
        _C.TPM_FAILED: FailureWords(Words("The TPM of that computer did not do its work."), _DOCTOR),
        _C.TPM_LOCKED_OUT: FailureWords(
            Words("The TPM of that computer has locked itself."),
            Words("It does so for a while after wrong attempts. Wait an hour and try again."),
        ),
        _C.ALGORITHM_UNSUPPORTED: FailureWords(
            Words("The TPM of that computer cannot make this kind of key."),
            Words("Start a new request with another kind of key."),
        ),
        _C.KEY_LOST: FailureWords(Words("The key is no longer on that computer."), Words("Start a new request.")),
        _C.KEY_MISMATCH: FailureWords(
            Words("The key on that computer does not belong to the certificate."), Words("Start a new request.")
        ),
        _C.STORE_UNWRITABLE: FailureWords(Words("That computer could not store the certificate."), _DOCTOR),
        _C.CONSENT_REFUSED: FailureWords(
            Words("Somebody at that computer refused the request."),
            Words("If that was not you, tell your administrator."),
        ),
        _C.INTERNAL: FailureWords(Words("Something went wrong on that computer."), _DOCTOR),
    }
)


def agent_failure(code: str) -> tuple[FailureCode, FailureWords]:
    """The code, or `internal` for one that we do not know, and its words."""
    known = FailureCode(code) if code in set(FailureCode) else FailureCode.INTERNAL
    return known, AGENT_FAILURES[known]

"""Whether an answer signs somebody in (SAML profiles, section 4.1.4; SAML core, sections 2.4 and 2.5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from keystead_auth.domain.idp_errors import (
    AudienceWrong,
    ConfirmationMissing,
    DestinationWrong,
    IssuerWrong,
    NotYetValid,
    RecipientWrong,
    RequestUnknown,
    SignatureMissing,
    StatusFailed,
    TooLate,
    Unasked,
    UnexpectedShape,
)
from keystead_auth.domain.saml.answer import Answer, Assertion, Confirmation
from keystead_auth.domain.saml.names import STATUS_SUCCESS

SKEW = timedelta(minutes=2)
"""How far the clocks may differ."""
OLDEST = timedelta(hours=1)
"""How long ago an assertion may have been made, whatever its conditions say."""


@dataclass(frozen=True)
class Expected:
    """What a good answer has. `request` is the id of ours that it answers, None where nobody asked."""

    issuer: str
    audience: str
    recipient: str
    request: str | None
    unasked_allowed: bool
    now: datetime


@dataclass(frozen=True)
class Verdict:
    """The assertion that counts, and until when it must not be taken again."""

    assertion: Assertion
    remember_until: datetime


def judge(answer: Answer, expected: Expected) -> Verdict:
    """The assertion, if it proves that its subject signed in just now, for us. Raises AnswerRefused.

    The caller has verified that the response, if `answer.signed`, or else the assertion is the issuer's.
    """
    if answer.issuer not in (None, expected.issuer):
        raise IssuerWrong
    if answer.destination != expected.recipient and (answer.destination is not None or answer.signed):
        raise DestinationWrong
    _check_request(answer.in_response_to, expected)
    if answer.status[:1] != (STATUS_SUCCESS,):
        raise StatusFailed(", ".join(status.rpartition(":")[2] for status in answer.status))
    assertion = answer.assertion
    if assertion is None:
        raise UnexpectedShape("success without an assertion")
    if assertion.issuer != expected.issuer:
        raise IssuerWrong
    if not assertion.authenticated:
        raise UnexpectedShape("nobody was authenticated")
    _check_time(assertion, expected.now)
    if not assertion.audiences or any(expected.audience not in restriction for restriction in assertion.audiences):
        raise AudienceWrong
    ends = _confirmed_until(assertion.confirmations, expected)
    return Verdict(assertion, max(ends, assertion.not_on_or_after or ends) + SKEW)


def needs_signature(response_signed: bool, assertion_signed: bool) -> None:
    """Raises SignatureMissing unless one of both is signed."""
    if not (response_signed or assertion_signed):
        raise SignatureMissing


def _check_request(in_response_to: str | None, expected: Expected) -> None:
    if in_response_to != expected.request:
        raise RequestUnknown
    if expected.request is None and not expected.unasked_allowed:
        raise Unasked


def _check_time(assertion: Assertion, now: datetime) -> None:
    if assertion.issued_at > now + SKEW or (assertion.not_before is not None and assertion.not_before > now + SKEW):
        raise NotYetValid
    if assertion.issued_at < now - OLDEST:
        raise TooLate
    for end in (assertion.not_on_or_after, assertion.session_ends):
        if end is not None and end <= now - SKEW:
            raise TooLate


def _confirmed_until(confirmations: tuple[Confirmation, ...], expected: Expected) -> datetime:
    """When the last confirmation that holds ends; otherwise raises what is wrong with the first."""
    if not confirmations:
        raise ConfirmationMissing
    refusals = []
    ends = []
    for confirmation in confirmations:
        try:
            ends.append(_check_confirmation(confirmation, expected))
        except (ConfirmationMissing, RecipientWrong, RequestUnknown, NotYetValid, TooLate) as refusal:
            refusals.append(refusal)
    if not ends:
        raise refusals[0]
    return max(ends)


def _check_confirmation(confirmation: Confirmation, expected: Expected) -> datetime:
    if confirmation.recipient != expected.recipient:
        raise RecipientWrong
    if confirmation.in_response_to != expected.request:
        raise RequestUnknown
    if confirmation.not_before is not None and confirmation.not_before > expected.now + SKEW:
        raise NotYetValid
    if confirmation.not_on_or_after is None:
        raise ConfirmationMissing
    if confirmation.not_on_or_after <= expected.now - SKEW:
        raise TooLate
    return confirmation.not_on_or_after

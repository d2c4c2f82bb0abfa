"""Which SAML answers sign somebody in: each rule alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keystead_auth.domain import idp_errors as refusals
from keystead_auth.domain.saml.answer import Answer, Assertion, Confirmation
from keystead_auth.domain.saml.judgement import OLDEST, SKEW, Expected, judge, needs_signature

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
EXPECTED = Expected("idp", "sp", "acs", "_request", unasked_allowed=False, now=NOW)
CONFIRMATION = Confirmation("acs", "_request", None, NOW + timedelta(minutes=5))
ASSERTION = Assertion(
    id="_a", issuer="idp", issued_at=NOW, name_id="ada", name_id_format="", not_before=NOW - SECOND,
    not_on_or_after=NOW + timedelta(minutes=5), audiences=(("other", "sp"),), confirmations=(CONFIRMATION,),
    authenticated=True, session_ends=None, attributes=(),
)  # fmt: skip
SUCCESS = ("urn:oasis:names:tc:SAML:2.0:status:Success",)
ANSWER = Answer("_r", "idp", "acs", "_request", SUCCESS, ASSERTION, signed=True)


def asserting(**changes: Any) -> Answer:
    return replace(ANSWER, assertion=replace(ASSERTION, **changes))


def confirming(**changes: Any) -> Answer:
    return asserting(confirmations=(replace(CONFIRMATION, **changes),))


def test_a_good_answer_is_taken_and_remembered_until_it_could_not_come_again() -> None:
    verdict = judge(ANSWER, EXPECTED)
    assert verdict.assertion is ASSERTION
    assert verdict.remember_until == NOW + timedelta(minutes=5) + SKEW


def test_an_assertion_is_remembered_as_long_as_its_longest_condition() -> None:
    answer = asserting(not_on_or_after=NOW + timedelta(hours=9))
    assert judge(answer, EXPECTED).remember_until == NOW + timedelta(hours=9) + SKEW


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (replace(ANSWER, issuer="other"), refusals.IssuerWrong),
        (asserting(issuer="other"), refusals.IssuerWrong),
        (replace(ANSWER, destination="elsewhere"), refusals.DestinationWrong),
        (replace(ANSWER, destination="elsewhere", signed=False), refusals.DestinationWrong),
        (replace(ANSWER, destination=None), refusals.DestinationWrong),
        (replace(ANSWER, in_response_to="_other"), refusals.RequestUnknown),
        (replace(ANSWER, in_response_to=None), refusals.RequestUnknown),
        (replace(ANSWER, status=("urn:oasis:names:tc:SAML:2.0:status:Responder",)), refusals.StatusFailed),
        (replace(ANSWER, status=()), refusals.StatusFailed),
        (replace(ANSWER, status=("urn:oasis:names:tc:SAML:2.0:status:Responder", *SUCCESS)), refusals.StatusFailed),
        (replace(ANSWER, assertion=None), refusals.UnexpectedShape),
        (asserting(authenticated=False), refusals.UnexpectedShape),
        (asserting(audiences=()), refusals.AudienceWrong),
        (asserting(audiences=(("other",),)), refusals.AudienceWrong),
        (asserting(audiences=(("sp",), ("other",))), refusals.AudienceWrong),
        (asserting(issued_at=NOW + SKEW + SECOND), refusals.NotYetValid),
        (asserting(issued_at=NOW - OLDEST - SECOND), refusals.TooLate),
        (asserting(not_before=NOW + SKEW + SECOND), refusals.NotYetValid),
        (asserting(not_on_or_after=NOW - SKEW), refusals.TooLate),
        (asserting(session_ends=NOW - SKEW), refusals.TooLate),
        (asserting(confirmations=()), refusals.ConfirmationMissing),
        (confirming(recipient="elsewhere"), refusals.RecipientWrong),
        (confirming(recipient=None), refusals.RecipientWrong),
        (confirming(in_response_to="_other"), refusals.RequestUnknown),
        (confirming(in_response_to=None), refusals.RequestUnknown),
        (confirming(not_before=NOW + SKEW + SECOND), refusals.NotYetValid),
        (confirming(not_on_or_after=None), refusals.ConfirmationMissing),
        (confirming(not_on_or_after=NOW - SKEW), refusals.TooLate),
    ],
)
def test_an_answer_that_breaks_one_rule_is_refused_for_it(
    answer: Answer, refusal: type[refusals.AnswerRefused]
) -> None:
    with pytest.raises(refusals.AnswerRefused) as caught:
        judge(answer, EXPECTED)
    assert type(caught.value) is refusal


@pytest.mark.parametrize(
    "answer",
    [
        replace(ANSWER, issuer=None),
        replace(ANSWER, destination=None, signed=False),
        asserting(issued_at=NOW + SKEW),
        asserting(not_before=None),
        asserting(not_on_or_after=None),
        asserting(not_on_or_after=NOW - SKEW + SECOND),
        asserting(session_ends=NOW + SECOND),
        asserting(confirmations=(replace(CONFIRMATION, recipient="elsewhere"), CONFIRMATION)),
    ],
)
def test_what_the_rules_leave_open_is_taken(answer: Answer) -> None:
    assert judge(answer, EXPECTED).assertion.id == "_a"


def test_what_nobody_asked_for_needs_the_provider_s_leave() -> None:
    answer = replace(confirming(in_response_to=None), in_response_to=None)
    with pytest.raises(refusals.Unasked):
        judge(answer, replace(EXPECTED, request=None))
    assert judge(answer, replace(EXPECTED, request=None, unasked_allowed=True))
    with pytest.raises(refusals.RequestUnknown):
        judge(ANSWER, replace(EXPECTED, request=None, unasked_allowed=True))
    with pytest.raises(refusals.RequestUnknown):
        judge(replace(ANSWER, in_response_to=None), replace(EXPECTED, request=None, unasked_allowed=True))


def test_one_of_both_is_signed() -> None:
    needs_signature(response_signed=True, assertion_signed=False)
    needs_signature(response_signed=False, assertion_signed=True)
    with pytest.raises(refusals.SignatureMissing):
        needs_signature(response_signed=False, assertion_signed=False)

"""Genuine answers to something else, for somebody else, at another time; and what a refusal gives away."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.attacks.saml.forge import (
    IDP,
    Answer,
    Forge,
    signature,
)
from tests.attacks.saml.service import Refused, Service
from tests.attacks.saml.wrapping import xsw3
from tests.unit.auth.fakes import START

from keystead_auth.adapters.xmlsec import XmlSec
from keystead_auth.domain import idp_errors as refusals


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"recipient": "https://evil.example/acs"}, refusals.RecipientWrong),
        ({"audience": "https://other.example/sp"}, refusals.AudienceWrong),
        ({"destination": "https://other.example/acs"}, refusals.DestinationWrong),
        ({"issuer": "https://other.example/idp"}, refusals.IssuerWrong),
        ({"response_issuer": "https://other.example/idp"}, refusals.IssuerWrong),
        ({"confirmed_request": "_another"}, refusals.RequestUnknown),
        ({"confirmed_request": None}, refusals.RequestUnknown),
        ({"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"}, refusals.ConfirmationMissing),
        ({"ends_in": timedelta(minutes=-3)}, refusals.TooLate),
        ({"begins_in": timedelta(minutes=3)}, refusals.NotYetValid),
        ({"status": "urn:oasis:names:tc:SAML:2.0:status:Responder"}, refusals.StatusFailed),
        ({"mail": "no address"}, refusals.MailMissing),
    ],
)
def test_a_genuine_answer_to_something_else_is_refused(
    service: Service, forge: Forge, changes: dict[str, object], refusal: Refused
) -> None:
    service.refuses(forge.good(START, **changes), refusal)


def test_an_answer_to_no_request_of_ours_is_refused(service: Service, forge: Forge) -> None:
    service.refuses(forge.good(START, request="_another", confirmed_request="_another"), refusals.RequestUnknown)


def test_an_answer_with_another_relay_state_is_refused(service: Service, forge: Forge) -> None:
    service.refuses(forge.good(START), refusals.RequestUnknown, relay_state="another")


def test_an_answer_that_nobody_asked_for_is_refused(service: Service, forge: Forge) -> None:
    service.refuses(forge.good(START, request=None, confirmed_request=None), refusals.Unasked)


def test_an_answer_of_an_unknown_provider_is_refused(service: Service, forge: Forge) -> None:
    document = forge.good(START, request=None, confirmed_request=None, response_issuer="https://evil.example/")
    service.refuses(document, refusals.IssuerWrong)


def test_an_answer_works_once(service: Service, forge: Forge) -> None:
    document = forge.good(START)
    service.take(document)
    service.store.arrival_rows.clear()
    with pytest.raises(refusals.AlreadyUsed):
        service.take(document)
    assert service.store.arrival_rows == {}


def test_an_assertion_works_once_though_nobody_asked(service: Service, forge: Forge) -> None:
    service.store.provider_rows["idp"] = replace(service.store.provider_rows["idp"], idp_initiated=True)
    document = forge.good(START, request=None, confirmed_request=None)
    service.take(document, relay_state="staff")
    service.store.arrival_rows.clear()
    with pytest.raises(refusals.AlreadyUsed):
        service.take(document, relay_state="staff")


def test_an_answer_comes_in_time(service: Service, forge: Forge) -> None:
    service.clock.pass_by(minutes=16)
    service.refuses(forge.good(START + timedelta(minutes=16)), refusals.TooLate)


@pytest.mark.parametrize("greed", ["x = bytearray(2**30)", "import time; time.sleep(60)", "while True: pass"])
def test_a_verifier_that_runs_away_is_ended_and_nothing_is_verified(forge: Forge, tmp_path: Path, greed: str) -> None:
    program = tmp_path / "xmlsec1"
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo "xmlsec1 1.2.37 (openssl)"; exit; fi\n'
        f"'{sys.executable}' -c '{greed}' && echo OK >&2\n"
    )
    program.chmod(0o700)
    verifier = XmlSec(str(program), (), seconds=3)
    assert verifier.verify(b"<x/>", "Response", "_response", forge.keys["idp"].certificate) is False


def test_the_page_tells_a_forger_nothing(service: Service, forge: Forge) -> None:
    told = set()
    other = Answer(START, assertion_signature=signature("#_assertion")).response()
    for document in (
        Answer(START).response(),
        forge.sign_assertion(other, by="stranger"),
        forge.encrypted(Answer(START).response()),
        xsw3(forge),
    ):
        with pytest.raises(refusals.AnswerRefused) as caught:
            service.take(document)
        told.add((caught.value.detail, caught.value.advice))
    assert len(told) == 1


def test_the_issuer_is_the_provider_that_was_asked(service: Service) -> None:
    assert service.store.provider_rows["idp"].material["entity_id"] == IDP

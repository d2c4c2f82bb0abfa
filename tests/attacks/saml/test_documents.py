"""SAML answers that hide or burst: refused before any key is touched."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.attacks.saml.forge import (
    ENVELOPED,
    EXCLUSIVE,
    RELAY,
    Answer,
    Forge,
    declaration_free,
    signature,
)
from tests.attacks.saml.service import Names, Refused, Service
from tests.unit.auth.fakes import START

from keystead_auth.domain import idp_errors as refusals
from keystead_auth.usecases.take_saml_answer import BroughtAnswer, take_saml_answer

# --- good ones, so that the bad ones are bad for their reason -----------------------------------------------------


def test_a_signed_assertion_is_taken(service: Service, forge: Forge) -> None:
    assert service.take(forge.good(START)).person.email == "ada@example.org"
    assert service.verifier.asked == 1


def test_a_signed_response_is_taken(service: Service, forge: Forge) -> None:
    signed = forge.sign_response(Answer(START, response_signature=signature("#_response")).response())
    assert service.take(signed).person.email == "ada@example.org"


def test_an_encrypted_assertion_is_taken(service: Service, forge: Forge) -> None:
    assert service.take(forge.encrypted(forge.good(START))).person.email == "ada@example.org"


def test_a_list_of_prefixes_is_no_harm(service: Service, forge: Forge) -> None:
    prefixes = '<ec:InclusiveNamespaces xmlns:ec="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="saml"/>'
    mark = signature("#_assertion", transforms=ENVELOPED + EXCLUSIVE.replace("/>", f">{prefixes}</ds:Transform>"))
    service.take(forge.sign_assertion(Answer(START, assertion_signature=mark).response()))


# --- documents that nobody should look into -----------------------------------------------------------------------


def declared(doctype: str, document: str) -> str:
    return doctype + declaration_free(document)


LOL = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda text: declared("<!DOCTYPE r>", text), refusals.HasDoctype),
        (lambda text: declared('<!DOCTYPE r PUBLIC "-//B/A/EN" "http://evil.example/">', text), refusals.HasDoctype),
        (lambda text: declared(f'<!DOCTYPE r [<!ENTITY l0 "lol">{LOL}]>', text.replace("ada@", "&l9;@")),
         refusals.HasDoctype),
        (lambda text: declared('<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>', text), refusals.HasDoctype),
        (lambda text: declared('<!DOCTYPE r [<!ATTLIST saml:Assertion x ID "y">]>', text), refusals.HasDoctype),
        (lambda text: declared('<?xml-stylesheet href="evil.xsl"?>', text), refusals.HasInstruction),
        (lambda text: text.replace("ada@", "a<?x?>da@"), refusals.HasInstruction),
        (lambda text: text.replace("ada@example.org", "admin@example.org<!-- -->.evil"), refusals.HasHiddenText),
        (lambda text: text.replace(">ada<", ">admin<!--x-->ada<"), refusals.HasHiddenText),
        (lambda text: text.replace("ada@", "<![CDATA[ada]]>@"), refusals.HasHiddenText),
        (lambda text: declared("<!-- -->", text), refusals.HasHiddenText),
        (lambda text: text.replace("</samlp:Status>", " " * 300_000 + "</samlp:Status>"), refusals.TooLarge),
        (lambda text: text.replace("</samlp:Status>", "<samlp:StatusDetail>" + "<x>" * 5000 + "</x>" * 5000 +
                                   "</samlp:StatusDetail></samlp:Status>"), refusals.TooDeep),
        (lambda text: text.replace("</samlp:Status>", "<x/>" * 5000 + "</samlp:Status>"), refusals.TooManyElements),
        (lambda text: text.replace("<samlp:Status>", "<samlp:Status " + " ".join(f'a{n}=""' for n in range(99)) + ">"),
         refusals.TooManyElements),
        (lambda text: text.replace("ada@example.org", "&undeclared;"), refusals.NotWellFormed),
        (lambda text: text.replace("</samlp:Response>", ""), refusals.NotWellFormed),
        (lambda text: '<?xml version="1.0" encoding="UTF-16"?>' + declaration_free(text), refusals.NotWellFormed),
        (lambda text: '<?xml version="1.0" encoding="UTF-7"?>' + declaration_free(text), refusals.NotWellFormed),
        (lambda text: declaration_free(text).encode("utf-16"), refusals.NotWellFormed),
        (lambda text: b"\xff" + text.encode(), refusals.NotWellFormed),
        (lambda text: "", refusals.NotWellFormed),
        (lambda text: text.replace("<samlp:Status>", '<samlp:Status ID="_assertion">'), refusals.IdRepeated),
        (lambda text: text.replace("<samlp:Status>", '<samlp:Status Id="_assertion">'), refusals.IdRepeated),
        (lambda text: text.replace("<samlp:Status>", '<samlp:Status xml:id="_assertion">'), refusals.IdRepeated),
        (lambda text: text.replace("<samlp:Status>", '<samlp:Status ds:ID="other">'), refusals.IdRepeated),
    ],
)  # fmt: skip
def test_a_document_that_hides_or_bursts_is_refused_unseen(
    service: Service, forge: Forge, change: Callable[[str], str | bytes], refusal: Refused
) -> None:
    service.refuses_unseen(change(forge.good(START)), refusal)


def test_what_is_no_base64_is_refused(service: Service) -> None:
    with pytest.raises(refusals.NotWellFormed):
        take_saml_answer(
            service.transactions, service.attempts, service.verifier, Names(), service.randomness, service.clock,
            BroughtAnswer("<xml>", RELAY, "192.0.2.1", "b" * 32),
        )  # fmt: skip
    with pytest.raises(refusals.TooLarge):
        take_saml_answer(
            service.transactions, service.attempts, service.verifier, Names(), service.randomness, service.clock,
            BroughtAnswer("A" * 400_000, RELAY, "192.0.2.1", "b" * 32),
        )  # fmt: skip

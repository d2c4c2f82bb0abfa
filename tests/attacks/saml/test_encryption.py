"""Encrypted answers that should not be opened, or that hide what would be refused in the open."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.attacks.saml.forge import (
    ENVELOPED,
    Answer,
    Forge,
    cut,
    declaration_free,
    signature,
)
from tests.attacks.saml.service import XSLT, Service
from tests.attacks.saml.wrapping import evil, signed_assertion, with_object
from tests.unit.auth.fakes import START

from keystead_auth.domain import idp_errors as refusals


def test_a_wrapped_signature_in_an_encrypted_assertion_is_refused(service: Service, forge: Forge) -> None:
    rest, mark = cut(signed_assertion(forge), "Signature")
    wrapped = evil(assertion_signature=with_object(mark, rest)).assertion()
    hidden = forge.encrypted(Answer(START).response(wrapped))
    service.refuses(hidden, refusals.UnexpectedShape)
    assert service.verifier.asked == 1  # it was opened, and no signature was looked at


def test_an_encrypted_signature_with_a_program_in_it_is_not_run(service: Service, forge: Forge) -> None:
    mark = signature("#_assertion", transforms=ENVELOPED + XSLT)
    service.refuses(forge.encrypted(Answer(START, assertion_signature=mark).response()), refusals.TransformForbidden)
    assert service.verifier.asked == 1


def test_two_encrypted_assertions_are_refused_unseen(service: Service, forge: Forge) -> None:
    hidden = forge.encrypted(forge.good(START))
    _, element = cut(hidden, "EncryptedAssertion")
    service.refuses_unseen(
        hidden.replace(element, element + re.sub(r' Id="[^"]*"', "", element)), refusals.UnexpectedShape
    )


def test_encryption_around_encryption_is_refused(service: Service, forge: Forge) -> None:
    hidden = declaration_free(forge.encrypted(forge.good(START)))
    _, element = cut(hidden, "EncryptedData")
    again = evil().response().replace("<saml:AttributeValue>", f"<saml:AttributeValue>{element}", 1)
    service.refuses_unseen(again, refusals.EncryptionForbidden)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("xmlenc#rsa-oaep-mgf1p", "xmlenc#rsa-1_5"),
        ("xmlenc#aes256-cbc", "xmlenc#tripledes-cbc"),
        ("<ns0:CipherData>", '<r:RetrievalMethod xmlns:r="urn:r" URI="http://evil.example/"/><ns0:CipherData>'),
    ],
)
def test_weak_or_remote_encryption_is_refused_unseen(service: Service, forge: Forge, old: str, new: str) -> None:
    hidden = forge.encrypted(forge.good(START))
    assert old in hidden
    service.refuses_unseen(hidden.replace(old, new, 1), refusals.EncryptionForbidden)


def test_what_was_encrypted_is_one_assertion_and_nothing_else(service: Service, forge: Forge) -> None:
    hidden = forge.encrypted(forge.good(START))
    for content in ("", evil().assertion() + Answer(START).assertion(), "<saml:Advice/>"):
        opened = Answer(START).response(f"<saml:EncryptedAssertion>{content}</saml:EncryptedAssertion>")
        service.verifier.opens_as = opened.encode()
        with pytest.raises(refusals.UnexpectedShape):
            service.take(hidden)


@pytest.mark.parametrize(
    "inside",
    [
        '<x:MgmtData xmlns:x="http://www.w3.org/2000/09/xmldsig#" URI="http://evil.example/"/>',
        '<x:CipherReference xmlns:x="http://www.w3.org/2001/04/xmlenc#"/>',
        '<x:EncryptedData xmlns:x="http://www.w3.org/2001/04/xmlenc#"/>',
    ],
)
def test_ciphertext_from_elsewhere_is_refused_unseen(service: Service, forge: Forge, inside: str) -> None:
    hidden = forge.encrypted(forge.good(START)).replace("<ns0:CipherData>", f"{inside}<ns0:CipherData>", 1)
    service.refuses_unseen(hidden, refusals.EncryptionForbidden)


@pytest.mark.parametrize("name", ["EncryptedID", "EncryptedAttribute"])
def test_what_is_encrypted_beside_the_assertion_is_refused_unseen(service: Service, name: str) -> None:
    secret = f"<saml:{name}><x/></saml:{name}></saml:Subject>"
    service.refuses_unseen(Answer(START).response().replace("</saml:Subject>", secret), refusals.EncryptionForbidden)


def test_any_number_of_encrypted_keys_is_refused_unseen(service: Service, forge: Forge) -> None:
    hidden = re.sub(r' Id="[^"]*"', "", forge.encrypted(forge.good(START)))
    _, key = cut(hidden, "EncryptedKey")
    service.refuses_unseen(hidden.replace(key, key * 5), refusals.EncryptionForbidden)


def test_another_digest_in_the_key_s_encryption_is_refused_unseen(service: Service, forge: Forge) -> None:
    hidden = forge.encrypted(forge.good(START))
    start = hidden.index("rsa-oaep-mgf1p")
    end = hidden.index("/>", start)
    digest = (
        '><d:DigestMethod xmlns:d="http://www.w3.org/2000/09/xmldsig#" Algorithm="urn:md5"/></ns0:EncryptionMethod>'
    )
    service.refuses_unseen(hidden[:end] + digest + hidden[end + 2 :], refusals.EncryptionForbidden)


def test_what_is_encrypted_to_somebody_else_is_refused(service: Service, forge: Forge, tmp_path: Path) -> None:
    other = Forge(tmp_path)
    service.refuses(other.encrypted(other.good(START)), refusals.DecryptionFailed)


def test_an_unsigned_assertion_is_refused_encrypted_as_well(service: Service, forge: Forge) -> None:
    service.refuses(forge.encrypted(Answer(START).response()), refusals.SignatureMissing)

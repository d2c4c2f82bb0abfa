"""Signatures that prove nothing, and what is signed but of another shape."""

from __future__ import annotations

import re

import pytest
from tests.attacks.saml.forge import (
    ENVELOPED,
    EXCLUSIVE,
    Answer,
    Forge,
    signature,
)
from tests.attacks.saml.service import EVIL, XPATH, XSLT, Refused, Service
from tests.unit.auth.fakes import START

from keystead_auth.domain import idp_errors as refusals


@pytest.mark.parametrize(
    ("mark", "refusal"),
    [
        (signature("#_assertion", transforms=ENVELOPED + XSLT + EXCLUSIVE), refusals.TransformForbidden),
        (signature("#_assertion", transforms=XSLT), refusals.TransformForbidden),
        (signature("#_assertion", transforms=ENVELOPED + XPATH), refusals.TransformForbidden),
        (signature("#_assertion", transforms=ENVELOPED + EXCLUSIVE * 30), refusals.TransformForbidden),
        (signature("#_assertion", transforms=ENVELOPED), refusals.TransformForbidden),
        (signature("#_assertion", transforms=EXCLUSIVE), refusals.TransformForbidden),
        (signature("#_assertion", transforms=ENVELOPED + EXCLUSIVE.replace("#", "#WithComments")),
         refusals.TransformForbidden),
        (signature("#_assertion", transforms=ENVELOPED + EXCLUSIVE.replace("/>", "><x/></ds:Transform>")),
         refusals.TransformForbidden),
        (signature("#_assertion", transforms=ENVELOPED +
                   '<ds:Transform Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>'),
         refusals.TransformForbidden),
        (signature("#_assertion", canonicalization=
                   '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>'),
         refusals.CanonicalizationForbidden),
        (signature("#_assertion", canonicalization=
                   '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/>'),
         refusals.CanonicalizationForbidden),
        (signature("#_assertion", method="http://www.w3.org/2000/09/xmldsig#rsa-sha1"), refusals.AlgorithmForbidden),
        (signature("#_assertion", method="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
         refusals.AlgorithmForbidden),
        (signature("#_assertion", digest="http://www.w3.org/2000/09/xmldsig#sha1"), refusals.AlgorithmForbidden),
        (signature(""), refusals.ReferenceElsewhere),
        (signature("#_response"), refusals.ReferenceElsewhere),
        (signature("#xpointer(/)"), refusals.ReferenceElsewhere),
        (signature("http://evil.example/"), refusals.ReferenceElsewhere),
        (signature("file:///etc/passwd"), refusals.ReferenceElsewhere),
        (signature("#_assertion", references=2), refusals.SignatureMalformed),
        (signature("#_assertion", references=0), refusals.SignatureMalformed),
        (signature("#_assertion", more="<ds:Object/>"), refusals.SignatureMalformed),
        (signature("#_assertion").replace("<ds:Transforms>", "<ds:X/><ds:Transforms>"), refusals.SignatureMalformed),
        (signature("#_assertion", transforms=ENVELOPED.replace("/>", "><x/></ds:Transform>") + EXCLUSIVE),
         refusals.TransformForbidden),
        (signature("#_assertion", transforms=(ENVELOPED + EXCLUSIVE).replace("ds:Transform ", "ds:Other ")),
         refusals.TransformForbidden),
        (signature("#_assertion", transforms=ENVELOPED + EXCLUSIVE.replace(
            "/>", '><e:InclusiveNamespaces xmlns:e="http://www.w3.org/2001/10/xml-exc-c14n#" x="y"/></ds:Transform>')),
         refusals.TransformForbidden),
        (signature("#_assertion", more="<ds:KeyInfo><ds:MgmtData/></ds:KeyInfo>"), refusals.KeyInfoForbidden),
        (signature("#_assertion", more='<ds:KeyInfo><ds:RetrievalMethod URI="http://evil.example/"/></ds:KeyInfo>'),
         refusals.KeyInfoForbidden),
        (signature("#_assertion", more='<ds:KeyInfo><x xmlns="urn:evil"/></ds:KeyInfo>'), refusals.KeyInfoForbidden),
    ],
)  # fmt: skip
def test_a_signature_of_another_kind_is_refused_unseen(service: Service, mark: str, refusal: Refused) -> None:
    service.refuses_unseen(Answer(START, assertion_signature=mark).response(), refusal)


def test_the_same_holds_for_the_response_s_signature(service: Service) -> None:
    mark = signature("#_response", transforms=ENVELOPED + XSLT)
    service.refuses_unseen(Answer(START, response_signature=mark).response(), refusals.TransformForbidden)


def test_transforms_outside_a_signature_are_refused_unseen(service: Service) -> None:
    extensions = f"<samlp:Extensions><ds:Transforms>{XSLT}</ds:Transforms></samlp:Extensions>"
    service.refuses_unseen(Answer(START, extensions=extensions).response(), refusals.TransformForbidden)


def test_an_unsigned_answer_is_refused(service: Service) -> None:
    service.refuses_unseen(Answer(START).response(), refusals.SignatureMissing)


def test_a_stranger_s_signature_is_refused(service: Service, forge: Forge) -> None:
    unsigned = Answer(START, assertion_signature=signature("#_assertion")).response()
    service.refuses(forge.sign_assertion(unsigned, by="stranger"), refusals.SignatureWrong)


def test_a_stranger_s_certificate_in_the_signature_makes_no_difference(service: Service, forge: Forge) -> None:
    key = f"<ds:X509Certificate>{forge.keys['stranger'].certificate}</ds:X509Certificate>"
    mark = signature("#_assertion", more=f"<ds:KeyInfo><ds:X509Data>{key}</ds:X509Data></ds:KeyInfo>")
    signed = forge.sign_assertion(Answer(START, assertion_signature=mark).response(), by="stranger")
    service.refuses(signed, refusals.SignatureWrong)


def test_a_changed_answer_is_refused(service: Service, forge: Forge) -> None:
    service.refuses(forge.good(START).replace("ada@example.org", EVIL), refusals.SignatureWrong)


def test_a_good_assertion_does_not_save_a_wrong_response(service: Service, forge: Forge) -> None:
    both = forge.sign_assertion(
        Answer(
            START, assertion_signature=signature("#_assertion"), response_signature=signature("#_response")
        ).response()
    )
    service.refuses(forge.sign_response(both, by="stranger"), refusals.SignatureWrong)


def test_a_good_response_does_not_save_a_wrong_assertion(service: Service, forge: Forge) -> None:
    both = forge.sign_assertion(
        Answer(
            START, assertion_signature=signature("#_assertion"), response_signature=signature("#_response")
        ).response(),
        by="stranger",
    )
    service.refuses(forge.sign_response(both), refusals.SignatureWrong)


def test_a_signature_stands_after_an_issuer_and_nothing_else(service: Service) -> None:
    mark = signature("#_response")
    document = Answer(START, response_issuer=None, extensions=f"<samlp:Extensions/>{mark}").response()
    service.refuses_unseen(document, refusals.SignatureMisplaced)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('Version="2.0" IssueInstant', 'Version="1.1" IssueInstant'),
        ("</saml:Issuer><ds:Signature", "<x/></saml:Issuer><ds:Signature"),
        ("<saml:Issuer>https://idp.example/entity</saml:Issuer><ds:S",
         '<saml:Issuer Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">https://idp.example/entity'
         "</saml:Issuer><ds:S"),
        ("</saml:Subject>", "</saml:Subject><saml:Subject/>"),
        ("<saml:NameID>ada</saml:NameID>", "<saml:NameID>a<x/>da</saml:NameID>"),
        ("<saml:Conditions ", '<saml:Conditions NotOnOrAfter="today" '),
        ('NotBefore="2026', 'NotBefore="9999-99-99T00:00:00Z" x="2026'),
        ('NotBefore="2026', 'NotBefore="2026-11-23T12:00:00+01:00" x="2026'),
    ],
)  # fmt: skip
def test_a_genuine_assertion_of_another_shape_is_refused(service: Service, forge: Forge, old: str, new: str) -> None:
    unsigned = Answer(START, assertion_signature=signature("#_assertion")).response()
    place = unsigned.index("<saml:Assertion")
    if 'Conditions NotOnOrAfter="today"' in new:
        unsigned = re.sub(r'(<saml:Conditions [^>]*) NotOnOrAfter="[^"]*"', r"\1", unsigned)
    assert old in unsigned[place:]
    changed = unsigned[:place] + unsigned[place:].replace(old, new, 1)
    service.refuses(forge.sign_assertion(changed), refusals.UnexpectedShape)


def test_a_confirmation_without_data_confirms_nothing(service: Service, forge: Forge) -> None:
    unsigned = Answer(START, assertion_signature=signature("#_assertion")).response()
    bare = re.sub(r"<saml:SubjectConfirmationData[^>]*/>", "", unsigned)
    service.refuses(forge.sign_assertion(bare), refusals.RecipientWrong)

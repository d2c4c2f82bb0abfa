"""Forged and broken SAML answers: every one is refused, and what is forged by its shape before any key is touched."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.attacks.saml.forge import (
    ACS,
    ENVELOPED,
    EXCLUSIVE,
    IDP,
    RELAY,
    REQUEST,
    SP,
    Answer,
    Forge,
    cut,
    declaration_free,
    sent,
    signature,
)
from tests.unit.auth.fakes import START, FakeAttempts, FakeClock, FakeRandomness, FakeTransactions

from keystead_auth.adapters.xmlsec import XmlSec
from keystead_auth.domain import idp_errors as refusals
from keystead_auth.domain.providers import Arrival, Attempt, IdentityProvider, Purpose
from keystead_auth.domain.saml.metadata import SamlEntity
from keystead_auth.domain.sign_in import Form
from keystead_auth.ports import SamlRequest
from keystead_auth.usecases.take_saml_answer import BroughtAnswer, take_saml_answer
from keystead_contracts.identity import SignInMethod
from keystead_contracts.people import IdentityProviderKind
from keystead_kit.secrets import token_digest

Refused = type[refusals.AnswerRefused]
EVIL = "mallory@example.org"
XSLT = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><xsl:stylesheet version="1.0" '
    'xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><x><xsl:call-template name="d">'
    '<xsl:with-param name="n" select="40"/></xsl:call-template></x></xsl:template><xsl:template name="d">'
    '<xsl:param name="n"/><xsl:if test="$n &gt; 0"><xsl:call-template name="d"><xsl:with-param name="n" '
    'select="$n - 1"/></xsl:call-template><xsl:call-template name="d"><xsl:with-param name="n" select="$n - 1"/>'
    "</xsl:call-template></xsl:if></xsl:template></xsl:stylesheet></ds:Transform>"
)
XPATH = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>count(//. | //@* | '
    "//namespace::*)</ds:XPath></ds:Transform>"
)


@dataclass
class CountingVerifier:
    """The real verifier, which tells how often it was asked."""

    forge: Forge
    asked: int = 0
    opens_as: bytes | None = None

    def verify(self, document: bytes, element: str, id: str, certificate: str) -> bool:
        self.asked += 1
        return self.forge.xmlsec.verify(document, element, id, certificate)

    def decrypt(self, document: bytes) -> bytes:
        self.asked += 1
        return self.opens_as or self.forge.xmlsec.decrypt(document)


class Names:
    """Who we are."""

    entity_id = SP
    acs_url = ACS

    def request(self, entity: SamlEntity, id: str, relay_state: str, now: object) -> SamlRequest:
        raise NotImplementedError

    def metadata(self) -> bytes:
        raise NotImplementedError


@dataclass
class Service:
    """auth, which has sent somebody to the identity provider and waits for the answer."""

    forge: Forge
    transactions: FakeTransactions = field(
        default_factory=lambda: FakeTransactions(Form("staff", 1, "Staff", "Northwind", (SignInMethod.IDP,), ()))
    )
    clock: FakeClock = field(default_factory=FakeClock)
    attempts: FakeAttempts = field(default_factory=FakeAttempts)
    randomness: FakeRandomness = field(default_factory=FakeRandomness)

    def __post_init__(self) -> None:
        self.verifier = CountingVerifier(self.forge)
        self.store.provider_rows["idp"] = IdentityProvider(
            "idp", 1, "Northwind", IdentityProviderKind.SAML, material=self.forge.entity.material()
        )
        self.ask()

    @property
    def store(self):  # type: ignore[no-untyped-def]
        return self.transactions.store

    def ask(self, request: str = REQUEST) -> None:
        self.store.attempt_rows[request] = Attempt(
            id=request, provider="idp", purpose=Purpose.FORM, form="staff", relay=token_digest(RELAY),
            browser=token_digest("visit"), created_at=START, expires_at=START + timedelta(minutes=15),
            trace_id="a" * 32,
        )  # fmt: skip

    def take(self, document: str | bytes, relay_state: str = RELAY) -> Arrival:
        """The person whom the answer signs in."""
        brought = BroughtAnswer(sent(document), relay_state, "192.0.2.1", "b" * 32)
        take_saml_answer(self.transactions, self.attempts, self.verifier, Names(), self.randomness, self.clock, brought)
        [arrival] = self.store.arrival_rows.values()
        return arrival

    def refuses(self, document: str | bytes, refusal: Refused, **kwargs: str) -> None:
        """The answer signs nobody in, for this reason."""
        with pytest.raises(refusals.AnswerRefused) as caught:
            self.take(document, **kwargs)
        assert type(caught.value) is refusal, repr(caught.value)
        assert self.store.arrival_rows == {} and self.store.assertion_rows == {}
        assert self.store.attempt_rows[REQUEST].answered_at is None
        assert self.attempts.counted == [("192.0.2.1", "refused")]

    def refuses_unseen(self, document: str | bytes, refusal: Refused) -> None:
        """... without having asked xmlsec1 anything."""
        self.refuses(document, refusal)
        assert self.verifier.asked == 0


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    return Forge(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def service(forge: Forge) -> Service:
    return Service(forge)


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


# --- signature wrapping (XSW): what is signed and what is read are two things ---------------------------------------


def evil(**changes: object) -> Answer:
    return Answer(START, mail=EVIL, assertion_id="_evil", response_id="_evil-response", **changes)  # type: ignore[arg-type]


def signed_response(forge: Forge) -> str:
    return declaration_free(forge.sign_response(Answer(START, response_signature=signature("#_response")).response()))


def signed_assertion(forge: Forge) -> str:
    return declaration_free(cut(forge.good(START), "Assertion")[1])


def with_object(signed: str, content: str) -> str:
    return signed.replace("</ds:Signature>", f"<ds:Object>{content}</ds:Object></ds:Signature>")


def xsw1(forge: Forge) -> str:
    """The signed response within its own signature, in a response of another's making."""
    rest, mark = cut(signed_response(forge), "Signature")
    return evil(response_signature=with_object(mark, rest)).response()


def xsw2(forge: Forge) -> str:
    """The signed response beside its signature."""
    rest, mark = cut(signed_response(forge), "Signature")
    return evil(response_signature=mark, extensions=rest).response()


def xsw3(forge: Forge) -> str:
    """Another assertion before the signed one."""
    return Answer(START).response(evil().assertion() + signed_assertion(forge))


def xsw3_after(forge: Forge) -> str:
    """... and behind it."""
    return Answer(START).response(signed_assertion(forge) + evil().assertion())


def xsw4(forge: Forge) -> str:
    """The signed assertion within another one."""
    return Answer(START).response(
        evil().assertion().replace("</saml:Assertion>", signed_assertion(forge) + "</saml:Assertion>")
    )


def xsw5(forge: Forge) -> str:
    """Another assertion with the signature, and the one it is of behind."""
    rest, mark = cut(signed_assertion(forge), "Signature")
    return Answer(START).response(evil(assertion_signature=mark).assertion() + rest)


def xsw6(forge: Forge) -> str:
    """Another assertion with the signature, which has what it is of in it."""
    rest, mark = cut(signed_assertion(forge), "Signature")
    return Answer(START).response(
        evil(assertion_signature=mark.replace("</ds:Signature>", rest + "</ds:Signature>")).assertion()
    )


def xsw7(forge: Forge) -> str:
    """Another assertion of the same ID in the extensions."""
    extensions = f"<samlp:Extensions>{Answer(START, mail=EVIL).assertion()}</samlp:Extensions>"
    return Answer(START, extensions=extensions).response(signed_assertion(forge))


def xsw7_other_id(forge: Forge) -> str:
    """... of another ID."""
    extensions = f"<samlp:Extensions>{evil().assertion()}</samlp:Extensions>"
    return Answer(START, extensions=extensions).response(signed_assertion(forge))


def xsw8(forge: Forge) -> str:
    """Another assertion with the signature, which has what it is of in an object."""
    rest, mark = cut(signed_assertion(forge), "Signature")
    return Answer(START).response(evil(assertion_signature=with_object(mark, rest)).assertion())


def in_advice(forge: Forge) -> str:
    """The signed assertion as the advice of another."""
    return Answer(START).response(
        evil().assertion().replace("<saml:AuthnS", f"<saml:Advice>{signed_assertion(forge)}</saml:Advice><saml:AuthnS")
    )


def in_status(forge: Forge) -> str:
    """The signed assertion in the status."""
    detail = f"<samlp:StatusDetail>{signed_assertion(forge)}</samlp:StatusDetail></samlp:Status>"
    return evil().response().replace("</samlp:Status>", detail)


def in_attribute(forge: Forge) -> str:
    """The signed assertion as the value of an attribute."""
    return evil().response().replace("<saml:AttributeValue>", f"<saml:AttributeValue>{signed_assertion(forge)}", 1)


def response_in_response(forge: Forge) -> str:
    """The signed response within another one."""
    return evil().response(evil().assertion() + signed_response(forge))


def in_envelope(forge: Forge) -> str:
    """The signed response, and another one, in an envelope."""
    return f"<Envelope>{evil().response()}{signed_response(forge)}</Envelope>"


def signature_at_the_end(forge: Forge) -> str:
    """The assertion's signature where no schema has it."""
    rest, mark = cut(signed_assertion(forge), "Signature")
    return Answer(START).response(rest.replace("</saml:Assertion>", mark + "</saml:Assertion>"))


def signature_in_subject(forge: Forge) -> str:
    """A signature elsewhere in the assertion."""
    rest, mark = cut(signed_assertion(forge), "Signature")
    return Answer(START).response(rest.replace("</saml:Subject>", mark + "</saml:Subject>"))


def two_signatures(forge: Forge) -> str:
    """Two signatures of one assertion."""
    text = signed_assertion(forge)
    _, mark = cut(text, "Signature")
    return Answer(START).response(text.replace(mark, mark + mark))


@pytest.mark.parametrize(
    "wrap",
    [xsw1, xsw2, xsw3, xsw3_after, xsw4, xsw5, xsw6, xsw7, xsw7_other_id, xsw8, in_advice, in_status, in_attribute,
     response_in_response, in_envelope, signature_at_the_end, signature_in_subject, two_signatures],
    ids=lambda wrap: wrap.__name__,
)  # fmt: skip
def test_a_wrapped_signature_is_refused_unseen(service: Service, forge: Forge, wrap: Callable[[Forge], str]) -> None:
    with pytest.raises((refusals.DocumentRefused, refusals.SignatureRefused)):
        service.take(wrap(forge))
    assert service.verifier.asked == 0


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


# --- signatures that prove nothing ----------------------------------------------------------------------------------


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


# --- genuine answers to something else -------------------------------------------------------------------------------


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

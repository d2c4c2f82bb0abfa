"""auth, waiting for an identity provider's answer, with the real verifier and a store in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from tests.attacks.saml.forge import (
    ACS,
    RELAY,
    REQUEST,
    SP,
    Forge,
    sent,
)
from tests.unit.auth.fakes import START, FakeAttempts, FakeClock, FakeRandomness, FakeTransactions

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

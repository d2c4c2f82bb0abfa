"""Take in a SAML identity provider's answer, which a browser brings without its cookies."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime

from keystead_auth.domain.attributes import Person, canonical, person
from keystead_auth.domain.idp_errors import (
    AlreadyUsed,
    FormUnnamed,
    IssuerWrong,
    NotWellFormed,
    RequestUnknown,
    SignatureWrong,
    TooLarge,
    TooLate,
    Unasked,
)
from keystead_auth.domain.providers import ARRIVAL_LIFETIME, Arrival, Attempt, IdentityProvider, Purpose, usable
from keystead_auth.domain.saml.answer import read_answer
from keystead_auth.domain.saml.judgement import Expected, Verdict, judge, needs_signature
from keystead_auth.domain.saml.metadata import SamlEntity
from keystead_auth.domain.saml.names import EMAIL_FORMAT, SAML
from keystead_auth.domain.saml.signatures import Screened, screen
from keystead_auth.domain.saml.xml import ANSWER, Element
from keystead_auth.ports import (
    Attempts,
    Randomness,
    SamlMessages,
    SignatureVerifier,
    Transaction,
    Transactions,
)
from keystead_auth.usecases.idp_steps import blaming, counting_refusals
from keystead_contracts.people import IdentityProviderKind
from keystead_kit.clock import Clock
from keystead_kit.secrets import same, token_digest

MOST_CHARACTERS = ANSWER.octets * 4 // 3 + 8192
"""Of the base64 text, line ends included."""


@dataclass(frozen=True)
class BroughtAnswer:
    """What the browser brought, and from which client address."""

    response: str
    relay_state: str
    client: str
    trace_id: str


@dataclass(frozen=True)
class Taken:
    """The token with which the browser goes on, and whether the person's attributes had to be cut."""

    token: str
    provider: str
    trace_id: str
    cut: bool


def take_saml_answer(
    transactions: Transactions,
    attempts: Attempts,
    verifier: SignatureVerifier,
    messages: SamlMessages,
    randomness: Randomness,
    clock: Clock,
    brought: BroughtAnswer,
) -> Taken:
    """Judges the answer, uses it up, and keeps who it vouches for until the browser shows which one it is.

    Raises AnswerRefused, MethodNotOffered, ProviderUnknown, ProviderNotReady, TooManyAttempts.
    """
    now = clock.now()
    with counting_refusals(attempts, brought.client):
        document = _decoded(brought.response)
        screened = screen(document)
        with transactions.read() as tx:
            attempt = _attempt(tx, screened.response, brought.relay_state, now)
            with blaming(attempt.form if attempt else None):
                provider, form = _provider(tx, attempt, screened, brought.relay_state, now)
        with blaming(form):
            entity = SamlEntity.of(provider.material or {})
            verdict = _judged(document, screened, entity, verifier, messages, attempt, provider, now)
            who = _person(verdict, provider)
            if form is None and (attempt is None or attempt.purpose is Purpose.FORM):
                raise FormUnnamed
            token = randomness.new_token()
            with transactions.write() as tx:
                if attempt is not None and not tx.attempts.answer(attempt.id, now):
                    raise AlreadyUsed
                used = token_digest(f"{entity.entity_id}\n{verdict.assertion.id}")
                if not tx.assertions.first_time(used, verdict.remember_until):
                    raise AlreadyUsed
                tx.arrivals.add(
                    Arrival(
                        digest=token_digest(token),
                        provider=provider.id,
                        purpose=attempt.purpose if attempt else Purpose.FORM,
                        form=form,
                        browser=attempt.browser if attempt else None,
                        person=who,
                        session_ends=verdict.assertion.session_ends,
                        expires_at=now + ARRIVAL_LIFETIME,
                        trace_id=attempt.trace_id if attempt else brought.trace_id,
                    )
                )
    return Taken(token, provider.id, attempt.trace_id if attempt else brought.trace_id, who.cut)


def _decoded(text: str) -> bytes:
    if len(text) > MOST_CHARACTERS:
        raise TooLarge
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotWellFormed("not base64") from error


def _attempt(tx: Transaction, response: Element, relay_state: str, now: datetime) -> Attempt | None:
    """The attempt that the answer says it is to; None if nobody asked for it."""
    request = response.attributes.get("InResponseTo")
    if request is None:
        return None
    attempt = tx.attempts.get(request)
    if attempt is None or not same(attempt.relay, token_digest(relay_state)):
        raise RequestUnknown
    with blaming(attempt.form):
        if attempt.answered_at is not None:
            raise AlreadyUsed
        if now >= attempt.expires_at:
            raise TooLate
    return attempt


def _provider(
    tx: Transaction, attempt: Attempt | None, screened: Screened, relay_state: str, now: datetime
) -> tuple[IdentityProvider, str | None]:
    """The provider that was asked, or that says it sent this unasked; and the form that it is for."""
    if attempt is not None:
        form = tx.forms.get(attempt.form) if attempt.form else None
        provider = tx.providers.get(attempt.provider)
        return usable(provider, IdentityProviderKind.SAML, attempt.purpose, form, now), attempt.form
    issuer = _claimed_issuer(screened)
    same_issuer = [
        each
        for each in tx.providers.all()
        if each.kind is IdentityProviderKind.SAML and each.ready(now) and (each.material or {})["entity_id"] == issuer
    ]
    if not same_issuer:
        raise IssuerWrong
    willing = [each for each in same_issuer if each.idp_initiated and each.for_persons]
    if not willing:
        raise Unasked
    form = tx.forms.get(relay_state)
    named = [each for each in willing if form is not None and each.speaks_for(form)]
    return (named[0], form.uri) if form is not None and named else (willing[0], None)


def _claimed_issuer(screened: Screened) -> str:
    """Who the answer says it is from; nothing is proved yet."""
    owner = screened.response if screened.response.maybe(SAML, "Issuer") else screened.assertion
    if owner is None:
        raise IssuerWrong
    return owner.one(SAML, "Issuer").words()


def _judged(
    document: bytes,
    screened: Screened,
    entity: SamlEntity,
    verifier: SignatureVerifier,
    messages: SamlMessages,
    attempt: Attempt | None,
    provider: IdentityProvider,
    now: datetime,
) -> Verdict:
    """Verifies every signature there is, opens what is encrypted, and judges what a signature covers."""
    response = screened.response
    if screened.response_signed:
        _verify(verifier, document, "Response", response, entity)
    if screened.encrypted is not None:
        document = verifier.decrypt(document)
        screened = screen(document, opened=True)
    if screened.assertion is not None:
        needs_signature(screened.response_signed, screened.assertion_signed)
        if screened.assertion_signed:
            _verify(verifier, document, "Assertion", screened.assertion, entity)
    answer = read_answer(response, screened.assertion, signed=screened.response_signed)
    return judge(
        answer,
        Expected(
            issuer=entity.entity_id,
            audience=messages.entity_id,
            recipient=messages.acs_url,
            request=attempt.id if attempt else None,
            unasked_allowed=provider.idp_initiated,
            now=now,
        ),
    )


def _verify(verifier: SignatureVerifier, document: bytes, name: str, element: Element, entity: SamlEntity) -> None:
    id = element.attributes["ID"]
    if not any(verifier.verify(document, name, id, certificate) for certificate in entity.certificates):
        raise SignatureWrong


def _person(verdict: Verdict, provider: IdentityProvider) -> Person:
    assertion = verdict.assertion
    fallback = assertion.name_id if assertion.name_id_format == EMAIL_FORMAT else ""
    return person(canonical(assertion.attributes, provider.attributes), fallback)

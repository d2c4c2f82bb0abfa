"""Take in an OpenID provider's answer: the browser brings a code, the provider gives us an ID token for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keystead_auth.domain.attributes import Person, canonical, person
from keystead_auth.domain.idp_errors import (
    AlreadyUsed,
    BrowserWrong,
    CodeRefused,
    FetchFailed,
    IdTokenWrong,
    KeyUnknown,
    ProviderNotReady,
    RequestUnknown,
    StatusFailed,
    TooLate,
)
from keystead_auth.domain.oidc import (
    DiscoveryRefused,
    ExpectedToken,
    OidcEntity,
    check_source,
    judge_token,
    read_keys,
    sent_attributes,
)
from keystead_auth.domain.providers import ARRIVAL_LIFETIME, Arrival, Attempt, IdentityProvider, usable
from keystead_auth.ports import (
    Attempts,
    ClientSecrets,
    Fetcher,
    IdTokens,
    OidcMessages,
    Randomness,
    Transaction,
    Transactions,
)
from keystead_auth.usecases.begin_oidc import NONCE, VERIFIER
from keystead_auth.usecases.idp_steps import blaming, counting_refusals
from keystead_contracts.people import IdentityProviderKind
from keystead_kit.clock import Clock
from keystead_kit.secrets import same, token_digest


@dataclass(frozen=True)
class BroughtCode:
    """What the browser brought to a provider's own address, from which browser and which client address."""

    provider: str
    state: str
    code: str | None
    error: str | None
    issuer: str | None
    visit: str
    client: str


@dataclass(frozen=True)
class OidcTools:
    """What this takes beside transactions."""

    messages: OidcMessages
    fetcher: Fetcher
    tokens: IdTokens
    secrets: ClientSecrets


def take_oidc_answer(
    transactions: Transactions,
    attempts: Attempts,
    tools: OidcTools,
    randomness: Randomness,
    clock: Clock,
    brought: BroughtCode,
) -> tuple[str, bool]:
    """Uses the request up, asks the provider whose code that is, and keeps who it vouches for: the token with which
    `finish_idp_sign_in` goes on, and whether the person's attributes had to be cut.

    Raises AnswerRefused, MethodNotOffered, ProviderUnknown, ProviderNotReady, TooManyAttempts.
    """
    now = clock.now()
    with counting_refusals(attempts, brought.client):
        with transactions.write() as tx:
            attempt = _attempt(tx, brought, now)
            form = tx.forms.get(attempt.form) if attempt.form else None
            known = tx.providers.get(attempt.provider)
            provider = usable(known, IdentityProviderKind.OIDC, attempt.purpose, form, now)
        with blaming(attempt.form):
            who = _vouched_for(provider, attempt, tools, brought, now)
        token = randomness.new_token()
        with transactions.write() as tx:
            tx.arrivals.add(
                Arrival(
                    digest=token_digest(token),
                    provider=provider.id,
                    purpose=attempt.purpose,
                    form=attempt.form,
                    browser=attempt.browser,
                    person=who,
                    session_ends=None,
                    expires_at=now + ARRIVAL_LIFETIME,
                    trace_id=attempt.trace_id,
                )
            )
    return token, who.cut


def _attempt(tx: Transaction, brought: BroughtCode, now: datetime) -> Attempt:
    """The attempt that this browser made, which is answered now."""
    attempt = tx.attempts.get(token_digest(brought.state))
    if attempt is None or attempt.provider != brought.provider:
        raise RequestUnknown
    with blaming(attempt.form):
        if not same(attempt.browser, token_digest(brought.visit)):
            raise BrowserWrong
        if attempt.answered_at is not None:
            raise AlreadyUsed
        if now >= attempt.expires_at:
            raise TooLate
        if not tx.attempts.answer(attempt.id, now):
            raise AlreadyUsed
    return attempt


def _vouched_for(
    provider: IdentityProvider, attempt: Attempt, tools: OidcTools, brought: BroughtCode, now: datetime
) -> Person:
    entity = OidcEntity.of(provider.material or {})
    check_source(entity, brought.issuer)
    if brought.error is not None or not brought.code:
        raise StatusFailed(brought.error or "no code")
    given = _exchanged(entity, provider, attempt, tools, brought.code)
    claims = _claims(entity, tools, str(given.get("id_token", "")))
    expected = ExpectedToken(entity.issuer, provider.client_id or "", attempt.secrets[NONCE], now)
    subject = judge_token(claims, expected)
    wanted = provider.attributes.get("mail", "email")
    if wanted not in claims and entity.userinfo_endpoint is not None:
        claims = _more_claims(entity.userinfo_endpoint, tools, subject, str(given.get("access_token", ""))) | claims
    return person(canonical(sent_attributes(claims), provider.attributes))


def _exchanged(
    entity: OidcEntity, provider: IdentityProvider, attempt: Attempt, tools: OidcTools, code: str
) -> Mapping[str, Any]:
    secret = tools.secrets.get(provider.client_secret_name) if provider.client_secret_name else None
    fields, authorization = tools.messages.token_request(
        entity, provider.client_id or "", secret, redirect_uri=tools.messages.redirect_uri(provider.id), code=code,
        code_verifier=attempt.secrets[VERIFIER],
    )  # fmt: skip
    return _asked(tools, "POST", entity.token_endpoint, fields, authorization)


def _claims(entity: OidcEntity, tools: OidcTools, token: str) -> dict[str, Any]:
    """The verified claims. A key that is new since the provider was read is looked up."""
    try:
        return tools.tokens.claims(token, entity.keys, entity.algorithms)
    except KeyUnknown:
        try:
            keys = read_keys(tools.fetcher.get(entity.jwks_uri))
        except (FetchFailed, DiscoveryRefused) as error:
            raise ProviderNotReady from error
        return tools.tokens.claims(token, keys, entity.algorithms)


def _more_claims(address: str, tools: OidcTools, subject: str, access_token: str) -> dict[str, Any]:
    """What the provider says of the same subject (OpenID Connect Core 1.0, section 5.3.2)."""
    said = dict(_asked(tools, "GET", address, None, f"Bearer {access_token}"))
    if said.get("sub") != subject:
        raise IdTokenWrong("another subject")
    return said


def _asked(
    tools: OidcTools, method: str, address: str, fields: Mapping[str, str] | None, authorization: str | None
) -> Mapping[str, Any]:
    try:
        said = json.loads(tools.fetcher.send(method, address, fields, authorization))
    except FetchFailed as refusal:
        if refusal.status is not None and 400 <= refusal.status < 500:
            raise CodeRefused(refusal.detail) from refusal
        raise ProviderNotReady from refusal
    except (ValueError, RecursionError) as error:
        raise IdTokenWrong("no JSON") from error
    if not isinstance(said, dict):
        raise IdTokenWrong("no JSON object")
    return said

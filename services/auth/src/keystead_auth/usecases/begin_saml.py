"""Send somebody to a SAML identity provider."""

from __future__ import annotations

from dataclasses import dataclass

from keystead_auth.domain.errors import TooManyAttempts
from keystead_auth.domain.providers import ATTEMPT_LIFETIME, Attempt, IdentityProvider, Purpose, usable
from keystead_auth.domain.saml.metadata import SamlEntity
from keystead_auth.domain.sign_in import open_form
from keystead_auth.ports import Attempts, Randomness, SamlMessages, SamlRequest, Transaction, Transactions
from keystead_contracts.people import IdentityProviderKind
from keystead_kit.clock import Clock
from keystead_kit.secrets import token_digest


@dataclass(frozen=True)
class WantedSignIn:
    """Through which provider, what for, and from which browser (its visit value) and client address."""

    provider: str
    purpose: Purpose
    form: str | None
    visit: str
    client: str
    trace_id: str


def begin_saml(
    transactions: Transactions,
    attempts: Attempts,
    messages: SamlMessages,
    randomness: Randomness,
    clock: Clock,
    wanted: WantedSignIn,
) -> tuple[IdentityProvider, SamlRequest]:
    """Remembers the request, which is answered once and by this browser, and how to take it to the provider.

    Raises FormUnknown, MethodNotOffered, ProviderUnknown, ProviderNotReady, TooManyAttempts.
    """
    count(attempts, wanted.client)
    id, relay_state, now = f"_{randomness.new_id()}", randomness.new_token(), clock.now()
    with transactions.write() as tx:
        provider = wanted_provider(tx, wanted, IdentityProviderKind.SAML, clock)
        tx.attempts.add(
            Attempt(
                id=id,
                provider=provider.id,
                purpose=wanted.purpose,
                form=wanted.form,
                relay=token_digest(relay_state),
                browser=token_digest(wanted.visit),
                created_at=now,
                expires_at=now + ATTEMPT_LIFETIME,
                trace_id=wanted.trace_id,
            )
        )
    entity = SamlEntity.of(provider.material or {})
    return provider, messages.request(entity, id, relay_state, now)


def count(attempts: Attempts, client: str) -> None:
    """Counts a beginning. Raises TooManyAttempts."""
    wait = attempts.idp_begin(client)
    if wait is not None:
        raise TooManyAttempts(wait)


def wanted_provider(
    tx: Transaction, wanted: WantedSignIn, kind: IdentityProviderKind, clock: Clock
) -> IdentityProvider:
    """The provider, if somebody can sign in through it for that. Raises as `begin_saml`."""
    form = open_form(tx.forms.get(wanted.form or "")) if wanted.purpose is Purpose.FORM else None
    return usable(tx.providers.get(wanted.provider), kind, wanted.purpose, form, clock.now())

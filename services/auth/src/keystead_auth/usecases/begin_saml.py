"""Send somebody to a SAML identity provider."""

from __future__ import annotations

from keystead_auth.domain.providers import ATTEMPT_LIFETIME, Attempt, IdentityProvider
from keystead_auth.domain.saml.metadata import SamlEntity
from keystead_auth.ports import Attempts, Randomness, SamlMessages, SamlRequest, Transactions
from keystead_auth.usecases.idp_steps import WantedSignIn, count, wanted_provider
from keystead_contracts.people import IdentityProviderKind
from keystead_kit.clock import Clock
from keystead_kit.secrets import token_digest


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

"""Send somebody to an OpenID provider."""

from __future__ import annotations

from keystead_auth.domain.oidc import OidcEntity
from keystead_auth.domain.providers import ATTEMPT_LIFETIME, Attempt, IdentityProvider
from keystead_auth.ports import Attempts, OidcMessages, Randomness, Transactions
from keystead_auth.usecases.idp_steps import WantedSignIn, count, wanted_provider
from keystead_contracts.people import IdentityProviderKind
from keystead_kit.clock import Clock
from keystead_kit.secrets import token_digest

NONCE, VERIFIER = "nonce", "code_verifier"


def begin_oidc(
    transactions: Transactions,
    attempts: Attempts,
    messages: OidcMessages,
    randomness: Randomness,
    clock: Clock,
    wanted: WantedSignIn,
) -> tuple[IdentityProvider, str]:
    """Remembers the request, which is answered once and by this browser, and the address that takes it there.

    Raises FormUnknown, MethodNotOffered, ProviderUnknown, ProviderNotReady, TooManyAttempts.
    """
    count(attempts, wanted.client)
    now = clock.now()
    state, nonce, verifier = randomness.new_token(), randomness.new_token(), randomness.new_token()
    with transactions.write() as tx:
        provider = wanted_provider(tx, wanted, IdentityProviderKind.OIDC, clock)
        tx.attempts.add(
            Attempt(
                id=token_digest(state),
                provider=provider.id,
                purpose=wanted.purpose,
                form=wanted.form,
                relay=token_digest(state),
                browser=token_digest(wanted.visit),
                created_at=now,
                expires_at=now + ATTEMPT_LIFETIME,
                trace_id=wanted.trace_id,
                secrets={NONCE: nonce, VERIFIER: verifier},
            )
        )
    address = messages.request(
        OidcEntity.of(provider.material or {}), provider.client_id or "",
        redirect_uri=messages.redirect_uri(provider.id), state=state, nonce=nonce, code_verifier=verifier,
    )  # fmt: skip
    return provider, address

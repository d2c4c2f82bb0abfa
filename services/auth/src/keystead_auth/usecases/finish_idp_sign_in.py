"""Sign somebody in whom an identity provider vouched for, once their browser shows that it is theirs."""

from __future__ import annotations

from datetime import datetime, timedelta

from keystead_auth.domain.idp_errors import AlreadyUsed, BrowserWrong, ProviderUnknown
from keystead_auth.domain.providers import Arrival, IdentityProvider, Purpose, usable
from keystead_auth.domain.sign_in import Form, Session, SignedIn, open_form
from keystead_auth.ports import IdentitySigner, Randomness, Transaction, Transactions
from keystead_auth.usecases.mint_identity import mint_identity
from keystead_contracts.identity import SignInMethod
from keystead_kit.clock import Clock
from keystead_kit.secrets import same, token_digest


def view_arrival(
    transactions: Transactions, clock: Clock, *, token: str
) -> tuple[Arrival, IdentityProvider, Form | None]:
    """The arrival, its provider and its form, using nothing up. Raises AlreadyUsed, ProviderUnknown, FormUnknown."""
    with transactions.read() as tx:
        arrival = tx.arrivals.get(token_digest(token), clock.now())
        if arrival is None:
            raise AlreadyUsed
        provider = tx.providers.get(arrival.provider)
        if provider is None:
            raise ProviderUnknown
        return arrival, provider, open_form(tx.forms.get(arrival.form)) if arrival.form else None


def finish_idp_sign_in(
    transactions: Transactions,
    signer: IdentitySigner,
    randomness: Randomness,
    clock: Clock,
    *,
    token: str,
    visit: str,
    session_lifetime: timedelta,
) -> SignedIn | Arrival:
    """Uses the arrival up. A person has a session, for no longer than the provider says; an administrator is the
    arrival itself, proven to be this browser's: what they may do is decided elsewhere.

    Raises AlreadyUsed, BrowserWrong, FormUnknown, MethodNotOffered, ProviderUnknown, ProviderNotReady.
    """
    now = clock.now()
    with transactions.write() as tx:
        arrival = tx.arrivals.get(token_digest(token), now)
        if arrival is None:
            raise AlreadyUsed
        if arrival.browser is not None and not same(arrival.browser, token_digest(visit)):
            raise BrowserWrong(form=arrival.form)
        if not tx.arrivals.take(arrival.digest):
            raise AlreadyUsed
        known = tx.providers.get(arrival.provider)
        if known is None:
            raise ProviderUnknown
        form = tx.forms.get(arrival.form) if arrival.form else None
        provider = usable(known, known.kind, arrival.purpose, form, now)
        if arrival.purpose is Purpose.ADMINISTRATOR or form is None:
            return arrival
        session_token = _session(tx, randomness, arrival, provider, now, session_lifetime)
    identity = mint_identity(
        signer, randomness, email=arrival.person.email, form=form.uri, method=SignInMethod.IDP, now=now,
        name=arrival.person.name, attributes=arrival.person.attributes, provider=provider,
    )  # fmt: skip
    return SignedIn(
        form=form,
        email=arrival.person.email,
        identity_token=identity,
        session_token=session_token,
        trace_id=arrival.trace_id,
    )


def _session(
    tx: Transaction,
    randomness: Randomness,
    arrival: Arrival,
    provider: IdentityProvider,
    now: datetime,
    lifetime: timedelta,
) -> str:
    token = randomness.new_token()
    tx.sessions.add(
        Session(
            digest=token_digest(token),
            email=arrival.person.email,
            method=SignInMethod.IDP,
            link=arrival.digest,
            created_at=now,
            expires_at=min(now + lifetime, arrival.session_ends or now + lifetime),
            identity_provider=provider.id,
            name=arrival.person.name,
            attributes=arrival.person.attributes,
        )
    )
    return token

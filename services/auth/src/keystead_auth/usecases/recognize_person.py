"""Sign in somebody who did so a while ago."""

from __future__ import annotations

from keystead_auth.domain.persons import KnownPerson
from keystead_auth.domain.providers import IdentityProvider
from keystead_auth.domain.sign_in import Form, Session, SignedIn
from keystead_auth.ports import IdentitySigner, Randomness, Transactions
from keystead_auth.usecases.mint_identity import mint_identity
from keystead_contracts.identity import SignInMethod
from keystead_kit.clock import Clock
from keystead_kit.secrets import token_digest


def recognize_person(
    transactions: Transactions,
    signer: IdentitySigner,
    randomness: Randomness,
    clock: Clock,
    *,
    uri: str,
    session_token: str,
) -> SignedIn | None:
    """A fresh identity token for the person of this session; None if the session is over or its person may not
    sign in to this form with what they proved."""
    now = clock.now()
    with transactions.read() as tx:
        session = tx.sessions.get(token_digest(session_token))
        form = tx.forms.get(uri)
        provider = tx.providers.get(session.identity_provider) if session and session.identity_provider else None
        persons = tx.persons.of(session.email, form.organization_ids) if session and form else []
    if session is None or now >= session.expires_at or form is None:
        return None
    if not _may_sign_in(session, form, provider, persons):
        return None
    token = mint_identity(
        signer, randomness, email=session.email, form=uri, method=session.method, now=now, name=session.name,
        attributes=session.attributes, provider=provider, persons=_still_proven(session, persons),
    )  # fmt: skip
    return SignedIn(form=form, email=session.email, identity_token=token)


def _may_sign_in(session: Session, form: Form, provider: IdentityProvider | None, persons: list[KnownPerson]) -> bool:
    if session.method is SignInMethod.SECRET_ID:
        offered = not form.withdrawn and SignInMethod.SECRET_ID in form.methods
        return offered and bool(_still_proven(session, persons))
    if session.method is SignInMethod.IDP:
        return provider is not None and provider.speaks_for(form)
    return form.may_sign_in_by_email(session.email, known=bool(persons))


def _still_proven(session: Session, persons: list[KnownPerson]) -> list[str]:
    """Ids of those whose Secret ID is the one that was given; a removed Person is not among `persons`."""
    return [
        person.id
        for person in persons
        if person.secret_id_hash is not None and session.persons.get(person.id) == token_digest(person.secret_id_hash)
    ]

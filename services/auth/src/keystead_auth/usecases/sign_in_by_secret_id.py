"""Sign a Person in by their Secret ID."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from keystead_auth.domain.administrator_errors import SecretIdWrong
from keystead_auth.domain.email import normalize
from keystead_auth.domain.errors import TooManyAttempts
from keystead_auth.domain.persons import KnownPerson, verifications
from keystead_auth.domain.sign_in import Session, SignedIn, offering
from keystead_auth.ports import Attempts, Guess, IdentitySigner, Randomness, Transactions, Whose
from keystead_auth.usecases.mint_identity import mint_identity
from keystead_contracts.identity import SignInMethod
from keystead_kit.clock import Clock
from keystead_kit.passwords import MOST_CHARACTERS, verify_password
from keystead_kit.secrets import token_digest


@dataclass(frozen=True)
class GivenSecretId:
    """What was typed, where, and from which client and browser."""

    form: str
    email: str
    secret_id: str = field(repr=False)
    client: str
    browser: str | None
    trace_id: str


def sign_in_by_secret_id(
    transactions: Transactions,
    attempts: Attempts,
    signer: IdentitySigner,
    randomness: Randomness,
    clock: Clock,
    given: GivenSecretId,
    *,
    session_lifetime: timedelta,
) -> SignedIn:
    """Starts a session for the Persons of the form's organizations whose Secret ID this is: one may be known to
    several of them, with a different Secret ID each. Does the same work for an address that nobody has.

    Raises FormUnknown, MethodNotOffered, EmailMalformed, SecretIdWrong, TooManyAttempts.
    """
    email = normalize(given.email)
    with transactions.read() as tx:
        form = offering(tx.forms.get(given.form), SignInMethod.SECRET_ID)
        persons = tx.persons.of(email, form.organization_ids)
    guess = Guess(Whose.PERSON, email, given.client, given.browser, form.uri)
    wait = attempts.secret(guess)
    if wait is not None:
        raise TooManyAttempts(wait)
    matched = _matching(persons, given.secret_id, verifications(len(form.organization_ids)))
    if not matched:
        attempts.secret_wrong(guess)
        raise SecretIdWrong
    attempts.secret_right(guess)
    session_token = randomness.new_token()
    with transactions.write() as tx:
        now = clock.now()
        tx.sessions.add(
            Session(
                digest=token_digest(session_token),
                email=email,
                method=SignInMethod.SECRET_ID,
                link=token_digest(randomness.new_token()),
                created_at=now,
                expires_at=now + session_lifetime,
                name=matched[0].name,
                persons={person.id: token_digest(person.secret_id_hash or "") for person in matched},
            )
        )
    identity = mint_identity(
        signer, randomness, email=email, form=form.uri, method=SignInMethod.SECRET_ID, now=now, name=matched[0].name,
        persons=[person.id for person in matched],
    )  # fmt: skip
    return SignedIn(
        form=form, email=email, identity_token=identity, session_token=session_token, trace_id=given.trace_id
    )


def _matching(persons: list[KnownPerson], secret_id: str, at_least: int) -> list[KnownPerson]:
    text = secret_id.strip()[: MOST_CHARACTERS * 4]
    matched = [person for person in persons if verify_password(person.secret_id_hash, text)]
    for _ in range(at_least - len(persons)):
        verify_password(None, text)
    return matched

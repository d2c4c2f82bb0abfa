"""Sign a person in by their link."""

from __future__ import annotations

from datetime import datetime, timedelta

from keystead_auth.domain.errors import LinkUnknown, LinkUsed
from keystead_auth.domain.sign_in import Link, Session, SignedIn, usable
from keystead_auth.ports import Attempts, IdentitySigner, Randomness, Transaction, Transactions
from keystead_auth.usecases.guesses import counting_guesses
from keystead_auth.usecases.mint_identity import mint_identity
from keystead_contracts.identity import SignInMethod
from keystead_kit.clock import Clock
from keystead_kit.secrets import same, token_digest


def confirm_link(
    transactions: Transactions,
    attempts: Attempts,
    signer: IdentitySigner,
    randomness: Randomness,
    clock: Clock,
    *,
    token: str,
    visit: str,
    client: str,
    session_lifetime: timedelta,
) -> SignedIn:
    """Uses the link up and starts a session with a token that nobody knew before.

    Of any number of simultaneous calls exactly one uses the link up. `visit` is this browser's visit cookie: the
    browser that used the link up may press the button again while the link has not expired (a double click, or an
    answer lost in a crash) and gets a session as long as the first, unless that one was ended meanwhile.

    Raises LinkUnknown, LinkUsed, LinkExpired, TooManyAttempts.
    """
    digest, visit_digest = token_digest(token), token_digest(visit)
    with counting_guesses(attempts, client), transactions.write() as tx:
        now = clock.now()
        won = tx.links.consume(digest, visit_digest, now)
        link = tx.links.get(digest)
        if link is not None and won:
            expires_at = now + session_lifetime
        else:
            link, expires_at = _pressed_again(tx, link, visit_digest, now)
        form = tx.forms.get(link.form)
        known = form is not None and bool(tx.persons.of(link.email, form.organization_ids))
        if form is None or not form.may_sign_in_by_email(link.email, known=known):
            raise LinkUnknown  # withdrawn, or no longer delegated, since the link was sent
        session_token = randomness.new_token()
        tx.sessions.add(
            Session(
                digest=token_digest(session_token),
                email=link.email,
                method=SignInMethod.EMAIL,
                link=link.digest,
                created_at=now,
                expires_at=expires_at,
            )
        )
    identity = mint_identity(signer, randomness, email=link.email, form=link.form, method=SignInMethod.EMAIL, now=now)
    return SignedIn(
        form=form, email=link.email, identity_token=identity, session_token=session_token, trace_id=link.trace_id
    )


def _pressed_again(tx: Transaction, link: Link | None, visit_digest: str, now: datetime) -> tuple[Link, datetime]:
    """The link that this browser used up before, and the end of the session it began. Raises LinkInvalid."""
    if link is None or link.used_by is None or not same(link.used_by, visit_digest):
        raise LinkUsed(usable(link, now).form)
    session = tx.sessions.of_link(link.digest)
    if session is None or now >= session.expires_at or now >= link.expires_at:
        raise LinkUsed(link.form)
    return link, session.expires_at

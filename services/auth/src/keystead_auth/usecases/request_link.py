"""Take in somebody's wish for a sign-in link."""

from __future__ import annotations

from dataclasses import dataclass

from keystead_auth.domain.email import normalize
from keystead_auth.domain.errors import TooManyAttempts
from keystead_auth.domain.sign_in import SignInRequest, offering
from keystead_auth.ports import Attempts, Doorbell, Randomness, Transactions
from keystead_contracts.identity import SignInMethod
from keystead_kit.clock import Clock


@dataclass(frozen=True)
class WantedLink:
    """What was typed, where, from which client address, and in which language the page was."""

    form: str
    email: str
    client: str
    trace_id: str
    language: str = ""


def request_link(
    transactions: Transactions,
    attempts: Attempts,
    doorbell: Doorbell,
    randomness: Randomness,
    clock: Clock,
    wanted: WantedLink,
) -> str:
    """Stores the request for the worker to decide, and answers the address as it was understood.

    Does the same, statement by statement, whether or not the address may enroll: who that is, only the worker looks
    up, so neither answer nor time tells. Raises FormUnknown, MethodNotOffered, EmailMalformed, TooManyAttempts.
    """
    email = normalize(wanted.email)
    wait = attempts.sign_in(wanted.client, email, wanted.form)
    if wait is not None:
        raise TooManyAttempts(wait)
    with transactions.write() as tx:
        form = offering(tx.forms.get(wanted.form), SignInMethod.EMAIL)
        tx.requests.add(
            SignInRequest(
                id=randomness.new_id(),
                form=form.uri,
                email=email,
                requested_at=clock.now(),
                requested_from=wanted.client,
                trace_id=wanted.trace_id,
                language=wanted.language,
            )
        )
    doorbell.ring()
    return email

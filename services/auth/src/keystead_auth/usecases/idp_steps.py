"""What every way through an identity provider has in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from keystead_auth.domain.errors import TooManyAttempts
from keystead_auth.domain.idp_errors import AnswerRefused
from keystead_auth.domain.providers import IdentityProvider, Purpose, usable
from keystead_auth.domain.sign_in import open_form
from keystead_auth.ports import Attempts, Transaction
from keystead_contracts.people import IdentityProviderKind
from keystead_kit.clock import Clock


@dataclass(frozen=True)
class WantedSignIn:
    """Through which provider, what for, and from which browser (its visit value) and client address."""

    provider: str
    purpose: Purpose
    form: str | None
    visit: str
    client: str
    trace_id: str


def count(attempts: Attempts, client: str) -> None:
    """Counts a beginning. Raises TooManyAttempts."""
    wait = attempts.idp_begin(client)
    if wait is not None:
        raise TooManyAttempts(wait)


def wanted_provider(
    tx: Transaction, wanted: WantedSignIn, kind: IdentityProviderKind, clock: Clock
) -> IdentityProvider:
    """The provider, if somebody can sign in through it for that.

    Raises FormUnknown, MethodNotOffered, ProviderUnknown or ProviderNotReady.
    """
    form = open_form(tx.forms.get(wanted.form or "")) if wanted.purpose is Purpose.FORM else None
    return usable(tx.providers.get(wanted.provider), kind, wanted.purpose, form, clock.now())


@contextmanager
def counting_refusals(attempts: Attempts, client: str) -> Iterator[None]:
    """Counts an AnswerRefused that the block raises. Raises TooManyAttempts, without running it, after too many."""
    wait = attempts.idp_answer(client)
    if wait is not None:
        raise TooManyAttempts(wait)
    try:
        yield
    except AnswerRefused:
        attempts.idp_refused(client)
        raise


@contextmanager
def blaming(form: str | None) -> Iterator[None]:
    """Has a refusal know the form to go back to."""
    try:
        yield
    except AnswerRefused as refusal:
        refusal.form = refusal.form or form
        raise

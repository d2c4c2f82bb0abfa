"""Show whose sign-in link this is, using nothing up."""

from __future__ import annotations

from keystead_auth.domain.errors import LinkUnknown
from keystead_auth.domain.sign_in import Form, Link, usable
from keystead_auth.ports import Attempts, Transactions
from keystead_auth.usecases.guesses import counting_guesses
from keystead_kit.clock import Clock
from keystead_kit.secrets import token_digest


def view_link(
    transactions: Transactions, attempts: Attempts, clock: Clock, *, token: str, client: str
) -> tuple[Link, Form]:
    """The link and its form; reads only, since mail scanners open links. Raises LinkInvalid, TooManyAttempts."""
    with counting_guesses(attempts, client), transactions.read() as tx:
        link = usable(tx.links.get(token_digest(token)), clock.now())
        form = tx.forms.get(link.form)
        if form is None or form.withdrawn:
            raise LinkUnknown
    return link, form

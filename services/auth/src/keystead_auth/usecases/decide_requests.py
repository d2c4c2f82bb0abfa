"""Decide who gets a sign-in link, and send it on its way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from keystead_auth.domain.sign_in import Decision, Form, Link, SignInRequest, decide
from keystead_auth.ports import Randomness, Transaction, Transactions
from keystead_contracts.events import LoginRequested
from keystead_kit.clock import Clock
from keystead_kit.secrets import token_digest

BATCH = 50
NOTIFY = "notify"


def decide_requests(
    transactions: Transactions,
    randomness: Randomness,
    clock: Clock,
    *,
    link_for: Callable[[str], str],
    lifetime: timedelta,
    limit: int = BATCH,
) -> list[Decision]:
    """Decides a batch of requests in one transaction; what became of each.

    An eligible request becomes a link row (the token's SHA-256 only) and a LoginRequested fact. `link_for` makes the
    address to send from a token. A link works for `lifetime` from the request, however long the worker was away.

    The token itself leaves this function inside the fact alone: the outbox row holds it until notify's receipt
    deletes the row, because a fact that may have to be sent again must be complete.
    """
    decisions: list[tuple[str, Decision]] = []
    with transactions.write() as tx:
        now = clock.now()
        for request in tx.requests.claim(limit):
            form = tx.forms.get(request.form)
            expires_at = request.requested_at + lifetime
            known = form is not None and bool(tx.persons.of(request.email, form.organization_ids))
            decision = decide(request, form, now, expires_at, known=known)
            decisions.append((request.id, decision))
            if decision is Decision.LINK_SENT and form is not None:
                _send_link(tx, randomness, clock, request, form, link_for, lifetime)
        tx.requests.decided(decisions, now)
    return [decision for _, decision in decisions]


def _send_link(
    tx: Transaction,
    randomness: Randomness,
    clock: Clock,
    request: SignInRequest,
    form: Form,
    link_for: Callable[[str], str],
    lifetime: timedelta,
) -> None:
    token = randomness.new_token()
    expires_at = request.requested_at + lifetime
    tx.links.add(
        Link(
            digest=token_digest(token),
            form=form.uri,
            email=request.email,
            expires_at=expires_at,
            trace_id=request.trace_id,
        )
    )
    tx.facts.record(
        LoginRequested(
            email=request.email,
            organization=form.organization,
            form_name=form.name,
            link=link_for(token),
            requested_at=request.requested_at,
            expires_at=expires_at,
            requested_from=request.requested_from,
            help_link=form.help_link,
            language=request.language,
        ),
        destination=NOTIFY,
        message_id=randomness.new_id(),
        trace_id=request.trace_id,
        now=clock.now(),
    )

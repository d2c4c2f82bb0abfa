"""Take in that somebody forgot their password, and decide who gets a link."""

from __future__ import annotations

from keystead_auth.domain.administrators import RESET_LIFETIME, Purpose, ResetRequest
from keystead_auth.domain.email import normalize
from keystead_auth.domain.errors import TooManyAttempts
from keystead_auth.ports import Attempts, Doorbell, Randomness, Transactions
from keystead_auth.usecases.invite_administrator import LinkFor, send_invitation
from keystead_contracts.people import AdministratorMethod
from keystead_kit.clock import Clock

BATCH = 50


def request_reset(
    transactions: Transactions,
    attempts: Attempts,
    doorbell: Doorbell,
    randomness: Randomness,
    clock: Clock,
    *,
    email: str,
    client: str,
    trace_id: str,
    language: str = "",
) -> str:
    """Stores the request for the worker, and answers the address as it was understood. Does the same whether or not
    an administrator has it. Raises EmailMalformed, TooManyAttempts."""
    address = normalize(email)
    wait = attempts.reset(client, address)
    if wait is not None:
        raise TooManyAttempts(wait)
    with transactions.write() as tx:
        tx.reset_requests.add(ResetRequest(randomness.new_id(), address, clock.now(), client[:64], trace_id, language))
    doorbell.ring()
    return address


def decide_resets(transactions: Transactions, randomness: Randomness, clock: Clock, *, link_for: LinkFor) -> int:
    """Sends a link to every administrator among a batch of requests; how many requests those were."""
    with transactions.write() as tx:
        now = clock.now()
        requests = tx.reset_requests.claim(BATCH)
        for request in requests:
            administrator = tx.administrators.by_email(request.email)
            if administrator is None or not administrator.may_sign_in_by(AdministratorMethod.PASSWORD):
                continue
            if now >= request.requested_at + RESET_LIFETIME:
                continue
            send_invitation(
                tx.invitations, tx.facts, randomness, administrator, Purpose.RESET, link_for=link_for, now=now,
                trace_id=request.trace_id, requested_at=request.requested_at, requested_from=request.requested_from,
                language=request.language,
            )  # fmt: skip
        tx.reset_requests.decided([request.id for request in requests], now)
    return len(requests)

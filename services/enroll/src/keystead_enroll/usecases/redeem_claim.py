"""Redeem an enrollment link: an agent shows its claim token and its own secret."""

from __future__ import annotations

from datetime import timedelta

from keystead_contracts.agent import AgentToken, ClaimRequest
from keystead_enroll.domain.refusals import ClaimInvalid
from keystead_enroll.ports import Clock, Secrets, Transactions
from keystead_kit.secrets import same, token_digest

RESUMABLE = timedelta(hours=24)


def redeem_claim(transactions: Transactions, clock: Clock, secrets: Secrets, request: ClaimRequest) -> AgentToken:
    """A bearer token for the claim's jobs.

    The first agent to ask within the link's life has it; the same agent (same secret) may ask again for 24 hours, to go
    on after a crash or when its token ends. Anyone else gets ClaimInvalid, whatever the reason.
    """
    now = clock.now()
    with transactions.write() as tx:
        claim = tx.enrollment_claim(token_digest(request.claim), lock=True)
        order = tx.order(claim.order_id, lock=True) if claim else None
        if claim is None or order is None or order.recipient != f"claim:{claim.id}":
            raise ClaimInvalid("This link is not valid any more.")
        secret = token_digest(request.agent_secret)
        if claim.agent_secret_digest is None:
            if claim.expires_at <= now or order.over:
                raise ClaimInvalid("This link is not valid any more.")
            claim.agent_secret_digest, claim.redeemed_at, claim.resumable_until = secret, now, now + RESUMABLE
            order.machine, order.agent_seen_at = request.machine.hostname, now
            tx.wake(f"order:{order.id}")
        elif not same(claim.agent_secret_digest, secret) or (claim.resumable_until or now) <= now:
            raise ClaimInvalid("This link is not valid any more.")
        organization, trace_id, recipient = tx.organization(order.organization_id).name, order.trace_id, order.recipient
    token, seconds = secrets.agent_token(recipient, now)
    return AgentToken(
        access_token=token, expires_in=seconds, recipient=recipient, organization=organization, trace_id=trace_id
    )

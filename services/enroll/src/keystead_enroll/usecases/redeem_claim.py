"""Redeem an enrollment link: an agent shows its claim token and its own secret."""

from __future__ import annotations

from datetime import timedelta

from keystead_contracts.agent import AgentToken, ClaimRequest
from keystead_enroll.domain.endorsement import EkRoots
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.domain.refusals import ClaimInvalid
from keystead_enroll.ports import Clock, Secrets, Transactions
from keystead_enroll.usecases.challenge_tpm import challenge_claim
from keystead_kit.secrets import same, token_digest

RESUMABLE = timedelta(hours=24)


def redeem_claim(
    transactions: Transactions, clock: Clock, secrets: Secrets, roots: EkRoots, request: ClaimRequest
) -> AgentToken:
    """A bearer token for the claim's jobs; with a challenge if the agent shows an attestation key, until it has made
    its key.

    The first agent to ask within the link's life has it; the same agent (same secret) may ask again for 24 hours, to go
    on after a crash or when its token ends. Anyone else gets ClaimInvalid, whatever the reason. Raises
    EvidenceRefused's kinds for an attestation key that is not what it should be.
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
        challenge = None
        if request.attestation is not None and order.state is OrderState.OFFERED:
            until = claim.resumable_until or now
            challenge = challenge_claim(tx, roots, order.organization_id, recipient, request.attestation, now, until)
    token, seconds = secrets.agent_token(recipient, now)
    return AgentToken(
        access_token=token,
        expires_in=seconds,
        recipient=recipient,
        organization=organization,
        trace_id=trace_id,
        challenge=challenge,
    )

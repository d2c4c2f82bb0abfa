"""What a transaction finds and changes of what is kept of TPMs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from keystead_enroll.adapters import attestation_tables as at
from keystead_enroll.adapters import tables as t
from keystead_enroll.adapters.administration_store import locked
from keystead_enroll.domain.attestation_state import AttestationChallenge, DeviceAttestationKey, OrderEvidence
from keystead_enroll.domain.jobs import JobState
from keystead_enroll.domain.orders import Device


class AttestationQueries:
    """See `ports.Transaction` for what each method promises."""

    session: Session

    def device_with_tpm(self, organization_id: str, ek_sha256: str) -> Device | None:
        c = t.devices.c
        query = select(Device).where(c.organization_id == organization_id, c.ek_sha256 == ek_sha256)
        return self.session.scalar(query)

    def challenge(self, challenge_id: str) -> AttestationChallenge | None:
        return self.session.scalar(locked(select(AttestationChallenge).where(at.challenges.c.id == challenge_id)))

    def open_challenges(self, recipient: str, now: datetime) -> Sequence[AttestationChallenge]:
        c = at.challenges.c
        query = select(AttestationChallenge).where(
            c.recipient == recipient, c.answered_at.is_(None), c.expires_at > now
        )
        return self.session.scalars(query.order_by(c.created_at, c.id)).all()

    def attestation_key(self, recipient: str, name: str) -> DeviceAttestationKey | None:
        c = at.keys.c
        return self.session.scalar(select(DeviceAttestationKey).where(c.recipient == recipient, c.name == name))

    def attestation_keys(self, recipient: str) -> Sequence[DeviceAttestationKey]:
        c = at.keys.c
        query = select(DeviceAttestationKey).where(c.recipient == recipient).order_by(c.activated_at.desc(), c.id)
        return self.session.scalars(query).all()

    def forget_attestation(self, recipient: str) -> None:
        for table in (at.keys, at.challenges):
            self.session.execute(delete(table).where(table.c.recipient == recipient))

    def hand_over(self, giver: str, taker: str) -> None:
        self.session.execute(update(t.orders).where(t.orders.c.recipient == giver).values(recipient=taker))
        open_jobs = (t.jobs.c.recipient == giver, t.jobs.c.state == JobState.OPEN)
        self.session.execute(update(t.jobs).where(*open_jobs).values(recipient=taker))

    def evidence_of(self, order_id: str) -> OrderEvidence | None:
        return self.session.get(OrderEvidence, order_id)

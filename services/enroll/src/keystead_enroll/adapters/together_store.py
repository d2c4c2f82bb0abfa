"""A transaction for several who ask at once: what they ask about is read at once, and what they add is written at once.

What was foreseen is locked where a single one would lock it, always in the order of ids, and is answered from memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import insert, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session, selectinload

from keystead_contracts.base import Message
from keystead_enroll.adapters import administration_tables as a
from keystead_enroll.adapters import attestation_tables as at
from keystead_enroll.adapters import tables as t
from keystead_enroll.adapters.administration_store import locked
from keystead_enroll.adapters.store import SqlTransaction, SqlTransactions
from keystead_enroll.domain.attestation_state import AttestationChallenge, DeviceAttestationKey
from keystead_enroll.domain.certificate_record import Certificate
from keystead_enroll.domain.endorsement_keys import EndorsementKey, Ruling
from keystead_enroll.domain.enrollment import CertificateProfile, EnrollmentForm, Organization
from keystead_enroll.domain.jobs import Job
from keystead_enroll.domain.orders import Device, Order
from keystead_enroll.domain.registration_tokens import RegistrationToken
from keystead_kit.clock import Clock
from keystead_kit.trace import current_trace_id

T = TypeVar("T")


class TokenFull(Exception):
    """A registration token does not register as many devices as came with it at once."""


class TogetherTransaction(SqlTransaction):
    """As `SqlTransaction`; what would be there twice raises IntegrityError, at the latest when it ends."""

    def __init__(self, session: Session, clock: Clock) -> None:
        super().__init__(session, clock)
        self._one: dict[tuple[type, str], Any] = {}
        self._lists: dict[tuple[type, str], list[Any]] = {}
        self._burned: list[dict[str, object]] = []
        self._facts: dict[str, list[tuple[Message, str]]] = {}
        self._counted: Counter[str] = Counter()

    def finish(self) -> None:
        """Writes what waits to be written; the last thing before the commit. Raises TokenFull."""
        if self._burned:
            self.session.execute(insert(t.burned), self._burned)
        for destination, facts in self._facts.items():
            self.record_many(facts, destination=destination)
        self.session.flush()
        self.find_rows()
        for token_id in sorted(self._counted):  # last, and always in this order: others wait for these rows
            if not super().count_registration(token_id, self._clock.now(), self._counted[token_id]):
                raise TokenFull(token_id)

    # What is foreseen

    def foresee_registrations(self, token_digests: Collection[str], keys: Collection[str]) -> None:
        c = t.registration_tokens.c
        tokens = self.session.scalars(select(RegistrationToken).where(c.digest.in_(token_digests))).all()
        self._keep(RegistrationToken, token_digests, ((each.digest, each) for each in tokens))
        devices = self.session.scalars(select(Device).where(t.devices.c.spki_sha256.in_(keys))).all()
        self._keep(Device, keys, ((each.spki_sha256, each) for each in devices))
        recipients = {each.recipient for each in devices}
        query = select(AttestationChallenge).where(at.challenges.c.recipient.in_(recipients))
        found = self.session.scalars(query.order_by(at.challenges.c.created_at, at.challenges.c.id)) if devices else ()
        self._keep_lists(AttestationChallenge, recipients, ((each.recipient, each) for each in found))

    def foresee_endorsements(self, fingerprints: Collection[str]) -> None:
        c = a.endorsement_keys.c
        rulings = self.session.execute(
            select(c.sha256, c.organization_id, c.ruling).where(c.sha256.in_(fingerprints))
        ).all()
        self._keep_lists(
            EndorsementKey, fingerprints, ((row.sha256, (row.organization_id, row.ruling)) for row in rulings)
        )
        devices = self.session.scalars(select(Device).where(t.devices.c.ek_sha256.in_(fingerprints))).all()
        self._keep_lists(Device, fingerprints, ((each.ek_sha256, each) for each in devices))

    def foresee_challenges(self, challenge_ids: Collection[str]) -> None:
        c = at.challenges.c
        query = locked(select(AttestationChallenge).where(c.id.in_(challenge_ids)).order_by(c.id))
        challenges = self.session.scalars(query).all()
        self._keep(AttestationChallenge, challenge_ids, ((each.id, each) for each in challenges))
        recipients = {each.recipient for each in challenges}
        self.foresee_devices([recipient.partition(":")[2] for recipient in recipients], lock=True)
        self._foresee_attestation_keys(recipients)

    def foresee_devices(self, device_ids: Collection[str], *, lock: bool = False) -> None:
        query = select(Device).where(t.devices.c.id.in_(device_ids)).order_by(t.devices.c.id)
        devices = self.session.scalars(locked(query) if lock else query).all()
        self._keep(Device, device_ids, ((each.id, each) for each in devices))

    def foresee_reports(self, job_ids: Collection[str]) -> None:
        c = t.jobs.c
        order_ids = set(self.session.scalars(select(c.order_id).where(c.id.in_(job_ids))))
        # the orders first, then their jobs: see `take_reports`
        query = locked(select(Order).where(t.orders.c.id.in_(order_ids)).order_by(t.orders.c.id))
        orders = self.session.scalars(query.options(selectinload(Order.log))).all()  # type: ignore[arg-type]
        self._keep(Order, order_ids, ((each.id, each) for each in orders))
        jobs = self.session.scalars(locked(select(Job).where(c.id.in_(job_ids)).order_by(c.sequence))).all()
        self._keep(Job, job_ids, ((each.id, each) for each in jobs))
        certificates = self.session.scalars(select(Certificate).where(t.certificates.c.order_id.in_(order_ids))).all()
        self._keep(Certificate, order_ids, ((each.order_id, each) for each in certificates))
        recipients = {each.recipient for each in jobs}
        self.foresee_devices([each.partition(":")[2] for each in recipients if each.startswith("device:")])
        self.foresee_endorsements(self._foresee_attestation_keys(recipients))

    def _foresee_attestation_keys(self, recipients: Collection[str]) -> set[str]:
        c = at.keys.c
        query = select(DeviceAttestationKey).where(c.recipient.in_(recipients))
        keys = self.session.scalars(query.order_by(c.activated_at.desc(), c.id)).all()
        self._keep_lists(DeviceAttestationKey, recipients, ((each.recipient, each) for each in keys))
        return {each.ek_sha256 for each in keys}

    def _keep(self, kind: type, names: Iterable[str], found: Iterable[tuple[str, object]]) -> None:
        self._one |= {(kind, name): None for name in names}
        self._one |= {(kind, name): each for name, each in found}

    def _keep_lists(self, kind: type, names: Iterable[str], found: Iterable[tuple[str | None, object]]) -> None:
        self._lists |= {(kind, name): [] for name in names}
        for name, each in found:
            self._lists[kind, name or ""].append(each)

    # What is answered from memory

    def organization(self, organization_id: str) -> Organization:
        return self._remembered(Organization, organization_id, super().organization)

    def profile(self, profile_id: str) -> CertificateProfile | None:
        return self._remembered(CertificateProfile, profile_id, super().profile)

    def form(self, form_id: str) -> EnrollmentForm:
        return self._remembered(EnrollmentForm, form_id, super().form)

    def _remembered(self, kind: type, name: str, find: Callable[[str], T]) -> T:
        """What many of those who ask have in common; the session itself forgets what nobody holds."""
        if (kind, name) not in self._one:
            self._one[kind, name] = find(name)
        found: T = self._one[kind, name]
        return found

    def registration_token(self, digest: str) -> RegistrationToken | None:
        known = (RegistrationToken, digest)
        return self._one[known] if known in self._one else super().registration_token(digest)

    def device_by_key(self, spki_sha256: str) -> Device | None:
        known = (Device, spki_sha256)
        return self._one[known] if known in self._one else super().device_by_key(spki_sha256)

    def device(self, device_id: str, *, lock: bool = False) -> Device | None:
        known = (Device, device_id)
        return self._one[known] if known in self._one else super().device(device_id, lock=lock)

    def device_with_tpm(self, organization_id: str, ek_sha256: str) -> Device | None:
        if (Device, ek_sha256) not in self._lists:
            return super().device_with_tpm(organization_id, ek_sha256)
        found = self._lists[Device, ek_sha256]
        return next((each for each in found if each.organization_id == organization_id), None)

    def endorsement_rulings(
        self, organization_id: str, only: Collection[str] | None = None
    ) -> Sequence[tuple[str, Ruling]]:
        if only is None or any((EndorsementKey, sha256) not in self._lists for sha256 in only):
            return super().endorsement_rulings(organization_id, only)
        found = ((sha256, *each) for sha256 in only for each in self._lists[EndorsementKey, sha256])
        return [(sha256, ruling) for sha256, whose, ruling in found if whose in (organization_id, None)]

    def challenge(self, challenge_id: str) -> AttestationChallenge | None:
        known = (AttestationChallenge, challenge_id)
        return self._one[known] if known in self._one else super().challenge(challenge_id)

    def open_challenges(self, recipient: str, now: datetime) -> Sequence[AttestationChallenge]:
        if (AttestationChallenge, recipient) not in self._lists:
            return super().open_challenges(recipient, now)
        return [each for each in self._lists[AttestationChallenge, recipient] if each.open(now)]

    def attestation_keys(self, recipient: str) -> Sequence[DeviceAttestationKey]:
        known = (DeviceAttestationKey, recipient)
        return list(self._lists[known]) if known in self._lists else super().attestation_keys(recipient)

    def attestation_key(self, recipient: str, name: str) -> DeviceAttestationKey | None:
        return next((each for each in self.attestation_keys(recipient) if each.name == name), None)

    def job(self, job_id: str, *, lock: bool = False) -> Job | None:
        return self._one[Job, job_id] if (Job, job_id) in self._one else super().job(job_id, lock=lock)

    def order(self, order_id: str, *, lock: bool = False) -> Order | None:
        return self._one[Order, order_id] if (Order, order_id) in self._one else super().order(order_id, lock=lock)

    def certificate_of(self, order_id: str) -> Certificate | None:
        known = (Certificate, order_id)
        return self._one[known] if known in self._one else super().certificate_of(order_id)

    # What is written at once

    def add(self, entity: object) -> None:
        super().add(entity)
        if isinstance(entity, Device):
            self._lists[AttestationChallenge, entity.recipient] = []
        elif isinstance(entity, AttestationChallenge):
            self._lists.setdefault((AttestationChallenge, entity.recipient), []).append(entity)
        elif isinstance(entity, DeviceAttestationKey):
            self._lists.setdefault((DeviceAttestationKey, entity.recipient), []).insert(0, entity)

    def add_first(self, entity: object) -> bool:
        self.add(entity)
        return True

    def set_first(self, entity: object, values: Mapping[str, object]) -> bool:
        for name, value in values.items():
            setattr(entity, name, value)
        return True

    def give_key(self, order: Order, spki_sha256: str) -> bool:
        order.spki_sha256 = spki_sha256
        return True

    def burn_identity(self, jti: str, now: datetime) -> bool:
        self._burned.append({"jti": jti, "at": now})
        return True

    def count_registration(self, token_id: str, now: datetime, number: int = 1) -> bool:
        self._counted[token_id] += number
        return True

    def record(self, fact: Message, *, destination: str, trace_id: str | None = None) -> None:
        self._facts.setdefault(destination, []).append((fact, trace_id or current_trace_id()))
        self.ring()


class TogetherTransactions(SqlTransactions):
    """As `SqlTransactions`, for several at once too."""

    @contextmanager
    def write_together(self) -> Iterator[TogetherTransaction]:
        """See `ports.TransactionsTogether`."""
        with self._database.write() as session:
            transaction = TogetherTransaction(session, self._clock)
            yield transaction
            transaction.finish()
        self._tell(transaction)

    @staticmethod
    def away(error: Exception) -> bool:
        """See `ports.TransactionsTogether`. What the server itself says has a code."""
        return isinstance(error, OperationalError | InterfaceError) and not getattr(error.orig, "sqlstate", None)

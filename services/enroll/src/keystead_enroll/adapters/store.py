"""Transactions on the database: the `Transaction` port on SQLAlchemy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Text, Update, and_, cast, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from keystead_contracts.base import Message
from keystead_enroll.adapters import administration_tables as a
from keystead_enroll.adapters import attestation_tables as at
from keystead_enroll.adapters import tables as t
from keystead_enroll.adapters.administration_store import AdministrationQueries, locked
from keystead_enroll.adapters.attestation_store import AttestationQueries
from keystead_enroll.adapters.bulk_store import BulkQueries
from keystead_enroll.adapters.bulk_work_store import BulkWorkQueries
from keystead_enroll.adapters.issuance_store import IssuanceQueries
from keystead_enroll.adapters.status_store import StatusQueries
from keystead_enroll.domain.certificate_record import Certificate, IssuanceIntent
from keystead_enroll.domain.enrollment import (
    CertificateProfile,
    CsrGenerationMethod,
    Department,
    EnrollmentForm,
    LicenceTerms,
    Organization,
    WebFormAccount,
)
from keystead_enroll.domain.jobs import Job, JobState
from keystead_enroll.domain.orders import (
    PRESENCE_LIFE,
    PROVIDED_TRANSITIONS,
    TRANSITIONS,
    Claim,
    Device,
    Order,
    OrderState,
)
from keystead_enroll.domain.persons import Person
from keystead_enroll.domain.visits import PortalSession
from keystead_kit.bus import Bus
from keystead_kit.clock import Clock
from keystead_kit.db import Database
from keystead_kit.secrets import new_id
from keystead_kit.trace import current_trace_id

T = TypeVar("T")
IDEMPOTENCY_KEPT = timedelta(days=2)
CHALLENGES_KEPT = timedelta(days=1)
"""After their end: an answer that comes again gets the same answer."""
_OPEN = or_(
    and_(
        t.orders.c.csr_method != CsrGenerationMethod.PROVIDED,
        t.orders.c.state.in_([state for state, steps in TRANSITIONS.items() if steps]),
    ),
    and_(
        t.orders.c.csr_method == CsrGenerationMethod.PROVIDED,
        t.orders.c.state.in_([state for state, steps in PROVIDED_TRANSITIONS.items() if steps]),
    ),
)


class SqlTransaction(
    AdministrationQueries, AttestationQueries, BulkQueries, BulkWorkQueries, IssuanceQueries, StatusQueries
):
    """One transaction; see `ports.Transaction` for what each method promises."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self.session, self._clock = session, clock
        self.rings = False
        self.topics: set[str] = set()
        self.came = []

    # What administrators set up

    def form_by_uri(self, uri_extension: str) -> EnrollmentForm | None:
        return self.session.scalar(select(EnrollmentForm).where(t.forms.c.uri_extension == uri_extension))

    def form(self, form_id: str) -> EnrollmentForm:
        return self.session.get_one(EnrollmentForm, form_id)

    def form_of(self, asked: Order | Certificate) -> EnrollmentForm | None:
        return self.form(asked.form_id) if asked.form_id else None

    def forms(self) -> Sequence[EnrollmentForm]:
        return self.session.scalars(select(EnrollmentForm).order_by(t.forms.c.name)).all()

    def accounts(self, form_id: str) -> Sequence[WebFormAccount]:
        query = select(WebFormAccount).where(t.accounts.c.form_id == form_id).order_by(t.accounts.c.name)
        return self.session.scalars(query).all()

    def account(self, account_id: str) -> WebFormAccount | None:
        return self.session.get(WebFormAccount, account_id)

    def account_with_code(self, access_code_digest: str) -> WebFormAccount | None:
        query = select(WebFormAccount).where(t.accounts.c.access_code_digest == access_code_digest)
        return self.session.scalar(query)

    def accounts_with_profile(self, profile_id: str) -> Sequence[WebFormAccount]:
        named = cast(t.accounts.c.profile_ids, Text).contains(f'"{profile_id}"', autoescape=True)
        return self.session.scalars(select(WebFormAccount).where(named).order_by(t.accounts.c.name)).all()

    def organization(self, organization_id: str) -> Organization:
        return self.session.get_one(Organization, organization_id)

    def organizations(self) -> Sequence[Organization]:
        return self.session.scalars(select(Organization).order_by(t.organizations.c.name)).all()

    def department(self, department_id: str) -> Department:
        return self.session.get_one(Department, department_id)

    def departments(self) -> Sequence[Department]:
        return self.session.scalars(select(Department).order_by(t.departments.c.name)).all()

    def profile(self, profile_id: str) -> CertificateProfile | None:
        return self.session.get(CertificateProfile, profile_id)

    def profiles(self) -> Sequence[CertificateProfile]:
        return self.session.scalars(select(CertificateProfile).order_by(t.profiles.c.name)).all()

    def licence(self) -> LicenceTerms | None:
        return self.session.scalar(select(LicenceTerms).where(t.licences.c.current.is_(True)))

    def licences(self) -> Sequence[LicenceTerms]:
        newest_first = t.licences.c.published_at.desc().nulls_last()
        return self.session.scalars(select(LicenceTerms).order_by(newest_first, t.licences.c.version.desc())).all()

    def licence_version(self, version: str) -> LicenceTerms | None:
        return self.session.get(LicenceTerms, version)

    # Visits

    def homes(self, values: Collection[str]) -> Sequence[Organization | Department]:
        wanted = {value.strip().lower() for value in values}
        found: list[Organization | Department] = []
        found += self.session.scalars(select(Organization).where(t.organizations.c.home_organization.in_(wanted)))
        found += self.session.scalars(select(Department).where(t.departments.c.home_organization.in_(wanted)))
        return found

    def persons_by_email(self, email: str) -> Sequence[Person]:
        return self.session.scalars(select(Person).where(a.persons.c.email == email.lower())).all()

    def session_of(self, digest: str, *, lock: bool = False) -> PortalSession | None:
        query = select(PortalSession).where(t.sessions.c.digest == digest)
        return self.session.scalar(locked(query) if lock else query)

    def end_session(self, session: PortalSession) -> None:
        self.session.delete(session)

    def burn_identity(self, jti: str, now: datetime) -> bool:
        try:
            with self.session.begin_nested():
                self.session.execute(insert(t.burned).values(jti=jti, at=now))
        except IntegrityError:
            return False
        return True

    def identity_burned(self, jti: str) -> bool:
        return self.session.scalar(select(t.burned.c.jti).where(t.burned.c.jti == jti)) is not None

    # Orders and certificates

    def order(self, order_id: str, *, lock: bool = False) -> Order | None:
        query = select(Order).where(t.orders.c.id == order_id)
        return self.session.scalar(locked(query) if lock else query)

    def order_of_request(self, request_digest: str) -> Order | None:
        return self.session.scalar(select(Order).where(t.orders.c.request_digest == request_digest))

    def open_orders(self, account_id: str, email: str) -> int:
        mine = (t.orders.c.account_id == account_id, t.orders.c.person_email == email)
        return self.session.scalar(select(func.count()).select_from(t.orders).where(*mine, _OPEN)) or 0

    def give_key(self, order: Order, spki_sha256: str) -> bool:
        try:
            with self.session.begin_nested():
                order.spki_sha256 = spki_sha256
        except IntegrityError:
            return False
        return True

    def orders_of(self, form_id: str, email: str) -> Sequence[Order]:
        query = select(Order).where(t.orders.c.form_id == form_id, t.orders.c.person_email == email)
        return self.session.scalars(query.order_by(t.orders.c.created_at.desc()).limit(100)).all()

    def claim_deserted_orders(self, before: datetime, limit: int) -> Sequence[Order]:
        waiting = t.orders.c.state.in_([OrderState.OFFERED, OrderState.ISSUED])
        query = select(Order).join(t.claims, t.claims.c.order_id == t.orders.c.id)
        query = query.where(waiting, t.claims.c.resumable_until <= before).order_by(t.orders.c.id).limit(limit)
        return self.session.scalars(query.with_for_update(skip_locked=True, of=t.orders)).all()

    def intent(self, order_id: str) -> IssuanceIntent | None:
        return self.session.get(IssuanceIntent, order_id)

    def certificate_of(self, order_id: str) -> Certificate | None:
        return self.session.scalar(select(Certificate).where(t.certificates.c.order_id == order_id))

    def certificate(self, certificate_id: str, *, lock: bool = False) -> Certificate | None:
        query = select(Certificate).where(t.certificates.c.id == certificate_id)
        return self.session.scalar(locked(query) if lock else query)

    def certificates_of(self, form_id: str, email: str) -> Sequence[Certificate]:
        query = select(Certificate).where(t.certificates.c.form_id == form_id, t.certificates.c.owner == email)
        return self.session.scalars(query.order_by(t.certificates.c.issued_at.desc()).limit(100)).all()

    # Agents

    def enrollment_claim(self, token_digest: str, *, lock: bool = False) -> Claim | None:
        query = select(Claim).where(t.claims.c.token_digest == token_digest)
        return self.session.scalar(locked(query) if lock else query)

    def claim_of(self, recipient: str) -> Claim | None:
        kind, _, claim_id = recipient.partition(":")
        return self.session.get(Claim, claim_id) if kind == "claim" else None

    def device(self, device_id: str, *, lock: bool = False) -> Device | None:
        if lock:
            return self.session.scalar(locked(select(Device).where(t.devices.c.id == device_id)))
        return self.session.get(Device, device_id)

    def device_by_key(self, spki_sha256: str) -> Device | None:
        return self.session.scalar(select(Device).where(t.devices.c.spki_sha256 == spki_sha256))

    def devices_of(self, email: str, organization_id: str) -> Sequence[Device]:
        c = t.devices.c
        query = select(Device).where(c.owner == email, c.organization_id == organization_id, c.same_as.is_(None))
        return self.session.scalars(query.order_by(t.devices.c.last_seen_at.desc().nulls_last(), t.devices.c.id)).all()

    def open_orders_for(self, recipient: str) -> Sequence[Order]:
        query = select(Order).where(t.orders.c.recipient == recipient, _OPEN).order_by(t.orders.c.id)
        return self.session.scalars(locked(query)).all()

    def certificates_for(self, recipient: str, limit: int) -> Sequence[Certificate]:
        query = select(Certificate).join(t.orders, t.orders.c.id == t.certificates.c.order_id)
        query = query.where(t.orders.c.recipient == recipient)
        return self.session.scalars(query.order_by(t.certificates.c.issued_at.desc()).limit(limit)).all()

    def device_streams_began(self, device_ids: Collection[str], holder: str, now: datetime) -> None:
        self.session.execute(_devices_in_turn(device_ids).values(stream_holder=holder, stream_seen_at=now))

    def device_streams_go_on(self, device_ids: Collection[str], holder: str, now: datetime) -> None:
        held_by_nobody_else = or_(
            t.devices.c.stream_holder == holder,
            t.devices.c.stream_holder.is_(None),
            t.devices.c.stream_seen_at <= now - PRESENCE_LIFE,
        )
        query = _devices_in_turn(device_ids).where(held_by_nobody_else)
        self.session.execute(query.values(stream_holder=holder, stream_seen_at=now))

    def device_streams_ended(self, device_ids: Collection[str], holder: str) -> None:
        query = _devices_in_turn(device_ids).where(t.devices.c.stream_holder == holder)
        self.session.execute(query.values(stream_holder=None))

    def job(self, job_id: str, *, lock: bool = False) -> Job | None:
        query = select(Job).where(t.jobs.c.id == job_id)
        return self.session.scalar(locked(query) if lock else query)

    def open_jobs(self, recipient: str, limit: int = 100) -> Sequence[Job]:
        query = select(Job).where(t.jobs.c.recipient == recipient, t.jobs.c.state == JobState.OPEN)
        kind, _, device_id = recipient.partition(":")
        if kind == "device":
            query = query.where(exists().where(t.devices.c.id == device_id))
        return self.session.scalars(query.order_by(t.jobs.c.sequence).limit(limit)).all()

    def open_jobs_of_each(self, recipients: Collection[str], limit: int) -> Mapping[str, Sequence[Job]]:
        c = t.jobs.c
        devices = [name.removeprefix("device:") for name in recipients if name.startswith("device:")]
        known = self.session.scalars(select(t.devices.c.id).where(t.devices.c.id.in_(devices))).all() if devices else ()
        found: dict[str, list[Job]] = {f"device:{device_id}": [] for device_id in known}
        found |= {name: [] for name in recipients if not name.startswith("device:")}
        place = func.row_number().over(partition_by=c.recipient, order_by=c.sequence).label("place")
        ranked = select(c.sequence, place).where(c.recipient.in_(found), c.state == JobState.OPEN).subquery()
        query = select(Job).join(ranked, ranked.c.sequence == c.sequence).where(ranked.c.place <= limit)
        for job in self.session.scalars(query.order_by(c.sequence)):
            found[job.recipient].append(job)
        return found

    def open_jobs_of_order(self, order_id: str) -> Sequence[Job]:
        query = select(Job).where(t.jobs.c.order_id == order_id, t.jobs.c.state == JobState.OPEN)
        return self.session.scalars(query.order_by(t.jobs.c.sequence)).all()

    # Effects

    def add(self, entity: object) -> None:
        self.session.add(entity)

    def add_first(self, entity: object) -> bool:
        try:
            with self.session.begin_nested():
                self.session.add(entity)
        except IntegrityError:
            return False
        return True

    def set_first(self, entity: object, values: Mapping[str, object]) -> bool:
        try:
            with self.session.begin_nested():
                for name, value in values.items():
                    setattr(entity, name, value)
        except IntegrityError:
            return False
        return True

    def remove(self, entity: object) -> None:
        self.session.delete(entity)

    def savepoint(self) -> AbstractContextManager[object]:
        return self.session.begin_nested()

    def flush(self) -> None:
        self.session.flush()

    def undo(self) -> None:
        self.session.rollback()
        self.rings, self.topics = False, set()

    def record(self, fact: Message, *, destination: str, trace_id: str | None = None) -> None:
        t.outbox.record(
            self.session,
            fact,
            destination=destination,
            message_id=new_id(),
            trace_id=trace_id or current_trace_id(),
            now=self._clock.now(),
        )
        self.ring()

    def ring(self) -> None:
        self.rings = True

    def wake(self, *topics: str) -> None:
        self.topics.update(topics)


def _devices_in_turn(device_ids: Collection[str]) -> Update:
    """An update of these devices that locks them in the order of their ids, as `SqlTransaction.devices` does: no two
    transactions that have several in common wait for each other."""
    rows = select(t.devices.c.id).where(t.devices.c.id.in_(device_ids)).order_by(t.devices.c.id)
    return update(t.devices).where(t.devices.c.id.in_(rows.with_for_update().scalar_subquery()))


class SqlTransactions:
    """Opens transactions, and rings and wakes after a commit."""

    def __init__(self, database: Database, bus: Bus, clock: Clock) -> None:
        self._database, self._bus, self._clock = database, bus, clock

    @contextmanager
    def write(self) -> Iterator[SqlTransaction]:
        """Committed when the block ends, rolled back when it raises."""
        with self._database.write() as session:
            transaction = SqlTransaction(session, self._clock)
            yield transaction
            transaction.find_rows()
        self._tell(transaction)

    def _tell(self, transaction: SqlTransaction) -> None:
        if transaction.topics:
            self._bus.wake(transaction.topics)
        if transaction.rings:
            self._bus.ring()

    @contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """Changes nothing."""
        with self._database.read() as session:
            yield SqlTransaction(session, self._clock)

    def prune(self, now: datetime) -> int:
        """Forgets sessions that are over, burned identity tokens past their life, whom it was told that requests wait
        which no longer do, challenges that are over, and old inbox ids."""
        with self._database.write() as session:
            session.execute(delete(t.sessions).where(t.sessions.c.expires_at < now))
            session.execute(delete(t.burned).where(t.burned.c.at < now - timedelta(hours=1)))
            session.execute(delete(a.console_sessions).where(a.console_sessions.c.expires_at < now))
            session.execute(delete(at.challenges).where(at.challenges.c.expires_at < now - CHALLENGES_KEPT))
            session.execute(delete(a.idempotency_keys).where(a.idempotency_keys.c.at < now - IDEMPOTENCY_KEPT))
            waiting = select(t.orders.c.id).where(t.orders.c.state == OrderState.AWAITING_APPROVAL)
            session.execute(delete(a.approval_notices).where(a.approval_notices.c.order_id.not_in(waiting)))
            t.inbox.prune(session, now)
        return 0

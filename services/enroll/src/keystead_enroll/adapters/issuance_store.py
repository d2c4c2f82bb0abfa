"""What issuance finds and changes, many rows with one statement: their number does not grow with the batch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, insert, literal, literal_column, select, true, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, class_mapper

from keystead_contracts.base import Message
from keystead_enroll.adapters import tables as t
from keystead_enroll.domain.certificate_record import IntentState, IssuanceIntent
from keystead_enroll.domain.issuance import IssuableOrder
from keystead_enroll.domain.orders import Order, OrderState, OrderTransition, Urgency
from keystead_enroll.domain.outcomes import IssuedCertificate, Outcome
from keystead_kit.clock import Clock
from keystead_kit.secrets import new_id

_o = t.orders.c
_LOGGED = (
    select(func.count())
    .select_from(t.transitions)
    .where(t.transitions.c.order_id == _o.id)
    .correlate(t.orders)
    .scalar_subquery()
)
_COLUMNS = (
    _o.id, _o.form_id, _o.account_id, _o.organization_id, _o.department_id, _o.profile_id, _o.certificate_type,
    _o.person_email, _o.requested_by, _o.key_algorithm, _o.term_days, _o.names, _o.recipient, _o.trace_id, _o.state,
    _o.machine, _o.csr_pem, _o.evidence, _o.assurance, _o.csr_method, _o.language, _o.scope, _LOGGED,
)  # fmt: skip
"""In the order of `IssuableOrder`."""
_ACCEPTED: ColumnElement[Any] = literal_column(f"'{OrderState.CSR_ACCEPTED.value}'")
"""Written out, so that a database sees that the index of accepted orders does."""


class IssuanceQueries:
    """See `ports.Transaction` for what each method promises."""

    session: Session
    _clock: Clock
    rings: bool

    def claim_accepted_orders(self, limit: int) -> Sequence[IssuableOrder]:
        found: list[IssuableOrder] = []
        for urgency in sorted(Urgency):
            if len(found) < limit:
                found += self._claim_accepted(urgency, limit - len(found))
        return found

    def _claim_accepted(self, urgency: Urgency, limit: int) -> list[IssuableOrder]:
        waiting = self._who_waits(urgency)
        if not waiting:
            return []
        share = -(-limit // len(waiting))
        if len(waiting) == 1:
            query = _oldest(urgency, literal(waiting[0]), select(*_COLUMNS), limit).with_for_update(skip_locked=True)
        else:
            query = self._shared(urgency, waiting, share).limit(limit)
        return _issuable(self.session.execute(query))

    def _who_waits(self, urgency: Urgency) -> Sequence[str]:
        """The organizations of waiting orders: by jumps from one to the next in the index, however many orders wait."""
        fitting = (_o.state == _ACCEPTED, _o.urgency == urgency)
        first = select(func.min(_o.organization_id).label("id")).where(*fitting)
        jumps = first.cte("waiting", recursive=True)
        following = select(func.min(_o.organization_id)).where(*fitting, _o.organization_id > jumps.c.id)
        jumps = jumps.union_all(select(following.correlate(jumps).scalar_subquery()).where(jumps.c.id.is_not(None)))
        return self.session.scalars(select(jumps.c.id).where(jumps.c.id.is_not(None))).all()

    def _shared(self, urgency: Urgency, waiting: Sequence[str], share: int) -> Select[Any]:
        """The oldest `share` orders of each organization, the oldest of all first."""
        place, inner = t.organizations, t.orders.alias("waiting_orders")
        theirs = _oldest(urgency, place.c.id, select(inner.c.id), share, inner).correlate(place)
        query = select(*_COLUMNS).select_from(place)
        if self._on_sqlite:  # one writer at a time: nothing to lock, and no LATERAL
            query = query.join(t.orders, _o.id.in_(theirs))
        else:
            taken = theirs.with_for_update(skip_locked=True).lateral("taken")
            query = query.join(taken, true()).join(t.orders, _o.id == taken.c.id)
        return query.where(place.c.id.in_(waiting)).order_by(_o.state_at)

    def claim_stale_intents(self, now: datetime, limit: int) -> Sequence[IssuanceIntent]:
        query = select(IssuanceIntent).where(t.intents.c.state == IntentState.INTENDED, t.intents.c.leased_until <= now)
        query = query.order_by(t.intents.c.order_id)  # always the same, so that no two workers wait for each other
        return self.session.scalars(query.limit(limit).with_for_update(skip_locked=True)).all()

    def orders_to_store(self, order_ids: Iterable[str]) -> Sequence[IssuableOrder]:
        query = select(*_COLUMNS).join(t.intents, t.intents.c.order_id == _o.id)
        query = query.where(
            _o.id.in_(order_ids), _o.state == OrderState.SIGNING, t.intents.c.state == IntentState.INTENDED
        )
        rows = self.session.execute(query.order_by(_o.id).with_for_update(of=t.orders))
        return _issuable(rows)

    def log_transitions(self, lines: Sequence[OrderTransition]) -> None:
        for (target, at), same in groupby(lines, lambda line: (line.target, line.at)):
            ids = [line.order_id for line in same]
            self.session.execute(update(t.orders).where(_o.id.in_(ids)).values(state=target, state_at=at))
        self.add_many(lines)

    def settle_intents(self, order_ids: Iterable[str], state: IntentState) -> None:
        self.session.execute(update(t.intents).where(t.intents.c.order_id.in_(order_ids)).values(state=state))

    def add_orders(self, orders: Sequence[Order]) -> Collection[str]:
        names = [column.key for column in t.orders.c]
        rows = [{name: getattr(order, name) for name in names} for order in orders]
        insert_any = sqlite.insert if self._on_sqlite else postgresql.insert
        query = insert_any(t.orders).on_conflict_do_nothing(index_elements=["spki_sha256"]).returning(_o.id)
        new = set(self.session.scalars(query, rows))
        self.add_many(line for order in orders if order.id in new for line in order.log)
        return new

    def outcomes(self, order_ids: Collection[str]) -> Sequence[Outcome]:
        c = t.certificates.c
        asked = (_o.id, _o.state, _o.failure_code, _o.failure_reason, _o.failure_advice)
        issued = (c.id, c.serial, c.der, c.chain_pem, c.root_pem, c.not_before, c.not_after)
        query = select(*asked, *issued).outerjoin(t.certificates, c.order_id == _o.id).where(_o.id.in_(order_ids))
        return [_outcome(row) for row in self.session.execute(query)]

    @property
    def _on_sqlite(self) -> bool:
        return self.session.get_bind().dialect.name == "sqlite"

    def add_many(self, entities: Iterable[object]) -> None:
        rows: dict[type[object], list[Mapping[str, Any]]] = {}
        for entity in entities:
            rows.setdefault(type(entity), []).append(vars(entity))
        for kind, values in rows.items():
            table: Any = class_mapper(kind).local_table
            names = [column.key for column in table.c if column.autoincrement is not True]
            self.session.execute(insert(table), [{name: value[name] for name in names} for value in values])

    def record_many(self, facts: Sequence[tuple[Message, str]], *, destination: str) -> None:
        t.outbox.record_many(self.session, facts, destination=destination, new_id=new_id, now=self._clock.now())
        if facts:
            self.rings = True


def _issuable(rows: Iterable[Any]) -> list[IssuableOrder]:
    return [IssuableOrder(*row) for row in rows]


def _outcome(row: Any) -> Outcome:
    issued = row[5:]
    return Outcome(*row[:5], IssuedCertificate(*issued) if issued[0] is not None else None)


def _oldest(
    urgency: Urgency, organization: ColumnElement[str], query: Select[Any], limit: int, table: Any = t.orders
) -> Select[Any]:
    c = table.c
    waiting = and_(c.state == _ACCEPTED, c.urgency == urgency, c.organization_id == organization)
    return query.where(waiting).order_by(c.state_at).limit(limit)

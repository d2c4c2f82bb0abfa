"""What issuance finds and changes, many rows with one statement: their number does not grow with the batch.

The statements are made once, at import: to make them for each batch would be a large part of a small batch's cost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Insert,
    Integer,
    Select,
    and_,
    bindparam,
    func,
    insert,
    literal,
    literal_column,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
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
    _o.machine, _o.csr_pem, _o.evidence, _o.assurance, _o.csr_method, _o.language, _o.scope,
    _LOGGED,
)  # fmt: skip
"""In the order of `IssuableOrder`."""
_ACCEPTED: ColumnElement[Any] = literal_column(f"'{OrderState.CSR_ACCEPTED.value}'")
"""Written out, so that a database sees that the index of accepted orders does."""


def _several(name: str) -> BindParameter[Any]:
    return bindparam(name, expanding=True)


def _jumps(urgency: Urgency) -> Select[Any]:
    """The organizations of waiting orders: by jumps from one to the next in the index, however many orders wait."""
    fitting = (_o.state == _ACCEPTED, _o.urgency == urgency)
    jumps = select(func.min(_o.organization_id).label("id")).where(*fitting).cte(f"waiting_{urgency}", recursive=True)
    following = select(func.min(_o.organization_id)).where(*fitting, _o.organization_id > jumps.c.id)
    jumps = jumps.union_all(select(following.correlate(jumps).scalar_subquery()).where(jumps.c.id.is_not(None)))
    return select(literal(urgency.value), jumps.c.id).where(jumps.c.id.is_not(None))


def _oldest(query: Select[Any], organization: ColumnElement[str], table: Any) -> Select[Any]:
    c = table.c
    waiting = and_(c.state == _ACCEPTED, c.urgency == bindparam("urgency"), c.organization_id == organization)
    return query.where(waiting).order_by(c.state_at).limit(bindparam("share", type_=Integer))


def _shared(*, on_sqlite: bool) -> Select[Any]:
    """The oldest orders of each of several organizations, the oldest of all first."""
    place, inner = t.organizations, t.orders.alias("waiting_orders")
    theirs = _oldest(select(inner.c.id), place.c.id, inner).correlate(place)
    query = select(*_COLUMNS).select_from(place)
    if on_sqlite:  # one writer at a time: nothing to lock, and no LATERAL
        query = query.join(t.orders, _o.id.in_(theirs))
    else:
        taken = theirs.with_for_update(skip_locked=True).lateral("taken")
        query = query.join(taken, true()).join(t.orders, _o.id == taken.c.id)
    query = query.where(place.c.id.in_(_several("organizations")))
    return query.order_by(_o.state_at).limit(bindparam("most", type_=Integer))


_WHO_WAITS = union_all(*(_jumps(urgency) for urgency in sorted(Urgency)))
_OF_ONE = _oldest(select(*_COLUMNS), bindparam("organization"), t.orders).with_for_update(skip_locked=True)
_OF_SEVERAL = {on_sqlite: _shared(on_sqlite=on_sqlite) for on_sqlite in (True, False)}
_TO_STORE = (
    select(*_COLUMNS)
    .join(t.intents, t.intents.c.order_id == _o.id)
    .where(_o.id.in_(_several("ids")), _o.state == OrderState.SIGNING, t.intents.c.state == IntentState.INTENDED)
    .order_by(_o.id)
    .with_for_update(of=t.orders)
)
_MOVE = (
    update(t.orders)
    .where(_o.id.in_(_several("ids")))
    .values(state=bindparam("target", type_=_o.state.type), state_at=bindparam("moment", type_=_o.state_at.type))
)
_SETTLE = (
    update(t.intents)
    .where(t.intents.c.order_id.in_(_several("ids")))
    .values(state=bindparam("target", type_=t.intents.c.state.type))
)
_STALE = (
    select(IssuanceIntent)
    .where(t.intents.c.state == IntentState.INTENDED, t.intents.c.leased_until <= bindparam("now"))
    .order_by(t.intents.c.order_id)  # always the same, so that no two workers wait for each other
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_c = t.certificates.c
_OUTCOMES = (
    select(_o.id, _o.state, _o.failure_code, _o.failure_reason, _o.failure_advice)
    .add_columns(_c.id, _c.serial, _c.der, _c.chain_pem, _c.root_pem, _c.not_before, _c.not_after)
    .outerjoin(t.certificates, _c.order_id == _o.id)
    .where(_o.id.in_(_several("ids")))
)
_ORDER_COLUMNS = [column.key for column in t.orders.c]
_NEW_ORDERS = {
    on_sqlite: insert_any(t.orders).on_conflict_do_nothing(index_elements=["spki_sha256"]).returning(_o.id)
    for on_sqlite, insert_any in ((True, sqlite.insert), (False, postgresql.insert))
}


class IssuanceQueries:
    """See `ports.Transaction` for what each method promises."""

    session: Session
    _clock: Clock
    rings: bool

    def claim_accepted_orders(self, limit: int) -> Sequence[IssuableOrder]:
        found: list[IssuableOrder] = []
        who = self._connection.execute(_WHO_WAITS).all()
        for urgency in sorted(Urgency):
            waiting = [organization for value, organization in who if value == urgency.value]
            left = limit - len(found)
            if waiting and left > 0:
                found += self._claim_accepted(urgency, waiting, left)
        return found

    def _claim_accepted(self, urgency: Urgency, waiting: Sequence[str], limit: int) -> list[IssuableOrder]:
        if len(waiting) == 1:
            return self._issuable(_OF_ONE, urgency=urgency, organization=waiting[0], share=limit)
        share = -(-limit // len(waiting))
        query = _OF_SEVERAL[self._on_sqlite]
        return self._issuable(query, urgency=urgency, organizations=waiting, share=share, most=limit)

    def claim_stale_intents(self, now: datetime, limit: int) -> Sequence[IssuanceIntent]:
        return self.session.scalars(_STALE, {"now": now, "most": limit}).all()

    def orders_to_store(self, order_ids: Iterable[str]) -> Sequence[IssuableOrder]:
        return self._issuable(_TO_STORE, ids=list(order_ids))

    def log_transitions(self, lines: Sequence[OrderTransition]) -> None:
        for (target, at), same in groupby(lines, lambda line: (line.target, line.at)):
            ids = [line.order_id for line in same]
            self._connection.execute(_MOVE, {"ids": ids, "target": target, "moment": at})
        self.add_many(lines)

    def settle_intents(self, order_ids: Iterable[str], state: IntentState) -> None:
        self._connection.execute(_SETTLE, {"ids": list(order_ids), "target": state})

    def add_orders(self, orders: Sequence[Order]) -> Collection[str]:
        rows = [{name: getattr(order, name) for name in _ORDER_COLUMNS} for order in orders]
        new = set(self.session.scalars(_NEW_ORDERS[self._on_sqlite], rows))
        self.add_many(line for order in orders if order.id in new for line in order.log)
        return new

    def outcomes(self, order_ids: Collection[str]) -> Sequence[Outcome]:
        return [_outcome(row) for row in self._connection.execute(_OUTCOMES, {"ids": list(order_ids)})]

    def add_many(self, entities: Iterable[object]) -> None:
        rows: dict[type[object], list[Mapping[str, Any]]] = {}
        for entity in entities:
            rows.setdefault(type(entity), []).append(vars(entity))
        for kind, values in rows.items():
            same: Any = kind
            statement, names = _insert(same)
            self._connection.execute(statement, [{name: value[name] for name in names} for value in values])

    def record_many(self, facts: Sequence[tuple[Message, str]], *, destination: str) -> None:
        t.outbox.record_many(self.session, facts, destination=destination, new_id=new_id, now=self._clock.now())
        if facts:
            self.rings = True

    def _issuable(self, query: Select[Any], **values: Any) -> list[IssuableOrder]:
        rows: Iterable[Any] = self._connection.execute(query, values)
        return [IssuableOrder(*row) for row in rows]

    @property
    def _connection(self) -> Connection:
        return self.session.connection()

    @property
    def _on_sqlite(self) -> bool:
        return self.session.get_bind().dialect.name == "sqlite"


@cache
def _insert(kind: Any) -> tuple[Insert, list[str]]:
    table: Any = class_mapper(kind).local_table
    return insert(table), [column.key for column in table.c if column.autoincrement is not True]


def _outcome(row: Any) -> Outcome:
    order_id, state, code, reason, advice, *issued = row
    certificate = IssuedCertificate(*issued) if issued[0] is not None else None
    return Outcome(order_id, state, code, reason, advice, certificate)

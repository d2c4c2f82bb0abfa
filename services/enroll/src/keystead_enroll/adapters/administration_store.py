"""The part of a transaction that administrators' verbs use: lists, things by id, people, tokens, sessions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, delete, exists, insert, literal, not_, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, class_mapper

from keystead_enroll.adapters import administration_tables as a
from keystead_enroll.adapters import figures, listing
from keystead_enroll.adapters import tables as t
from keystead_enroll.adapters.form_names import other_called
from keystead_enroll.adapters.listed import LISTED, contains
from keystead_enroll.domain.administration import Administrator, ApiToken, ConsoleSession, Role, Scope
from keystead_enroll.domain.administration_refusals import KeyReused
from keystead_enroll.domain.endorsement_keys import EndorsementKey, Ruling
from keystead_enroll.domain.figures import Figures
from keystead_enroll.domain.identity_providers import IdentityProvider
from keystead_enroll.domain.lists import ORDERS
from keystead_enroll.domain.orders import Order, OrderState
from keystead_enroll.domain.persons import Person
from keystead_enroll.domain.registration_tokens import RegistrationToken
from keystead_enroll.domain.search import ListDefinition, Page, PageWanted, Search
from keystead_kit.clock import Clock

T = TypeVar("T")
_WAITING = t.orders.c.state == OrderState.AWAITING_APPROVAL


def locked(query: Select[T]) -> Select[T]:
    """`query` with its rows locked and read anew, even if this transaction has read them before."""
    return query.with_for_update().execution_options(populate_existing=True)


def _untold(administrator_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Of orders: that the administrator was not told of it."""
    n = a.approval_notices.c
    return not_(exists().where(n.administrator_id == administrator_id, n.order_id == t.orders.c.id))


class AdministrationQueries:
    """See `ports.Transaction` for what each method promises."""

    session: Session
    _clock: Clock

    def figures(self, scope: Scope, now: datetime) -> Figures:
        return figures.read_figures(self.session, scope, now)

    def page(self, definition: ListDefinition[T], scope: Scope, wanted: PageWanted) -> Page[T]:
        return listing.read_page(self.session, definition, scope, wanted, self._clock.now())

    def count(self, definition: ListDefinition[Any], scope: Scope, search: Search) -> int:
        return listing.count(self.session, definition, scope, search, self._clock.now())

    def in_reach(self, definition: ListDefinition[T], scope: Scope, entity_id: str) -> T | None:
        return listing.in_reach(self.session, definition, scope, entity_id)

    def get(self, entity: type[T], entity_id: str) -> T | None:
        return self.session.get(entity, entity_id)

    def named(self, entity: type[object], name: str, *, but: str = "") -> bool:
        table = class_mapper(entity).local_table
        query = select(table.c.id).where(table.c.name == name, table.c.id != but).limit(1)
        return self.session.scalar(query) is not None

    def form_called(self, name: str, organization_ids: Collection[str], *, but: str = "") -> bool:
        return bool(self.session.scalar(select(other_called(name, organization_ids, but))))

    def remove_unused(self, entity: object) -> bool:
        try:
            with self.session.begin_nested():
                self.session.delete(entity)
        except IntegrityError:
            return False
        return True

    def earlier(self, actor_id: str, key: str, request_digest: str, fresh_id: str, now: datetime) -> str | None:
        table = a.idempotency_keys
        values = {"actor_id": actor_id, "key": key, "request_digest": request_digest, "target_id": fresh_id, "at": now}
        try:
            with self.session.begin_nested():
                self.session.execute(insert(table).values(values))
        except IntegrityError:
            query = select(table).where(table.c.actor_id == actor_id, table.c.key == key)
            row = self.session.execute(query).one()
            if row.request_digest != request_digest:
                raise KeyReused("This Idempotency-Key came before, with another request.") from None
            return str(row.target_id)
        return None

    def administrator_by_email(self, email: str) -> Administrator | None:
        return self.session.scalar(select(Administrator).where(a.administrators.c.email == email))

    def lock_administrator(self, administrator_id: str) -> None:
        query = select(a.administrators.c.id).where(a.administrators.c.id == administrator_id)
        self.session.execute(query.with_for_update())

    def active_masters(self) -> Sequence[Administrator]:
        master = contains(a.administrators.c.grants, f'"role": "{Role.MRAO}"')
        query = select(Administrator).where(a.administrators.c.active.is_(True), master)
        return self.session.scalars(locked(query.order_by(a.administrators.c.id))).all()

    def claim_approvers(self, before: datetime) -> Sequence[Administrator]:
        c = a.administrators.c
        due = or_(c.approvals_told_at.is_(None), c.approvals_told_at <= before)
        query = (
            select(Administrator).where(c.active.is_(True), due, exists().where(_WAITING, _untold(c.id))).order_by(c.id)
        )
        return self.session.scalars(query.with_for_update(skip_locked=True)).all()

    def untold_requests(self, administrator: Administrator, limit: int) -> Sequence[Order]:
        theirs = LISTED[ORDERS.name].scope(administrator.scope)
        query = select(Order).where(_WAITING, theirs, _untold(literal(administrator.id)))
        return self.session.scalars(query.order_by(t.orders.c.state_at, t.orders.c.id).limit(limit)).all()

    def note_told(self, administrator: Administrator, orders: Sequence[Order], now: datetime) -> None:
        rows = [{"administrator_id": administrator.id, "order_id": order.id, "at": now} for order in orders]
        self.session.execute(insert(a.approval_notices), rows)

    def identity_providers(self) -> Sequence[IdentityProvider]:
        return self.session.scalars(select(IdentityProvider).order_by(a.identity_providers.c.name)).all()

    def persons_with(self, organization_id: str, emails: Collection[str]) -> Sequence[Person]:
        query = select(Person).where(a.persons.c.organization_id == organization_id, a.persons.c.email.in_(emails))
        return self.session.scalars(query).all()

    def endorsement_rulings(
        self, organization_id: str, only: Collection[str] | None = None
    ) -> Sequence[tuple[str, Ruling]]:
        c = a.endorsement_keys.c
        query = select(c.sha256, c.ruling).where(or_(c.organization_id == organization_id, c.organization_id.is_(None)))
        if only is not None:
            query = query.where(c.sha256.in_(only))
        return [(row.sha256, row.ruling) for row in self.session.execute(query)]

    def endorsement_keys_with(self, fingerprints: Collection[str]) -> Sequence[EndorsementKey]:
        query = select(EndorsementKey).where(a.endorsement_keys.c.sha256.in_(fingerprints))
        return self.session.scalars(query).all()

    def registration_token(self, digest: str) -> RegistrationToken | None:
        return self.session.scalar(select(RegistrationToken).where(t.registration_tokens.c.digest == digest))

    def registration_tokens(self) -> Sequence[RegistrationToken]:
        return self.session.scalars(select(RegistrationToken)).all()

    def count_registration(self, token_id: str, now: datetime, number: int = 1) -> bool:
        c = t.registration_tokens.c
        room = or_(c.most_devices.is_(None), c.uses + number <= c.most_devices)
        lives = and_(c.revoked_at.is_(None), or_(c.expires_at.is_(None), c.expires_at > now))
        counted = update(t.registration_tokens).where(c.id == token_id, lives, room).values(uses=c.uses + number)
        return self.session.execute(counted.returning(c.id)).scalar() is not None

    def forget_registration(self, token_id: str) -> None:
        c = t.registration_tokens.c
        self.session.execute(update(t.registration_tokens).where(c.id == token_id, c.uses > 0).values(uses=c.uses - 1))

    def tokens_of(self, administrator_id: str) -> Sequence[ApiToken]:
        query = select(ApiToken).where(a.api_tokens.c.administrator_id == administrator_id)
        return self.session.scalars(query.order_by(a.api_tokens.c.created_at.desc(), a.api_tokens.c.id)).all()

    def end_console_sessions(self, administrator_id: str, before: datetime | None = None) -> None:
        query = delete(a.console_sessions).where(a.console_sessions.c.administrator_id == administrator_id)
        self.session.execute(query if before is None else query.where(a.console_sessions.c.created_at <= before))

    def end_console_sessions_of(self, administrator_id: str, sign_in: str) -> None:
        c = a.console_sessions.c
        theirs = delete(a.console_sessions).where(c.administrator_id == administrator_id, c.sign_in == sign_in)
        self.session.execute(theirs)

    def api_tokens(self, digests: Collection[str]) -> Sequence[ApiToken]:
        if not digests:
            return []
        query = select(ApiToken).where(a.api_tokens.c.digest.in_(digests)).order_by(a.api_tokens.c.id)
        return self.session.scalars(query).all()

    def administrators(self, ids: Collection[str]) -> Sequence[Administrator]:
        if not ids:
            return []
        return self.session.scalars(select(Administrator).where(a.administrators.c.id.in_(ids))).all()

    def console_session(self, digest: str) -> ConsoleSession | None:
        return self.session.get(ConsoleSession, digest)

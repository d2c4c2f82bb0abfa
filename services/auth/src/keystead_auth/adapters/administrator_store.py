"""The ports of administrators' sign-in on a SQL database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session as Connection

from keystead_auth.adapters import tables
from keystead_auth.adapters.changes import rows_changed
from keystead_auth.domain.administrators import (
    Administrator,
    AdministratorSession,
    HalfSession,
    Invitation,
    Purpose,
    ResetRequest,
    Step,
)
from keystead_auth.domain.browsers import LONGEST_USER_AGENT
from keystead_contracts.people import AdministratorMethod

_OWN = {"password_hash", "totp_secret", "totp_step"}


class SqlAdministrators:
    """`ports.Administrators`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, id: str, *, lock: bool = False) -> Administrator | None:
        """See the port."""
        table = tables.administrators
        query = select(table).where(table.c.id == id)
        row = self._connection.execute(query.with_for_update() if lock else query).one_or_none()
        return None if row is None else _administrator(row)

    def by_email(self, email: str) -> Administrator | None:
        """See the port. Of several records the newest stands."""
        table = tables.administrators
        row = self._connection.execute(
            select(table)
            .where(table.c.email == email, table.c.active.is_(True))
            .order_by(table.c.version.desc(), table.c.id)
            .limit(1)
        ).one_or_none()
        return None if row is None else _administrator(row)

    def put(self, administrator: Administrator) -> None:
        """See the port."""
        table = tables.administrators
        values = asdict(administrator) | {"methods": [method.value for method in administrator.methods]}
        published = {name: value for name, value in values.items() if name not in _OWN}
        if not rows_changed(self._connection, update(table).where(table.c.id == administrator.id).values(published)):
            self._connection.execute(insert(table).values(published))

    def set_password(self, id: str, password_hash: str) -> None:
        """See the port."""
        table = tables.administrators
        self._connection.execute(update(table).where(table.c.id == id).values(password_hash=password_hash))

    def set_authenticator(self, id: str, totp_secret: str | None, step: int | None) -> None:
        """See the port."""
        table = tables.administrators
        self._connection.execute(update(table).where(table.c.id == id).values(totp_secret=totp_secret, totp_step=step))

    def accept_step(self, id: str, step: int) -> bool:
        """See the port."""
        table = tables.administrators
        later = or_(table.c.totp_step.is_(None), table.c.totp_step < step)
        return rows_changed(self._connection, update(table).where(table.c.id == id, later).values(totp_step=step)) == 1


def _administrator(row: Row[Any]) -> Administrator:
    values = {each.name: getattr(row, each.name) for each in fields(Administrator)}
    known = {method.value for method in AdministratorMethod}
    methods = tuple(AdministratorMethod(method) for method in row.methods if method in known)
    return Administrator(**values | {"methods": methods})


class SqlRecoveryCodes:
    """`ports.RecoveryCodes`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def replace(self, administrator: str, digests: Sequence[str]) -> None:
        """See the port."""
        table = tables.recovery_codes
        self._connection.execute(delete(table).where(table.c.administrator == administrator))
        if digests:
            rows = [{"administrator": administrator, "digest": digest} for digest in digests]
            self._connection.execute(insert(table), rows)

    def use(self, administrator: str, digest: str, now: datetime) -> bool:
        """See the port."""
        table = tables.recovery_codes
        unused = update(table).where(
            table.c.administrator == administrator, table.c.digest == digest, table.c.used_at.is_(None)
        )
        return rows_changed(self._connection, unused.values(used_at=now)) == 1

    def left(self, administrator: str) -> int:
        """See the port."""
        table = tables.recovery_codes
        return self._connection.execute(
            select(func.count()).where(table.c.administrator == administrator, table.c.used_at.is_(None))
        ).scalar_one()


class SqlInvitations:
    """`ports.Invitations`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, invitation: Invitation) -> None:
        """See the port."""
        values = asdict(invitation) | {"purpose": invitation.purpose.value}
        self._connection.execute(insert(tables.invitations).values(values))

    def get(self, digest: str) -> Invitation | None:
        """See the port."""
        table = tables.invitations
        row = self._connection.execute(select(table).where(table.c.digest == digest)).one_or_none()
        if row is None:
            return None
        return Invitation(row.digest, row.administrator, Purpose(row.purpose), row.expires_at, row.used_at)

    def consume(self, digest: str, now: datetime) -> bool:
        """See the port."""
        table = tables.invitations
        unused = update(table).where(table.c.digest == digest, table.c.used_at.is_(None), table.c.expires_at > now)
        return rows_changed(self._connection, unused.values(used_at=now)) == 1

    def end(self, administrator: str) -> None:
        """See the port."""
        table = tables.invitations
        self._connection.execute(delete(table).where(table.c.administrator == administrator, table.c.used_at.is_(None)))

    def prune(self, before: datetime) -> int:
        """See the port."""
        table = tables.invitations
        return rows_changed(self._connection, delete(table).where(table.c.expires_at < before))


class SqlAdministratorSessions:
    """`ports.AdministratorSessions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, session: AdministratorSession) -> None:
        """See the port."""
        values = asdict(session) | {"method": session.method.value}
        self._connection.execute(insert(tables.administrator_sessions).values(values))

    def get(self, digest: str) -> AdministratorSession | None:
        """See the port."""
        table = tables.administrator_sessions
        row = self._connection.execute(select(table).where(table.c.digest == digest)).one_or_none()
        return None if row is None else _session(row)

    def of(self, administrator: str) -> list[AdministratorSession]:
        """See the port."""
        table = tables.administrator_sessions
        theirs = select(table).where(table.c.administrator == administrator)
        return [_session(row) for row in self._connection.execute(theirs.order_by(table.c.seen_at.desc(), table.c.id))]

    def came_from(self, digest: str, address: str, user_agent: str) -> None:
        """See the port."""
        table = tables.administrator_sessions
        query = update(table).where(table.c.digest == digest)
        self._connection.execute(query.values(address=address[:64], user_agent=user_agent[:LONGEST_USER_AGENT]))

    def seen_at_console(self, administrator: str, id: str, at: datetime) -> None:
        """See the port."""
        table = tables.administrator_sessions
        theirs = table.c.administrator == administrator, table.c.id == id, table.c.seen_at < at
        self._connection.execute(update(table).where(*theirs).values(seen_at=at))

    def seen(self, digest: str, now: datetime) -> None:
        """See the port."""
        table = tables.administrator_sessions
        self._connection.execute(update(table).where(table.c.digest == digest).values(seen_at=now))

    def end(self, digest: str) -> None:
        """See the port."""
        table = tables.administrator_sessions
        self._connection.execute(delete(table).where(table.c.digest == digest))

    def end_one(self, administrator: str, id: str) -> bool:
        """See the port."""
        table = tables.administrator_sessions
        theirs = delete(table).where(table.c.administrator == administrator, table.c.id == id)
        return rows_changed(self._connection, theirs) > 0

    def end_all(self, administrator: str) -> None:
        """See the port."""
        table = tables.administrator_sessions
        self._connection.execute(delete(table).where(table.c.administrator == administrator))

    def prune(self, before: datetime) -> int:
        """See the port."""
        table = tables.administrator_sessions
        return rows_changed(self._connection, delete(table).where(table.c.expires_at < before))


def _session(row: Row[Any]) -> AdministratorSession:
    values = {each.name: getattr(row, each.name) for each in fields(AdministratorSession)}
    return AdministratorSession(**values | {"method": AdministratorMethod(row.method)})


class SqlHalfSessions:
    """`ports.HalfSessions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, half: HalfSession) -> None:
        """See the port."""
        self._connection.execute(insert(tables.half_sessions).values(asdict(half) | {"step": half.step.value}))

    def get(self, digest: str) -> HalfSession | None:
        """See the port."""
        table = tables.half_sessions
        row = self._connection.execute(select(table).where(table.c.digest == digest)).one_or_none()
        if row is None:
            return None
        return HalfSession(row.digest, row.administrator, Step(row.step), row.expires_at, row.totp_secret)

    def take(self, digest: str) -> bool:
        """See the port."""
        table = tables.half_sessions
        return rows_changed(self._connection, delete(table).where(table.c.digest == digest)) == 1

    def end_all(self, administrator: str) -> None:
        """See the port."""
        table = tables.half_sessions
        self._connection.execute(delete(table).where(table.c.administrator == administrator))

    def prune(self, before: datetime) -> int:
        """See the port."""
        table = tables.half_sessions
        return rows_changed(self._connection, delete(table).where(table.c.expires_at < before))


class SqlResetRequests:
    """`ports.ResetRequests`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, request: ResetRequest) -> None:
        """See the port."""
        self._connection.execute(insert(tables.reset_requests).values(asdict(request)))

    def claim(self, limit: int) -> list[ResetRequest]:
        """See the port."""
        table = tables.reset_requests
        rows = self._connection.execute(
            select(table)
            .where(table.c.decided_at.is_(None))
            .order_by(table.c.requested_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [
            ResetRequest(row.id, row.email, row.requested_at, row.requested_from, row.trace_id, row.language)
            for row in rows
        ]

    def decided(self, ids: Sequence[str], now: datetime) -> None:
        """See the port."""
        table = tables.reset_requests
        self._connection.execute(update(table).where(table.c.id.in_(ids)).values(decided_at=now))

    def prune(self, before: datetime) -> int:
        """See the port."""
        table = tables.reset_requests
        return rows_changed(self._connection, delete(table).where(table.c.requested_at < before))

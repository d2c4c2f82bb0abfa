"""auth's ports on a SQL database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.orm import Session as Connection

from keystead_auth.adapters import tables
from keystead_auth.adapters.administrator_store import (
    SqlAdministrators,
    SqlAdministratorSessions,
    SqlHalfSessions,
    SqlInvitations,
    SqlRecoveryCodes,
    SqlResetRequests,
)
from keystead_auth.adapters.changes import rows_changed
from keystead_auth.adapters.idp_store import SqlArrivals, SqlAssertions, SqlIdpAttempts, SqlProviders
from keystead_auth.adapters.person_store import SqlPersons
from keystead_auth.domain.sign_in import Decision, Form, Link, Session, SignInRequest
from keystead_contracts.base import Message
from keystead_contracts.identity import SignInMethod
from keystead_kit.db import Database


class SqlForms:
    """`ports.Forms`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, uri: str) -> Form | None:
        """See the port."""
        row = self._connection.execute(select(tables.forms).where(tables.forms.c.uri == uri)).one_or_none()
        if row is None:
            return None
        known = {method.value for method in SignInMethod}
        return Form(
            uri=row.uri,
            version=row.version,
            name=row.name,
            organization=row.organization,
            methods=tuple(SignInMethod(method) for method in row.methods if method in known),
            email_domains=tuple(row.email_domains),
            help_text=row.help_text,
            help_link=row.help_link,
            withdrawn=row.withdrawn,
            organization_ids=tuple(row.organization_ids),
        )

    def put(self, form: Form) -> bool:
        """See the port."""
        values = asdict(form) | {
            "methods": [method.value for method in form.methods],
            "email_domains": list(form.email_domains),
            "organization_ids": list(form.organization_ids),
        }
        known = self._connection.execute(
            select(tables.forms.c.version).where(tables.forms.c.uri == form.uri).with_for_update()
        ).scalar_one_or_none()
        if known is None:
            # two facts of a new form at once: one insert waits and fails, its fact is sent again and finds the row
            self._connection.execute(insert(tables.forms).values(values))
            return True
        if known >= form.version:
            return False
        self._connection.execute(update(tables.forms).where(tables.forms.c.uri == form.uri).values(values))
        return True


class SqlSignInRequests:
    """`ports.SignInRequests`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, request: SignInRequest) -> None:
        """See the port."""
        self._connection.execute(insert(tables.sign_in_requests).values(asdict(request)))

    def claim(self, limit: int) -> list[SignInRequest]:
        """See the port."""
        table = tables.sign_in_requests
        rows = self._connection.execute(
            select(table)
            .where(table.c.decision.is_(None))
            .order_by(table.c.requested_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [
            SignInRequest(row.id, row.form, row.email, row.requested_at, row.requested_from, row.trace_id, row.language)
            for row in rows
        ]

    def decided(self, decisions: Sequence[tuple[str, Decision]], now: datetime) -> None:
        """See the port."""
        table = tables.sign_in_requests
        for decision in {decision for _, decision in decisions}:
            ids = [id for id, each in decisions if each is decision]
            self._connection.execute(
                update(table).where(table.c.id.in_(ids)).values(decision=decision.value, decided_at=now)
            )

    def prune(self, before: datetime) -> int:
        """See the port."""
        table = tables.sign_in_requests
        return rows_changed(self._connection, delete(table).where(table.c.requested_at < before))


class SqlLinks:
    """`ports.Links`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, link: Link) -> None:
        """See the port."""
        self._connection.execute(insert(tables.links).values(asdict(link)))

    def get(self, digest: str) -> Link | None:
        """See the port."""
        row = self._connection.execute(select(tables.links).where(tables.links.c.digest == digest)).one_or_none()
        if row is None:
            return None
        return Link(row.digest, row.form, row.email, row.expires_at, row.trace_id, row.used_at, row.used_by)

    def consume(self, digest: str, visit: str, now: datetime) -> bool:
        """See the port."""
        table = tables.links
        return (
            rows_changed(
                self._connection,
                update(table)
                .where(table.c.digest == digest, table.c.used_at.is_(None), table.c.expires_at > now)
                .values(used_at=now, used_by=visit),
            )
            == 1
        )

    def prune(self, before: datetime) -> int:
        """See the port."""
        return rows_changed(self._connection, delete(tables.links).where(tables.links.c.expires_at < before))


class SqlSessions:
    """`ports.Sessions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, session: Session) -> None:
        """See the port."""
        values = asdict(session) | {"method": session.method.value}
        self._connection.execute(insert(tables.sessions).values(values))

    def get(self, digest: str) -> Session | None:
        """See the port."""
        row = self._connection.execute(select(tables.sessions).where(tables.sessions.c.digest == digest)).one_or_none()
        return None if row is None else _session(row)

    def of_link(self, link: str) -> Session | None:
        """See the port."""
        table = tables.sessions
        row = self._connection.execute(
            select(table).where(table.c.link == link).order_by(table.c.created_at).limit(1)
        ).one_or_none()
        return None if row is None else _session(row)

    def end(self, link: str) -> None:
        """See the port."""
        self._connection.execute(delete(tables.sessions).where(tables.sessions.c.link == link))

    def prune(self, before: datetime) -> int:
        """See the port."""
        table = tables.sessions
        return rows_changed(self._connection, delete(table).where(table.c.expires_at < before))


def _session(row: Row[Any]) -> Session:
    return Session(
        digest=row.digest,
        email=row.email,
        method=SignInMethod(row.method),
        link=row.link,
        created_at=row.created_at,
        expires_at=row.expires_at,
        identity_provider=row.identity_provider,
        name=row.name,
        attributes=row.attributes,
        persons=row.persons,
    )


class SqlFacts:
    """`ports.Facts`: the outbox."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, fact: Message, *, destination: str, message_id: str, trace_id: str, now: datetime) -> None:
        """See the port."""
        tables.outbox.record(
            self._connection, fact, destination=destination, message_id=message_id, trace_id=trace_id, now=now
        )


class SqlTransaction:
    """`ports.Transaction` on one open transaction."""

    def __init__(self, connection: Connection) -> None:
        self.forms = SqlForms(connection)
        self.requests = SqlSignInRequests(connection)
        self.links = SqlLinks(connection)
        self.sessions = SqlSessions(connection)
        self.facts = SqlFacts(connection)
        self.providers = SqlProviders(connection)
        self.attempts = SqlIdpAttempts(connection)
        self.arrivals = SqlArrivals(connection)
        self.assertions = SqlAssertions(connection)
        self.persons = SqlPersons(connection)
        self.administrators = SqlAdministrators(connection)
        self.recovery_codes = SqlRecoveryCodes(connection)
        self.invitations = SqlInvitations(connection)
        self.administrator_sessions = SqlAdministratorSessions(connection)
        self.half_sessions = SqlHalfSessions(connection)
        self.reset_requests = SqlResetRequests(connection)


class SqlTransactions:
    """`ports.Transactions`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def write(self) -> Iterator[SqlTransaction]:
        """See the port."""
        with self._database.write() as connection:
            yield SqlTransaction(connection)

    @contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """See the port."""
        with self._database.read() as connection:
            yield SqlTransaction(connection)

"""The ports of signing in through identity providers on a SQL database."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Connection

from keystead_auth.adapters import tables
from keystead_auth.adapters.changes import rows_changed
from keystead_auth.domain.attributes import Person
from keystead_auth.domain.providers import Arrival, Attempt, IdentityProvider, Purpose
from keystead_contracts.people import IdentityProviderChecked, IdentityProviderKind

_READ = {"material", "usable_until"}


class SqlProviders:
    """`ports.Providers`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, id: str) -> IdentityProvider | None:
        """See the port."""
        table = tables.identity_providers
        row = self._connection.execute(select(table).where(table.c.id == id)).one_or_none()
        return None if row is None else _provider(row)

    def all(self) -> list[IdentityProvider]:
        """See the port."""
        table = tables.identity_providers
        return [_provider(row) for row in self._connection.execute(select(table).where(table.c.withdrawn.is_(False)))]

    def put(self, provider: IdentityProvider, now: datetime) -> bool:
        """See the port."""
        table = tables.identity_providers
        values = asdict(provider) | {
            "kind": provider.kind.value,
            "organization_ids": list(provider.organization_ids),
            "next_check_at": now,
        }
        row = self._connection.execute(select(table).where(table.c.id == provider.id).with_for_update()).one_or_none()
        if row is None:
            # two facts of a new provider at once: one insert waits and fails, its fact is sent again and finds the row
            self._connection.execute(insert(table).values(values))
            return True
        if row.version >= provider.version:
            return False
        if _provider(row).source == provider.source:
            values = {name: value for name, value in values.items() if name not in _READ}
        self._connection.execute(update(table).where(table.c.id == provider.id).values(values))
        return True

    def claim(self, now: datetime, again_at: datetime) -> IdentityProvider | None:
        """See the port."""
        table = tables.identity_providers
        row = self._connection.execute(
            select(table)
            .where(table.c.next_check_at <= now, table.c.withdrawn.is_(False))
            .order_by(table.c.next_check_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if row is None:
            return None
        self._connection.execute(update(table).where(table.c.id == row.id).values(next_check_at=again_at))
        return _provider(row)

    def read(self, provider: IdentityProvider, told: IdentityProviderChecked, next_check_at: datetime) -> bool:
        """See the port."""
        table = tables.identity_providers
        row = self._connection.execute(select(table).where(table.c.id == provider.id).with_for_update()).one_or_none()
        if row is None or row.version != provider.version:
            return False
        telling = told.model_dump(mode="json", exclude={"type", "checked_at"})
        self._connection.execute(
            update(table)
            .where(table.c.id == provider.id)
            .values(
                material=provider.material,
                usable_until=provider.usable_until,
                told=telling,
                next_check_at=next_check_at,
            )
        )
        return bool(row.told != telling)


def _provider(row: Row[Any]) -> IdentityProvider:
    values = {each.name: getattr(row, each.name) for each in fields(IdentityProvider)}
    return IdentityProvider(
        **values | {"kind": IdentityProviderKind(row.kind), "organization_ids": tuple(row.organization_ids)}
    )


class SqlIdpAttempts:
    """`ports.IdpAttempts`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, attempt: Attempt) -> None:
        """See the port."""
        values = asdict(attempt) | {"purpose": attempt.purpose.value}
        self._connection.execute(insert(tables.idp_attempts).values(values))

    def get(self, id: str) -> Attempt | None:
        """See the port."""
        table = tables.idp_attempts
        row = self._connection.execute(select(table).where(table.c.id == id)).one_or_none()
        if row is None:
            return None
        values = {each.name: getattr(row, each.name) for each in fields(Attempt)}
        return Attempt(**values | {"purpose": Purpose(row.purpose)})

    def answer(self, id: str, now: datetime) -> bool:
        """See the port."""
        table = tables.idp_attempts
        statement = (
            update(table)
            .where(table.c.id == id, table.c.answered_at.is_(None), table.c.expires_at > now)
            .values(answered_at=now)
        )
        return rows_changed(self._connection, statement) == 1

    def prune(self, before: datetime) -> int:
        """See the port."""
        table = tables.idp_attempts
        return rows_changed(self._connection, delete(table).where(table.c.expires_at < before))


class SqlArrivals:
    """`ports.Arrivals`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, arrival: Arrival) -> None:
        """See the port."""
        values = asdict(arrival) | {"purpose": arrival.purpose.value}
        person = values.pop("person")
        person.pop("cut")
        self._connection.execute(insert(tables.idp_arrivals).values(values | person))

    def get(self, digest: str, now: datetime) -> Arrival | None:
        """See the port."""
        table = tables.idp_arrivals
        row = self._connection.execute(
            select(table).where(table.c.digest == digest, table.c.expires_at > now)
        ).one_or_none()
        if row is None:
            return None
        return Arrival(
            digest=row.digest,
            provider=row.provider,
            purpose=Purpose(row.purpose),
            form=row.form,
            browser=row.browser,
            person=Person(row.email, row.name, row.attributes),
            session_ends=row.session_ends,
            expires_at=row.expires_at,
            trace_id=row.trace_id,
        )

    def take(self, digest: str) -> bool:
        """See the port."""
        table = tables.idp_arrivals
        return rows_changed(self._connection, delete(table).where(table.c.digest == digest)) == 1

    def prune(self, before: datetime) -> int:
        """See the port."""
        table = tables.idp_arrivals
        return rows_changed(self._connection, delete(table).where(table.c.expires_at < before))


class SqlAssertions:
    """`ports.Assertions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def first_time(self, digest: str, until: datetime) -> bool:
        """See the port."""
        try:
            with self._connection.begin_nested():
                self._connection.execute(insert(tables.used_assertions).values(digest=digest, expires_at=until))
        except IntegrityError:
            return False
        return True

    def prune(self, before: datetime) -> int:
        """See the port."""
        table = tables.used_assertions
        return rows_changed(self._connection, delete(table).where(table.c.expires_at < before))

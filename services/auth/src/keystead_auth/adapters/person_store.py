"""`ports.Persons` on a SQL database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session as Connection

from keystead_auth.adapters import tables
from keystead_auth.domain.persons import KnownPerson


class SqlPersons:
    """`ports.Persons`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, email: str, organization_ids: Sequence[str]) -> list[KnownPerson]:
        """See the port."""
        table = tables.persons
        rows = self._connection.execute(
            select(table).where(table.c.email == email, table.c.removed.is_(False)).order_by(table.c.id)
        )
        persons = [KnownPerson(**{each.name: getattr(row, each.name) for each in fields(KnownPerson)}) for row in rows]
        return [person for person in persons if person.organization_id in organization_ids]

    def put(self, person: KnownPerson) -> bool:
        """See the port."""
        table = tables.persons
        known = self._connection.execute(
            select(table.c.version).where(table.c.id == person.id).with_for_update()
        ).scalar_one_or_none()
        if known is None:
            # two facts of a new person at once: one insert waits and fails, its fact is sent again and finds the row
            self._connection.execute(insert(table).values(asdict(person)))
            return True
        if known >= person.version:
            return False
        self._connection.execute(update(table).where(table.c.id == person.id).values(asdict(person)))
        return True

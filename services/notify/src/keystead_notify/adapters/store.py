"""notify's letters in a SQL database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, Row, delete, func, insert, select, update
from sqlalchemy.orm import Session

from keystead_kit.db import Database
from keystead_notify.adapters.tables import letters as table
from keystead_notify.domain.letter import Letter, LetterState

LONGEST_REASON = 500


class SqlLetters:
    """`ports.Letters` on one open transaction."""

    def __init__(self, connection: Session) -> None:
        self._connection = connection

    def add(self, letter: Letter) -> None:
        """See the port."""
        self._connection.execute(
            insert(table).values(
                asdict(letter) | {"state": LetterState.QUEUED.value, "due_at": letter.queued_at, "reason": ""}
            )
        )

    def is_due(self, now: datetime) -> bool:
        """See the port."""
        found = self._connection.execute(
            select(table.c.message_id).where(table.c.due_at <= now, table.c.deadline_at > now).limit(1)
        )
        return found.first() is not None

    def claim(self, now: datetime, lease_until: datetime, limit: int) -> list[Letter]:
        """See the port."""
        rows = self._connection.execute(
            select(table)
            .where(table.c.due_at <= now, table.c.deadline_at > now)
            .order_by(table.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        if rows:
            self._connection.execute(
                update(table)
                .where(table.c.message_id.in_([row.message_id for row in rows]))
                .values(state=LetterState.SENDING.value, attempts=table.c.attempts + 1, due_at=lease_until)
            )
        return [_letter(row, attempts=row.attempts + 1) for row in rows]

    def postpone(self, letter: Letter, until: datetime, reason: str) -> None:
        """See the port."""
        self._connection.execute(
            update(table)
            .where(
                table.c.message_id == letter.message_id,
                table.c.state == LetterState.SENDING.value,
                table.c.attempts == letter.attempts,
            )
            .values(state=LetterState.QUEUED.value, due_at=until, reason=reason[:LONGEST_REASON])
        )

    def end(self, message_id: str, state: LetterState, now: datetime, *, code: int | None, reason: str) -> None:
        """See the port."""
        self._connection.execute(
            update(table)
            .where(table.c.message_id == message_id, table.c.ended_at.is_(None))
            .values(
                state=state.value,
                due_at=None,
                ended_at=now,
                smtp_code=code,
                reason=reason[:LONGEST_REASON],
                fact={},  # it may hold a sign-in link
            )
        )

    def expire(self, now: datetime, limit: int) -> list[Letter]:
        """See the port."""
        rows = self._connection.execute(
            select(table)
            .where(table.c.due_at <= now, table.c.deadline_at <= now)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        for row in rows:
            self.end(row.message_id, LetterState.EXPIRED, now, code=None, reason=row.reason)
        return [_letter(row, attempts=row.attempts) for row in rows]

    def waiting(self) -> tuple[int, datetime | None]:
        """See the port."""
        row = self._connection.execute(
            select(func.count(), func.min(table.c.queued_at)).where(table.c.due_at.is_not(None))
        ).one()
        return int(row[0]), row[1]

    def prune(self, before: datetime) -> int:
        """See the port."""
        result = self._connection.execute(delete(table).where(table.c.ended_at < before))
        assert isinstance(result, CursorResult)  # noqa: S101 a DELETE has a cursor
        return result.rowcount


def _letter(row: Row[Any], attempts: int) -> Letter:
    return Letter(
        message_id=row.message_id,
        kind=row.kind,
        recipient=row.recipient,
        fact=row.fact,
        trace_id=row.trace_id,
        queued_at=row.queued_at,
        deadline_at=row.deadline_at,
        attempts=attempts,
    )


class SqlTransactions:
    """`ports.Transactions`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def write(self) -> Iterator[SqlLetters]:
        """See the port."""
        with self._database.write() as connection:
            yield SqlLetters(connection)

    @contextmanager
    def read(self) -> Iterator[SqlLetters]:
        """See the port."""
        with self._database.read() as connection:
            yield SqlLetters(connection)

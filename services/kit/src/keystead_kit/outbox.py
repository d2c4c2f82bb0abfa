"""Transactional outbox and inbox: a fact and the message that tells it are one commit.

Redis may lose anything at any time. The sender keeps a row until the receiver's receipt is back and sends it again
with back-off until then; the receiver remembers message ids. At-least-once delivery, exactly-once effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from sqlalchemy import (
    JSON,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from keystead_contracts.base import Message
from keystead_contracts.events import Envelope
from keystead_kit.db import UtcDateTime

FIRST_RESEND = timedelta(seconds=5)
LONGEST_RESEND = timedelta(minutes=1)
INBOX_KEPT = timedelta(days=30)
"""How long a receiver remembers the id of a message."""
OLDEST_FACT = INBOX_KEPT - timedelta(days=1)
"""How long after it was recorded a fact is still taken. By a day, for clocks that differ, less than its id is kept."""


def resend_delay(attempts: int) -> timedelta:
    """How long to wait for a receipt after the `attempts`-th send (1 or more): doubling, at most a minute."""
    return min(FIRST_RESEND * (1 << min(attempts - 1, 10)), LONGEST_RESEND)


class Outbox:
    """The sending side, bound to one service's metadata."""

    def __init__(self, metadata: MetaData, source: str) -> None:
        self._source = source
        self.table = Table(
            "outbox",
            metadata,
            Column("message_id", String(32), primary_key=True),
            Column("destination", String(32), nullable=False),
            Column("trace_id", String(32), nullable=False),
            Column("fact", JSON, nullable=False),
            Column("recorded_at", UtcDateTime, nullable=False),
            Column("attempts", Integer, nullable=False),
            Column("next_attempt_at", UtcDateTime, nullable=False),
            Index("ix_outbox_next_attempt_at", "next_attempt_at"),
        )

    def record(
        self,
        session: Session,
        fact: Message,
        *,
        destination: str,
        message_id: str,
        trace_id: str,
        now: datetime,
    ) -> None:
        """Adds `fact` to the transaction. It is sent after the commit, by `claim`."""
        self.record_many(session, [(fact, trace_id)], destination=destination, new_id=lambda: message_id, now=now)

    def record_many(
        self,
        session: Session,
        facts: Iterable[tuple[Message, str]],
        *,
        destination: str,
        new_id: Callable[[], str],
        now: datetime,
    ) -> None:
        """Adds each (fact, trace id), all with one statement."""
        rows = [
            {
                "message_id": new_id(),
                "destination": destination,
                "trace_id": trace_id,
                "fact": fact.model_dump(mode="json"),
                "recorded_at": now,
                "attempts": 0,
                "next_attempt_at": now,
            }
            for fact, trace_id in facts
        ]
        if rows:
            session.execute(insert(self.table), rows)

    def claim(self, session: Session, now: datetime, limit: int = 100) -> list[Envelope]:
        """Rows that are due, each put off until its receipt is overdue. Send them after the commit."""
        table = self.table
        rows = session.execute(
            select(table)
            .where(table.c.next_attempt_at <= now)
            .order_by(table.c.next_attempt_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        for row in rows:
            session.execute(
                update(table)
                .where(table.c.message_id == row.message_id)
                .values(attempts=row.attempts + 1, next_attempt_at=now + resend_delay(row.attempts + 1))
            )
        return [
            Envelope(
                message_id=row.message_id,
                source=self._source,
                destination=row.destination,
                recorded_at=row.recorded_at,
                trace_id=row.trace_id,
                fact=row.fact,
            )
            for row in rows
        ]

    def settle(self, session: Session, message_ids: Iterable[str]) -> None:
        """Forgets rows whose receipts arrived. Unknown ids are ignored: a receipt may come twice."""
        session.execute(delete(self.table).where(self.table.c.message_id.in_(list(message_ids))))

    def depth(self, session: Session) -> tuple[int, datetime | None]:
        """How many rows await a receipt, and when the oldest was recorded."""
        row = session.execute(select(func.count(), func.min(self.table.c.recorded_at))).one()
        return int(row[0]), row[1]


class Inbox:
    """The receiving side: remembers the ids of messages whose effect is committed."""

    def __init__(self, metadata: MetaData) -> None:
        self.table = Table(
            "inbox",
            metadata,
            Column("message_id", String(32), primary_key=True),
            Column("received_at", UtcDateTime, nullable=False),
            Index("ix_inbox_received_at", "received_at"),
        )

    def first_time(self, session: Session, message_id: str, now: datetime) -> bool:
        """Remembers `message_id` in this transaction; False if it was there already."""
        try:
            with session.begin_nested():
                session.execute(insert(self.table).values(message_id=message_id, received_at=now))
        except IntegrityError:
            return False
        return True

    def prune(self, session: Session, now: datetime) -> None:
        """Forgets ids that came more than `INBOX_KEPT` ago: what comes again so late is too old to be taken."""
        session.execute(delete(self.table).where(self.table.c.received_at < now - INBOX_KEPT))

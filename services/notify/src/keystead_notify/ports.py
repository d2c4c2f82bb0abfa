"""What notify's use cases need from the outside world. Adapters implement it, tests pass fakes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from keystead_notify.domain.letter import Letter, LetterState


class Letters(Protocol):
    """The letters of one transaction."""

    def add(self, letter: Letter) -> None:
        """Queues a letter, due at once."""
        ...

    def is_due(self, now: datetime) -> bool:
        """Whether any letter is due."""
        ...

    def claim(self, now: datetime, lease_until: datetime, limit: int) -> list[Letter]:
        """Letters that are due and not past their deadline, longest due first: `sending`, with one more attempt
        counted, until `lease_until`."""
        ...

    def postpone(self, letter: Letter, until: datetime, reason: str) -> None:
        """Queues a claimed letter again, unless another claim of it came after."""
        ...

    def end(self, message_id: str, state: LetterState, now: datetime, *, code: int | None, reason: str) -> None:
        """Ends a letter and forgets what it told. A letter that ended already stays as it ended."""
        ...

    def expire(self, now: datetime, limit: int) -> list[Letter]:
        """Ends letters that are due past their deadline as `expired`; which."""
        ...

    def waiting(self) -> tuple[int, datetime | None]:
        """How many letters have not ended, and when the oldest was queued."""
        ...

    def prune(self, before: datetime) -> int:
        """Deletes letters that ended before; how many."""
        ...


class Transactions(Protocol):
    """Begins transactions."""

    def write(self) -> AbstractContextManager[Letters]:
        """Commits when the block ends, rolls back when it raises."""
        ...

    def read(self) -> AbstractContextManager[Letters]:
        """For reading only."""
        ...


class MailSession(Protocol):
    """One connection to the mail server."""

    def send(self, letter: Letter) -> None:
        """Returns when the server has taken responsibility for the letter.

        Raises LetterRefused, LetterPostponed or MailServerAway.
        """
        ...


class Mailer(Protocol):
    """The way to the mail server."""

    def session(self) -> AbstractContextManager[MailSession]:
        """A connection, closed when the block ends. Raises MailServerAway."""
        ...

"""What auth's use cases need from the outside world. Adapters implement it, tests pass fakes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from keystead_auth.domain.sign_in import Decision, Form, Link, Session, SignInRequest
from keystead_contracts.base import Message


class Forms(Protocol):
    """The enrollment forms that enroll published."""

    def get(self, uri: str) -> Form | None:
        """The form, withdrawn or not."""
        ...

    def put(self, form: Form) -> bool:
        """Stores the form unless its version, or a newer one, is known already; whether it was stored."""
        ...


class SignInRequests(Protocol):
    """Requests for a sign-in link."""

    def add(self, request: SignInRequest) -> None:
        """Stores an undecided request."""
        ...

    def claim(self, limit: int) -> list[SignInRequest]:
        """Undecided requests, oldest first, locked to this transaction."""
        ...

    def decided(self, decisions: Sequence[tuple[str, Decision]], now: datetime) -> None:
        """Stores what became of requests, by id."""
        ...

    def prune(self, before: datetime) -> int:
        """Deletes requests made before; how many."""
        ...


class Links(Protocol):
    """Sign-in links by the digest of their token."""

    def add(self, link: Link) -> None:
        """Stores an unused link."""
        ...

    def get(self, digest: str) -> Link | None:
        """The link, whatever its state."""
        ...

    def consume(self, digest: str, visit: str, now: datetime) -> bool:
        """Marks the link as used by this browser visit. True for exactly one caller, and only before it expires."""
        ...

    def prune(self, before: datetime) -> int:
        """Deletes links that expired before; how many."""
        ...


class Sessions(Protocol):
    """Sessions by the digest of their token."""

    def add(self, session: Session) -> None:
        """Stores a session."""
        ...

    def get(self, digest: str) -> Session | None:
        """The session, expired or not."""
        ...

    def of_link(self, link: str) -> Session | None:
        """A session that this link began, if one is left."""
        ...

    def end(self, link: str) -> None:
        """Deletes every session that this link began."""
        ...

    def prune(self, before: datetime) -> int:
        """Deletes sessions that expired before; how many."""
        ...


class Facts(Protocol):
    """The outbox."""

    def record(self, fact: Message, *, destination: str, message_id: str, trace_id: str, now: datetime) -> None:
        """Adds the fact to the transaction."""
        ...


class Transaction(Protocol):
    """What can be read and changed in one transaction."""

    @property
    def forms(self) -> Forms: ...
    @property
    def requests(self) -> SignInRequests: ...
    @property
    def links(self) -> Links: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def facts(self) -> Facts: ...


class Transactions(Protocol):
    """Begins transactions."""

    def write(self) -> AbstractContextManager[Transaction]:
        """Commits when the block ends, rolls back when it raises."""
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """For reading only."""
        ...


class Attempts(Protocol):
    """Rate limits."""

    def sign_in(self, client: str, email: str, form: str) -> int | None:
        """Counts a request for a link; None if it may go on, else seconds to wait. Nobody's requests make another
        person wait for good."""
        ...

    def confirm(self, client: str) -> int | None:
        """Counts nothing; None if this client may open a sign-in link, else seconds to wait."""
        ...

    def guessed(self, client: str) -> None:
        """Counts a sign-in link that does not exist."""
        ...


class Doorbell(Protocol):
    """Tells the worker that there is work."""

    def ring(self) -> None:
        """Never raises; a lost ring is made good by the worker's heartbeat."""
        ...


class Randomness(Protocol):
    """Where ids and tokens come from."""

    def new_id(self) -> str:
        """32 hex digits, unique."""
        ...

    def new_token(self) -> str:
        """256 random bits, URL-safe."""
        ...


class IdentitySigner(Protocol):
    """Signs identity tokens."""

    def sign(self, claims: dict[str, Any]) -> str:
        """The claims as an ES256 JWT."""
        ...

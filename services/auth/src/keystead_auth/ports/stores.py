"""What auth keeps, kind by kind, and the transactions in which it is read and changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from keystead_auth.domain.administrators import (
    Administrator,
    AdministratorSession,
    HalfSession,
    Invitation,
    ResetRequest,
)
from keystead_auth.domain.persons import KnownPerson
from keystead_auth.domain.providers import Arrival, Attempt, IdentityProvider
from keystead_auth.domain.sign_in import Decision, Form, Link, Session, SignInRequest
from keystead_contracts.base import Message
from keystead_contracts.people import IdentityProviderChecked


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


class Providers(Protocol):
    """The identity providers that enroll published."""

    def get(self, id: str) -> IdentityProvider | None:
        """The provider, withdrawn or not."""
        ...

    def all(self) -> list[IdentityProvider]:
        """Those that are not withdrawn."""
        ...

    def put(self, provider: IdentityProvider, now: datetime) -> bool:
        """Stores what was published, to be read at once, unless its version, or a newer one, is known already;
        whether it was stored. What was read of the same source stays."""
        ...

    def claim(self, now: datetime, again_at: datetime) -> IdentityProvider | None:
        """A provider whose metadata is to be read, put off until `again_at` for other workers."""
        ...

    def read(self, provider: IdentityProvider, told: IdentityProviderChecked, next_check_at: datetime) -> bool:
        """Stores the provider's `material` and `usable_until` as given, unless it has changed since it was claimed;
        whether `told` is news."""
        ...


class IdpAttempts(Protocol):
    """Sign-ins that went to an identity provider."""

    def add(self, attempt: Attempt) -> None:
        """Stores an unanswered attempt."""
        ...

    def get(self, id: str) -> Attempt | None:
        """The attempt, whatever its state."""
        ...

    def answer(self, id: str, now: datetime) -> bool:
        """Marks the attempt as answered. True for exactly one caller, and only before it expires."""
        ...

    def prune(self, before: datetime) -> int:
        """Deletes attempts that expired before; how many."""
        ...


class Arrivals(Protocol):
    """Verified answers that wait for their browser."""

    def add(self, arrival: Arrival) -> None:
        """Stores an arrival."""
        ...

    def get(self, digest: str, now: datetime) -> Arrival | None:
        """The arrival, if it has not expired."""
        ...

    def take(self, digest: str) -> bool:
        """Deletes the arrival. True for exactly one caller."""
        ...

    def prune(self, before: datetime) -> int:
        """Deletes arrivals that expired before; how many."""
        ...


class Assertions(Protocol):
    """Assertions that signed somebody in, for as long as they could do so again."""

    def first_time(self, digest: str, until: datetime) -> bool:
        """Remembers the assertion until then; False if it is known already."""
        ...

    def prune(self, before: datetime) -> int:
        """Forgets those whose time ended before; how many."""
        ...


class Persons(Protocol):
    """The Persons that enroll published."""

    def of(self, email: str, organization_ids: Sequence[str]) -> list[KnownPerson]:
        """Those of these organizations with this address who are not removed, by id."""
        ...

    def put(self, person: KnownPerson) -> bool:
        """Stores the person unless this version, or a newer one, is known already; whether it was stored."""
        ...


class Administrators(Protocol):
    """The administrators that enroll published, and what they sign in with."""

    def get(self, id: str, *, lock: bool = False) -> Administrator | None:
        """The administrator, active or not. `lock`: until the end of the transaction."""
        ...

    def by_email(self, email: str) -> Administrator | None:
        """The active one with this address."""
        ...

    def put(self, administrator: Administrator) -> None:
        """Stores what was published. What they sign in with stays."""
        ...

    def set_password(self, id: str, password_hash: str) -> None:
        """Replaces the password."""
        ...

    def set_authenticator(self, id: str, totp_secret: str | None, step: int | None) -> None:
        """Replaces or removes the authenticator's secret (sealed); codes up to `step` are used up."""
        ...

    def accept_step(self, id: str, step: int) -> bool:
        """Uses up every code up to this time step. True for exactly one caller a step."""
        ...


class RecoveryCodes(Protocol):
    """One-time codes for who lost their authenticator, by keyed digest."""

    def replace(self, administrator: str, digests: Sequence[str]) -> None:
        """These, and no older ones."""
        ...

    def use(self, administrator: str, digest: str, now: datetime) -> bool:
        """Uses the code up. True for exactly one caller."""
        ...

    def left(self, administrator: str) -> int:
        """How many are unused."""
        ...


class Invitations(Protocol):
    """Links by which administrators choose a password, by the digest of their token."""

    def add(self, invitation: Invitation) -> None:
        """Stores an unused link."""
        ...

    def get(self, digest: str) -> Invitation | None:
        """The link, whatever its state."""
        ...

    def consume(self, digest: str, now: datetime) -> bool:
        """Marks the link as used. True for exactly one caller, and only before it expires."""
        ...

    def end(self, administrator: str) -> None:
        """Deletes their unused links."""
        ...

    def prune(self, before: datetime) -> int:
        """Deletes links that expired before; how many."""
        ...


class AdministratorSessions(Protocol):
    """Sessions of administrators by the digest of their token."""

    def add(self, session: AdministratorSession) -> None:
        """Stores a session."""
        ...

    def get(self, digest: str) -> AdministratorSession | None:
        """The session, over or not."""
        ...

    def of(self, administrator: str) -> list[AdministratorSession]:
        """Theirs, over or not, those used last first."""
        ...

    def came_from(self, digest: str, address: str, user_agent: str) -> None:
        """Where the session's browser is, and what it calls itself."""
        ...

    def seen(self, digest: str, now: datetime) -> None:
        """The session was used."""
        ...

    def seen_at_console(self, administrator: str, id: str, at: datetime) -> None:
        """The console that this session of theirs opened was used; news that comes late changes nothing."""
        ...

    def end(self, digest: str) -> None:
        """Deletes the session."""
        ...

    def end_one(self, administrator: str, id: str) -> bool:
        """Deletes this session, if it is there and theirs; whether it was."""
        ...

    def end_all(self, administrator: str) -> None:
        """Deletes every session of theirs."""
        ...

    def prune(self, before: datetime) -> int:
        """Deletes sessions that expired before; how many."""
        ...


class HalfSessions(Protocol):
    """Sign-ins between password and code, by the digest of their token."""

    def add(self, half: HalfSession) -> None:
        """Stores a half session."""
        ...

    def get(self, digest: str) -> HalfSession | None:
        """The half session, over or not."""
        ...

    def take(self, digest: str) -> bool:
        """Deletes the half session. True for exactly one caller."""
        ...

    def end_all(self, administrator: str) -> None:
        """Deletes every one of theirs."""
        ...

    def prune(self, before: datetime) -> int:
        """Deletes those that expired before; how many."""
        ...


class ResetRequests(Protocol):
    """Forgotten passwords."""

    def add(self, request: ResetRequest) -> None:
        """Stores an undecided request."""
        ...

    def claim(self, limit: int) -> list[ResetRequest]:
        """Undecided requests, oldest first, locked to this transaction."""
        ...

    def decided(self, ids: Sequence[str], now: datetime) -> None:
        """These are decided."""
        ...

    def prune(self, before: datetime) -> int:
        """Deletes requests made before; how many."""
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
    @property
    def providers(self) -> Providers: ...
    @property
    def attempts(self) -> IdpAttempts: ...
    @property
    def arrivals(self) -> Arrivals: ...
    @property
    def assertions(self) -> Assertions: ...
    @property
    def persons(self) -> Persons: ...
    @property
    def administrators(self) -> Administrators: ...
    @property
    def recovery_codes(self) -> RecoveryCodes: ...
    @property
    def invitations(self) -> Invitations: ...
    @property
    def administrator_sessions(self) -> AdministratorSessions: ...
    @property
    def half_sessions(self) -> HalfSessions: ...
    @property
    def reset_requests(self) -> ResetRequests: ...


class Transactions(Protocol):
    """Begins transactions."""

    def write(self) -> AbstractContextManager[Transaction]:
        """Commits when the block ends, rolls back when it raises."""
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """For reading only."""
        ...

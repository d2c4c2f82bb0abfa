"""auth's ports of administrators and Persons in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from keystead_auth.domain.administrators import (
    Administrator,
    AdministratorSession,
    HalfSession,
    Invitation,
    ResetRequest,
)
from keystead_auth.domain.persons import KnownPerson


@dataclass
class FakePersons:
    rows: dict[str, KnownPerson] = field(default_factory=dict)

    def of(self, email: str, organization_ids: Sequence[str]) -> list[KnownPerson]:
        return [
            each
            for each in self.rows.values()
            if each.email == email and each.organization_id in organization_ids and not each.removed
        ]

    def put(self, person: KnownPerson) -> bool:
        known = self.rows.get(person.id)
        if known and known.version >= person.version:
            return False
        self.rows[person.id] = person
        return True


@dataclass
class FakeAdministrators:
    rows: dict[str, Administrator] = field(default_factory=dict)

    def get(self, id: str, *, lock: bool = False) -> Administrator | None:
        return self.rows.get(id)

    def by_email(self, email: str) -> Administrator | None:
        return next((each for each in self.rows.values() if each.email == email and each.active), None)

    def put(self, administrator: Administrator) -> None:
        own = self.rows.get(administrator.id, administrator)
        self.rows[administrator.id] = replace(
            administrator, password_hash=own.password_hash, totp_secret=own.totp_secret, totp_step=own.totp_step
        )

    def set_password(self, id: str, password_hash: str) -> None:
        self.rows[id] = replace(self.rows[id], password_hash=password_hash)

    def set_authenticator(self, id: str, totp_secret: str | None, step: int | None) -> None:
        self.rows[id] = replace(self.rows[id], totp_secret=totp_secret, totp_step=step)

    def accept_step(self, id: str, step: int) -> bool:
        if (self.rows[id].totp_step or -1) >= step:
            return False
        self.rows[id] = replace(self.rows[id], totp_step=step)
        return True


@dataclass
class FakeRecoveryCodes:
    rows: dict[str, dict[str, bool]] = field(default_factory=dict)

    def replace(self, administrator: str, digests: Sequence[str]) -> None:
        self.rows[administrator] = dict.fromkeys(digests, False)

    def use(self, administrator: str, digest: str, now: datetime) -> bool:
        codes = self.rows.get(administrator, {})
        if codes.get(digest, True):
            return False
        codes[digest] = True
        return True

    def left(self, administrator: str) -> int:
        return list(self.rows.get(administrator, {}).values()).count(False)


@dataclass
class FakeTokens:
    """Rows by digest that belong to an administrator: invitations, sessions, half sessions."""

    rows: dict[str, Any] = field(default_factory=dict)

    def add(self, row: Invitation | AdministratorSession | HalfSession) -> None:
        self.rows[row.digest] = row

    def get(self, digest: str) -> Any:
        return self.rows.get(digest)

    def consume(self, digest: str, now: datetime) -> bool:
        row = self.rows.get(digest)
        if row is None or row.used_at is not None or row.expires_at <= now:
            return False
        self.rows[digest] = replace(row, used_at=now)
        return True

    def seen(self, digest: str, now: datetime) -> None:
        self.rows[digest] = replace(self.rows[digest], seen_at=now)

    def end(self, key: str) -> None:
        """A session by its digest; of invitations the unused ones of an administrator."""
        self._drop(lambda row: row.digest == key or (row.administrator == key and row.used_at is None))

    def take(self, digest: str) -> bool:
        return self.rows.pop(digest, None) is not None

    def end_all(self, administrator: str) -> None:
        self._drop(lambda row: row.administrator == administrator)

    def prune(self, before: datetime) -> int:
        return self._drop(lambda row: row.expires_at < before)

    def of(self, administrator: str) -> list[Any]:
        theirs = [row for row in self.rows.values() if row.administrator == administrator]
        return sorted(theirs, key=lambda row: row.seen_at, reverse=True)

    def came_from(self, digest: str, address: str, user_agent: str) -> None:
        self.rows[digest] = replace(self.rows[digest], address=address, user_agent=user_agent)

    def seen_at_console(self, administrator: str, id: str, at: datetime) -> None:
        for row in self.of(administrator):
            if row.id == id:
                self.rows[row.digest] = replace(row, seen_at=max(row.seen_at, at))

    def end_one(self, administrator: str, id: str) -> bool:
        return bool(self._drop(lambda row: row.administrator == administrator and row.id == id))

    def _drop(self, over: Any) -> int:
        gone = [digest for digest, row in self.rows.items() if over(row)]
        for digest in gone:
            del self.rows[digest]
        return len(gone)


@dataclass
class FakeResetRequests:
    rows: dict[str, tuple[ResetRequest, bool]] = field(default_factory=dict)

    def add(self, request: ResetRequest) -> None:
        self.rows[request.id] = (request, False)

    def claim(self, limit: int) -> list[ResetRequest]:
        return [request for request, decided in self.rows.values() if not decided][:limit]

    def decided(self, ids: Sequence[str], now: datetime) -> None:
        for id in ids:
            self.rows[id] = (self.rows[id][0], True)

    def prune(self, before: datetime) -> int:
        gone = [id for id, (request, _) in self.rows.items() if request.requested_at < before]
        for id in gone:
            del self.rows[id]
        return len(gone)


@dataclass
class FakeCodes:
    """Codes that anybody can read: the secret is its owner's name, the code the time step."""

    made: int = 0

    def new_secret(self, administrator: str) -> str:
        self.made += 1
        return f"sealed-{administrator}-{self.made}"

    def shown(self, sealed: str, administrator: str) -> str:
        return sealed.removeprefix("sealed-")

    def step(self, sealed: str, administrator: str, code: str, now: datetime) -> int | None:
        return int(code) if code.isdigit() else None

    def new_recovery_codes(self, count: int) -> list[str]:
        self.made += 1
        return [f"recovery-{self.made}-{number}" for number in range(count)]

    def recovery_digest(self, administrator: str, code: str) -> str:
        return f"{administrator}:{code}"

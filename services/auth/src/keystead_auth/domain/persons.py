"""Persons as auth knows them: people whom an administrator named, and who may have a Secret ID."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class KnownPerson:
    """A Person as enroll last published it. `secret_id_hash` is an argon2id PHC string."""

    id: str
    version: int
    organization_id: str
    email: str
    name: str
    secret_id_hash: str | None = field(default=None, repr=False)
    removed: bool = False


MOST_VERIFICATIONS = 3


def verifications(organizations: int) -> int:
    """How many Secret IDs are compared for any address, known or not, on a form of so many organizations: the time
    tells at most that somebody is known to more than `MOST_VERIFICATIONS` of them."""
    return max(1, min(organizations, MOST_VERIFICATIONS))

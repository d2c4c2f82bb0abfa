"""Persons: people whom an administrator knows by name, and who may sign in with a Secret ID."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(eq=False)
class Person:
    """Somebody of an organization. `secret_id_hash` is an argon2id PHC string, None without a Secret ID."""

    id: str
    organization_id: str
    department_id: str | None
    email: str
    name: str
    upn: str | None = None
    """userPrincipalName, for profiles whose templates ask for it; None: the e-mail address stands for it."""
    secret_id_hash: str | None = None
    version: int = 1
    created_at: datetime | None = None
    invited_at: datetime | None = None

"""Take in what enroll published of an administrator."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from keystead_auth.domain.administrators import Administrator, Purpose
from keystead_auth.ports import (
    Administrators,
    AdministratorSessions,
    Facts,
    HalfSessions,
    Invitations,
    Randomness,
)
from keystead_auth.usecases.invite_administrator import LinkFor, send_invitation
from keystead_contracts.people import AdministratorMethod, AdministratorPublished


class Projection(Protocol):
    """What of a transaction is changed."""

    @property
    def administrators(self) -> Administrators: ...
    @property
    def administrator_sessions(self) -> AdministratorSessions: ...
    @property
    def half_sessions(self) -> HalfSessions: ...
    @property
    def invitations(self) -> Invitations: ...
    @property
    def facts(self) -> Facts: ...


def project_administrator(
    tx: Projection,
    randomness: Randomness,
    fact: AdministratorPublished,
    *,
    link_for: LinkFor,
    now: datetime,
    trace_id: str,
) -> bool:
    """Stores the administrator as `fact` says, in the inbox's transaction; False if a newer version is known.

    A risen `invitation` sends a link to who signs in by password. Who is not active any more, or has another address,
    is signed out, and links that were sent before are void.
    """
    known = tx.administrators.get(fact.administrator_id, lock=True)
    if known is not None and known.version >= fact.version:
        return False
    administrator = Administrator(
        id=fact.administrator_id,
        version=fact.version,
        email=fact.email.lower(),
        name=fact.name,
        methods=tuple(fact.methods),
        active=fact.active,
        invitation=fact.invitation,
    )
    tx.administrators.put(administrator)
    if not administrator.active or (known is not None and known.email != administrator.email):
        tx.administrator_sessions.end_all(administrator.id)
        tx.half_sessions.end_all(administrator.id)
        tx.invitations.end(administrator.id)
    asked = fact.invitation > (known.invitation if known else 0)
    if asked and administrator.may_sign_in_by(AdministratorMethod.PASSWORD):
        send_invitation(
            tx.invitations, tx.facts, randomness, administrator, Purpose.INVITATION,
            link_for=link_for, now=now, trace_id=trace_id, invited_by=fact.invited_by,
        )  # fmt: skip
    return True

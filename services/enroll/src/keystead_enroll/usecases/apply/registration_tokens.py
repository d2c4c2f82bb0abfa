"""Registration tokens of a declared set-up."""

from __future__ import annotations

from keystead_enroll.domain.declaration import Declaration
from keystead_enroll.domain.registration_tokens import RegistrationToken
from keystead_enroll.usecases.apply.work import Work, mentioned
from keystead_kit.secrets import new_id


def apply_registration_tokens(work: Work, declaration: Declaration) -> None:
    """Creates the registration tokens with these names in their organizations, or changes them. One that had this
    secret under this name in another organization moves. What was revoked stays revoked."""
    tokens = {(t.organization_id, t.name): t for t in work.tx.registration_tokens()}
    for wanted in declaration.registration_tokens:
        where = f"registration token “{wanted.name}” of organization “{wanted.organization}”"
        organization = work.organizations.get(wanted.organization)
        if organization is None:
            work.lacks(wanted.line("organization"), where, "organization", wanted.organization)
        digest = work.secrets.registration_digest(wanted.token)
        owner = wanted.owner.lower() if wanted.owner else None
        holder = work.tx.registration_token(digest)
        existing = tokens.get((organization.id, wanted.name)) if organization else None
        if existing is None and holder is not None and holder.name == wanted.name:
            existing = holder
        if holder is not None and holder is not existing:
            work.mistake(wanted.line("token"), f"{where}: another one has this token already; choose another")
        if work.mistakes or organization is None:
            continue  # nothing will be stored
        fresh = RegistrationToken(
            id=new_id(),
            name=wanted.name,
            digest=digest,
            organization_id=organization.id,
            owner=owner,
            expires_at=wanted.expires_at,
            group=wanted.group,
            most_devices=wanted.most_devices,
            created_at=work.now,
            created_by=work.actor.name,
        )
        limits = mentioned(wanted, "group", "most_devices", "expires_at")
        work.put(where, existing, fresh, ("digest", "organization_id", "owner", *limits))
        work.tx.flush()

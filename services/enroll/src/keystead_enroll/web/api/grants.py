"""Roles as the API tells them."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

from keystead_contracts.base import CertificateType
from keystead_enroll.domain.administration import Grant, Role


class GrantOut(BaseModel):
    """A role in a place."""

    role: Role
    organization_id: str | None
    department_id: str | None
    certificate_types: list[CertificateType]


def told(grants: Iterable[Grant]) -> list[GrantOut]:
    """`grants` as the API tells them."""
    return [GrantOut.model_validate(grant.to_plain()) for grant in grants]

"""`/api/v1/profiles`."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict

from keystead_contracts.base import AssuranceLevel, CertificateScope, CertificateType, KeyAlgorithm
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.enrollment_inputs import ProfileInput
from keystead_enroll.domain.key_usages import KeyUsage
from keystead_enroll.domain.lists import PROFILES
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import profiles as verbs
from keystead_enroll.web.api.resources import Resource, add_routes
from keystead_enroll.web.api.tools import ApiTools


class ProfileOut(BaseModel):
    """A certificate profile. `organization_ids`: those of whose accounts may use it that the asker sees; empty if it is
    delegated to all."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    description: str
    certificate_type: CertificateType
    connector: str
    key_algorithms: list[KeyAlgorithm]
    term_days: list[int]
    subject: str
    subject_alternative_names: list[str]
    key_usages: list[KeyUsage]
    extended_key_usages: list[str]
    minimum_assurance: AssuranceLevel
    scope: CertificateScope | None
    device_name_pattern: str
    renewal_window_days: int
    policy_oids: list[str]
    idp_groups: list[str]
    organization_ids: list[str]
    notice_days: list[int]
    active: bool
    created_at: AwareDatetime | None


def show(_tx: Transaction, actor: Actor, profile: CertificateProfile) -> ProfileOut:
    """The profile as this actor sees it."""
    shown = ProfileOut.model_validate(profile)
    return shown.model_copy(update={"organization_ids": actor.scope.seen(profile.organization_ids)})


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter()
    add_routes(
        api,
        tools,
        Resource(
            path="/profiles",
            kind="certificate profile",
            definition=PROFILES,
            shown=ProfileOut,
            given=ProfileInput,
            show=show,
            create=lambda tx, clock, *rest: verbs.create_profile(tx, clock, tools.enroll.linter, *rest),
            change=lambda tx, clock, *rest: verbs.change_profile(tx, clock, tools.enroll.linter, *rest),
            delete=verbs.delete_profile,
        ),
    )
    return api

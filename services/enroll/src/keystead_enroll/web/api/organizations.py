"""`/api/v1/organizations` and `/api/v1/departments`."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict

from keystead_enroll.domain.inputs import DepartmentInput, OrganizationInput
from keystead_enroll.domain.lists import DEPARTMENTS, ORGANIZATIONS
from keystead_enroll.usecases.admin import organizations as verbs
from keystead_enroll.web.api.resources import Resource, add_routes
from keystead_enroll.web.api.tools import ApiTools


class OrganizationOut(BaseModel):
    """An organization, and what is delegated to it."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    email_domains: list[str]
    dns_domains: list[str]
    home_organization: str | None
    created_at: AwareDatetime | None


class DepartmentOut(OrganizationOut):
    """A department of an organization."""

    organization_id: str


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter()
    add_routes(
        api,
        tools,
        Resource(
            path="/organizations",
            kind="organization",
            definition=ORGANIZATIONS,
            shown=OrganizationOut,
            given=OrganizationInput,
            show=lambda _tx, _actor, organization: OrganizationOut.model_validate(organization),
            create=verbs.create_organization,
            change=verbs.change_organization,
            delete=verbs.delete_organization,
        ),
    )
    add_routes(
        api,
        tools,
        Resource(
            path="/departments",
            kind="department",
            definition=DEPARTMENTS,
            shown=DepartmentOut,
            given=DepartmentInput,
            show=lambda _tx, _actor, department: DepartmentOut.model_validate(department),
            create=verbs.create_department,
            change=verbs.change_department,
            delete=verbs.delete_department,
        ),
    )
    return api

"""`/api/v1/identity-providers`."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict

from keystead_contracts.people import IdentityProviderKind, IdentityProviderState
from keystead_enroll.domain.lists import IDENTITY_PROVIDERS
from keystead_enroll.domain.people_inputs import IdentityProviderInput
from keystead_enroll.usecases.admin import identity_providers as verbs
from keystead_enroll.web.api.resources import Resource, add_routes
from keystead_enroll.web.api.tools import ApiTools


class IdentityProviderOut(BaseModel):
    """An identity provider, and what auth last made of it (`state` null: it has not looked yet)."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    kind: IdentityProviderKind
    metadata_url: str | None
    metadata_xml: str | None
    metadata_certificate: str | None
    issuer: str | None
    client_id: str | None
    client_secret_name: str | None
    attributes: dict[str, str]
    organization_ids: list[str]
    for_persons: bool
    for_administrators: bool
    idp_initiated: bool
    active: bool
    created_at: AwareDatetime | None
    state: IdentityProviderState | None
    state_detail: str
    entity_id: str
    valid_until: AwareDatetime | None
    checked_at: AwareDatetime | None


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter()
    add_routes(
        api,
        tools,
        Resource(
            path="/identity-providers",
            kind="identity provider",
            definition=IDENTITY_PROVIDERS,
            shown=IdentityProviderOut,
            given=IdentityProviderInput,
            show=lambda _tx, _actor, provider: IdentityProviderOut.model_validate(provider),
            create=verbs.create_identity_provider,
            change=verbs.change_identity_provider,
            delete=verbs.delete_identity_provider,
        ),
    )
    return api

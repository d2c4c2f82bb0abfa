"""`/api/v1/administrators`.

This module evaluates its annotations when a router is made, because they name what is at hand: no `from __future__
import annotations` here.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel

from keystead_contracts.people import AdministratorMethod
from keystead_enroll.domain.administration import Actor, Administrator
from keystead_enroll.domain.lists import ADMINISTRATORS
from keystead_enroll.domain.people_inputs import AdministratorInput
from keystead_enroll.usecases.admin import administrators as verbs
from keystead_enroll.usecases.admin.common import Once
from keystead_enroll.web.api.grants import GrantOut, told
from keystead_enroll.web.api.resources import Resource, add_routes
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools


class AdministratorOut(BaseModel):
    """An administrator, with those of their roles that are within the asker's."""

    id: str
    email: str
    name: str
    methods: list[AdministratorMethod]
    grants: list[GrantOut]
    active: bool
    created_at: AwareDatetime | None
    last_seen_at: AwareDatetime | None


def shown(actor: Actor, administrator: Administrator) -> AdministratorOut:
    """An administrator as the actor may see them."""
    return AdministratorOut(
        id=administrator.id,
        email=administrator.email,
        name=administrator.name,
        methods=administrator.methods,
        grants=told(verbs.shown_grants(actor.scope, administrator.grants)),
        active=administrator.active,
        created_at=administrator.created_at,
        last_seen_at=administrator.last_seen_at,
    )


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter()
    Asker = Annotated[Actor, Depends(tools.actor)]
    OnceKey = Annotated[Once | None, Depends(tools.once)]
    add_routes(
        api,
        tools,
        Resource(
            path="/administrators",
            kind="administrator",
            definition=ADMINISTRATORS,
            shown=AdministratorOut,
            given=AdministratorInput,
            show=lambda _tx, actor, administrator: shown(actor, administrator),
            create=verbs.create_administrator,
            change=verbs.change_administrator,
        ),
    )

    @api.post(
        "/administrators/{id}/invitations",
        status_code=204,
        operation_id="invite_administrator",
        summary="Have an administrator choose a password anew",
        tags=["administrators"],
        responses=PROBLEMS,
    )
    def invite(actor: Asker, id: str, once: OnceKey) -> Response:
        verbs.invite_administrator(tools.transactions, tools.clock, actor, id, once)
        return Response(status_code=204)

    return api

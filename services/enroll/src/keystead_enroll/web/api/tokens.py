"""`/api/v1/tokens` and `/api/v1/me`.

This module evaluates its annotations when a router is made, because they name what is at hand: no `from __future__
import annotations` here.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel

from keystead_enroll.domain.administration import Actor, ActorKind, Administrator, ApiToken
from keystead_enroll.domain.inputs import TokenInput
from keystead_enroll.domain.lists import API_TOKENS
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import tokens as verbs
from keystead_enroll.usecases.admin.administrators import shown_grants
from keystead_enroll.usecases.admin.common import Once
from keystead_enroll.web.api.grants import GrantOut, told
from keystead_enroll.web.api.resources import Resource, add_routes
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools


class TokenOut(BaseModel):
    """An API token, with those of its roles that are within the asker's. The token itself cannot be read back."""

    id: str
    name: str
    administrator_id: str
    administrator: str
    grants: list[GrantOut]
    created_at: AwareDatetime
    expires_at: AwareDatetime
    last_used_at: AwareDatetime | None
    revoked_at: AwareDatetime | None


class MadeTokenOut(BaseModel):
    """A new token. `token` is told this once, null if an earlier request with this Idempotency-Key made it."""

    id: str
    token: str | None


class MeOut(BaseModel):
    """Who asks, and what they may do now."""

    kind: ActorKind
    id: str
    name: str
    administrator_id: str
    grants: list[GrantOut]
    expires_at: AwareDatetime | None


def shown(tx: Transaction, actor: Actor, token: ApiToken) -> TokenOut:
    """A token as the actor may see it."""
    owner = tx.get(Administrator, token.administrator_id)
    return TokenOut(
        id=token.id,
        name=token.name,
        administrator_id=token.administrator_id,
        administrator=owner.name if owner else "",
        grants=told(shown_grants(actor.scope, token.grants)),
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
        revoked_at=token.revoked_at,
    )


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter()
    Asker = Annotated[Actor, Depends(tools.actor)]
    OnceKey = Annotated[Once | None, Depends(tools.once)]
    transactions, clock = tools.transactions, tools.clock
    common: dict[str, Any] = {"tags": ["tokens"], "responses": PROBLEMS}
    add_routes(
        api,
        tools,
        Resource(
            path="/tokens",
            kind="token",
            definition=API_TOKENS,
            shown=TokenOut,
            given=TokenInput,
            show=shown,
            delete=verbs.revoke_token,
        ),
    )

    @api.post("/tokens", status_code=201, operation_id="create_token", summary="Make one token", **common)
    def create(actor: Asker, body: TokenInput, once: OnceKey, response: Response) -> MadeTokenOut:
        response.headers["cache-control"] = "no-store"
        made = verbs.create_token(transactions, clock, actor, body, once)
        return MadeTokenOut(id=made.id, token=made.secret)

    @api.get("/me", operation_id="show_me", summary="Who asks, and what they may do", **common)
    def me(actor: Asker) -> MeOut:
        with transactions.read() as tx:
            token = tx.get(ApiToken, actor.id) if actor.kind is ActorKind.TOKEN else None
        return MeOut(
            kind=actor.kind,
            id=actor.id,
            name=actor.name,
            administrator_id=token.administrator_id if token else actor.id,
            grants=told(actor.scope.grants),
            expires_at=token.expires_at if token else None,
        )

    return api

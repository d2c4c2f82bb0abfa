"""`/api/v1/registration-tokens`.

This module evaluates its annotations when a router is made: no `from __future__ import annotations` here.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel

from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.inputs import RegistrationTokenInput, RegistrationTokenLimitsInput
from keystead_enroll.domain.lists import REGISTRATION_TOKENS
from keystead_enroll.domain.registration_tokens import RegistrationToken, TokenState
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import registration_tokens as verbs
from keystead_enroll.usecases.admin.common import Once, reach
from keystead_enroll.web.api.resources import Resource, add_routes
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools


class RegistrationTokenOut(BaseModel):
    """Lets machines of an organization register as devices: `uses` have, at most `most_devices` may. Its secret cannot
    be read back."""

    id: str
    name: str
    state: TokenState
    organization_id: str
    organization: str
    owner: str | None
    group: str
    uses: int
    most_devices: int | None
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None
    created_at: AwareDatetime | None
    created_by: str


class MadeRegistrationToken(BaseModel):
    """A token that was made. `secret` is told this once; null if an earlier request with this key made it."""

    id: str
    secret: str | None


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter()
    transactions, clock, enroll = tools.transactions, tools.clock, tools.enroll
    Asker = Annotated[Actor, Depends(tools.actor)]
    OnceKey = Annotated[Once | None, Depends(tools.once)]
    common: dict[str, Any] = {"tags": ["registration-tokens"], "responses": PROBLEMS}

    def shown(tx: Transaction, _actor: Actor, token: RegistrationToken) -> RegistrationTokenOut:
        return RegistrationTokenOut(
            id=token.id,
            name=token.name,
            state=token.state(clock.now()),
            organization_id=token.organization_id,
            organization=tx.organization(token.organization_id).name,
            owner=token.owner,
            group=token.group,
            uses=token.uses,
            most_devices=token.most_devices,
            expires_at=token.expires_at,
            revoked_at=token.revoked_at,
            created_at=token.created_at,
            created_by=token.created_by,
        )

    @api.post(
        "/registration-tokens",
        status_code=201,
        operation_id="create_registration_token",
        summary="Make one registration token",
        **common,
    )
    def make(actor: Asker, body: RegistrationTokenInput, once: OnceKey) -> MadeRegistrationToken:
        made = verbs.create_registration_token(transactions, clock, enroll.secrets, actor, body, once)
        return MadeRegistrationToken(id=made.id, secret=made.secret)

    @api.post(
        "/registration-tokens/{id}/revocation",
        operation_id="revoke_registration_token",
        summary="Revoke one registration token",
        **common,
    )
    def revoke(actor: Asker, id: str) -> RegistrationTokenOut:
        """No machine registers with it any more; devices that came with it stay. This cannot be undone."""
        verbs.revoke_registration_token(transactions, clock, actor, id)
        with transactions.read() as tx:
            return shown(tx, actor, reach(tx, REGISTRATION_TOKENS, actor, id, verbs.KIND))

    add_routes(
        api,
        tools,
        Resource(
            path="/registration-tokens", kind="registration token", definition=REGISTRATION_TOKENS,
            shown=RegistrationTokenOut, given=RegistrationTokenLimitsInput, show=shown,
            change=verbs.change_registration_token, delete=verbs.delete_registration_token,
        ),
    )  # fmt: skip
    return api

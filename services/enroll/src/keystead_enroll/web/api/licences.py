"""`/api/v1/licences`."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, ConfigDict

from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.enrollment_inputs import LicenceInput
from keystead_enroll.usecases.admin import licences as verbs
from keystead_enroll.usecases.admin.common import Once
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools


class LicenceOut(BaseModel):
    """A version of the licence terms. Persons accept the `current` one."""

    model_config = ConfigDict(from_attributes=True)

    version: str
    text: str
    current: bool
    published_at: AwareDatetime | None


class LicencesOut(BaseModel):
    """Every version, newest first."""

    items: list[LicenceOut]


class LicencePublished(BaseModel):
    """The version that persons accept from now on."""

    version: str


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter()
    Asker = Annotated[Actor, Depends(tools.actor)]
    OnceKey = Annotated[Once | None, Depends(tools.once)]

    @api.get(
        "/licences", operation_id="list_licences", summary="List licence terms", tags=["licences"], responses=PROBLEMS
    )
    def list_all(actor: Asker) -> LicencesOut:
        found = verbs.list_licences(tools.transactions, actor)
        return LicencesOut(items=[LicenceOut.model_validate(licence) for licence in found])

    @api.post(
        "/licences",
        status_code=201,
        operation_id="publish_licence",
        summary="Publish licence terms",
        tags=["licences"],
        responses=PROBLEMS,
    )
    def publish(actor: Asker, body: LicenceInput, once: OnceKey) -> LicencePublished:
        return LicencePublished(version=verbs.publish_licence(tools.transactions, tools.clock, actor, body, once))

    return api

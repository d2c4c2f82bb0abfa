"""`/api/v1/dashboard`.

This module evaluates its annotations when a router is made: no `from __future__ import annotations` here.
"""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from keystead_contracts.base import AssuranceLevel, CertificateType
from keystead_enroll.domain.administration import Actor
from keystead_enroll.usecases.admin.dashboard import show_dashboard
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools


class DayOut(BaseModel):
    """Certificates issued on one day (UTC), by type."""

    model_config = ConfigDict(from_attributes=True)

    day: date
    issued: dict[CertificateType, int]


class WeekOut(BaseModel):
    """Certificates in use that end in the seven days from `begins` (UTC)."""

    model_config = ConfigDict(from_attributes=True)

    begins: date
    expiring: int


class DashboardOut(BaseModel):
    """Numbers of what the token's role covers: requests that await approval and that failed in the last 7 days;
    certificates in use, how many of them end within 30 days, and how sure it is that their keys are in a TPM; names of
    identity providers that fail (for masters); certificates issued on each of the last 30 days, and ending in each of
    the next 12 weeks."""

    model_config = ConfigDict(from_attributes=True)

    awaiting_approval: int
    failed: int
    valid: int
    expiring: int
    failing_providers: list[str]
    assurance: dict[AssuranceLevel, int]
    days: list[DayOut]
    weeks: list[WeekOut]


def router(tools: ApiTools) -> APIRouter:
    """The route."""
    api = APIRouter()
    Asker = Annotated[Actor, Depends(tools.actor)]

    @api.get("/dashboard", operation_id="show_dashboard", summary="Numbers", tags=["dashboard"], responses=PROBLEMS)
    def show(actor: Asker) -> DashboardOut:
        return DashboardOut.model_validate(show_dashboard(tools.transactions, tools.clock, actor))

    return api

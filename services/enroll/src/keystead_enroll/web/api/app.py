"""The API's routers together, and the document that describes them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from keystead_contracts.problems import Problem
from keystead_enroll.bootstrap import Enroll
from keystead_enroll.web.api import (
    administrators,
    audit,
    bulk_jobs,
    certificates,
    dashboard,
    devices,
    endorsement_keys,
    forms,
    identity_providers,
    issuing,
    licences,
    organizations,
    persons,
    profiles,
    registration_tokens,
    requests,
    tokens,
    trials,
)
from keystead_enroll.web.api.tools import ApiTools
from keystead_kit.wakeups import Wakeups

PREFIX = "/api/v1"
ROUTERS = (
    organizations.router,
    profiles.router,
    forms.router,
    trials.router,
    licences.router,
    persons.router,
    administrators.router,
    identity_providers.router,
    tokens.router,
    audit.router,
    certificates.router,
    requests.router,
    devices.router,
    registration_tokens.router,
    endorsement_keys.router,
    bulk_jobs.router,
    dashboard.router,
)


def add_api(app: FastAPI, enroll: Enroll, wakeups: Wakeups) -> None:
    """Adds `/api/v1` and `/api/openapi.json`."""
    tools = ApiTools(enroll)
    app.include_router(issuing.router(tools, wakeups), prefix=PREFIX)
    for router in ROUTERS:
        app.include_router(router(tools), prefix=PREFIX)
    document: dict[str, Any] = {}

    @app.api_route("/api/openapi.json", methods=["GET", "HEAD"], include_in_schema=False)
    async def openapi() -> dict[str, Any]:
        if not document:
            document.update(describe(app))
        return document


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the API."""
    document = get_openapi(
        title="Keystead",
        version="1",
        summary="Administration of Keystead.",
        description="Everything that the console does. Refusals are problem documents (RFC 9457).",
        routes=app.routes,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document

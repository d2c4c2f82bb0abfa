"""The console's routers together."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from keystead_enroll.domain.administration_refusals import ConsoleClosed
from keystead_enroll.web.console import (
    accounts,
    administrators,
    arrival,
    audit,
    bulk_jobs,
    certificates,
    dashboard,
    devices,
    endorsement_keys,
    evidence,
    forms,
    identity_providers,
    licences,
    organizations,
    persons,
    profiles,
    registration_tokens,
    requests,
    tokens,
)
from keystead_enroll.web.console.tools import ConsoleTools
from keystead_enroll.web.problems import as_problem
from keystead_kit.problems import problem_response, wants_page

ROUTERS = (
    arrival.router,
    dashboard.router,
    certificates.router,
    requests.router,
    bulk_jobs.router,
    devices.router,
    registration_tokens.router,
    endorsement_keys.router,
    evidence.router,
    organizations.router,
    profiles.router,
    forms.router,
    accounts.router,
    licences.router,
    persons.router,
    administrators.router,
    identity_providers.router,
    tokens.router,
    audit.router,
)


def add_console(app: FastAPI, tools: ConsoleTools) -> None:
    """Adds the pages below `/console`."""
    for router in ROUTERS:
        app.include_router(router(tools))

    @app.exception_handler(ConsoleClosed)
    def closed(request: Request, refusal: ConsoleClosed) -> Response:
        if wants_page(request):
            return arrival.sign_in_first(tools, request, refusal)
        return problem_response(as_problem(refusal))

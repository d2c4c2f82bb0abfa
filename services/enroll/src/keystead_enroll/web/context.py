"""What the routes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Form, Request, Response
from starlette.responses import RedirectResponse

from keystead_enroll.bootstrap import Enroll
from keystead_enroll.web.agent_streams import AgentStreams
from keystead_enroll.web.streams import Streams
from keystead_kit.drafts import Drafts
from keystead_kit.forms import Cookies, FormGuard
from keystead_kit.pages import Pages
from keystead_kit.secrets import TokenVerifier

SESSION = "session"
IDENTITY = "identity"
FormToken = Annotated[str, Form(max_length=128)]


@dataclass(frozen=True)
class WebContext:
    """Passed to each router."""

    enroll: Enroll
    pages: Pages
    cookies: Cookies
    identity_cookies: Cookies
    guard: FormGuard
    drafts: Drafts
    streams: Streams
    agent_streams: AgentStreams
    identities: TokenVerifier

    def render(self, request: Request, template: str, *, status: int = 200, **values: object) -> Response:
        """A page whose forms carry this visitor's form token."""
        visit, form_token = self.guard.visit(request)
        response = self.pages.render(template, status=status, form_token=form_token, **values)
        self.guard.remember(request, response, visit)
        return response

    def session_token(self, request: Request) -> str | None:
        """What the browser shows for its session."""
        return self.cookies.get(request, SESSION)

    def taken(self, request: Request, onwards: str) -> Response:
        """The answer to a form that has no mistakes (any more)."""
        response = RedirectResponse(onwards, 303)
        self.drafts.forget(request, response)
        return response

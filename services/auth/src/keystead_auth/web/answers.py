"""Answers that several of auth's pages give."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from keystead_auth.bootstrap import Parts
from keystead_auth.domain.errors import FormUnknown, LinkInvalid
from keystead_auth.domain.providers import IdentityProvider, Purpose
from keystead_auth.domain.sign_in import Form, SignedIn
from keystead_auth.usecases.mint_identity import IDENTITY_LIFETIME
from keystead_auth.usecases.view_form import view_form
from keystead_contracts.words import Words
from keystead_kit.pages import Pages
from keystead_kit.problems import ProblemException
from keystead_kit.trace import bound_trace_id

SESSION = "session"
IDENTITY = "identity"
_URI = re.compile(r"[A-Za-z0-9_-]{1,58}")


class Answers:
    """Builds auth's answers from `Parts` and `Pages`."""

    def __init__(self, parts: Parts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    def page(
        self, template: str, /, *, form: Form | None, status: int = 200, reference: str = "", **context: Any
    ) -> Response:
        """A page without a form to send."""
        return self._pages.render(template, status=status, form=_shown(form), reference=reference, **context)

    def form_page(
        self, request: Request, template: str, /, *, form: Form | None, status: int = 200, **context: Any
    ) -> Response:
        """A page with a form that this browser may send back."""
        visit, token = self._parts.guard.visit(request)
        response = self._pages.render(template, status=status, form_token=token, form=_shown(form), **context)
        self._parts.guard.remember(request, response, visit)
        return response

    def signed_in(self, who: SignedIn) -> Response:
        """Sends the browser on to the form, with the identity token and a session of its own if it is new."""
        response = self.see_other(f"/e/{who.form.uri}")
        if who.session_token:
            self._parts.cookies.put(
                response, SESSION, who.session_token, int(self._parts.settings.session_lifetime.total_seconds())
            )
        self._parts.identity_cookies.put(response, IDENTITY, who.identity_token, int(IDENTITY_LIFETIME.total_seconds()))
        return response

    def link_invalid(self, refusal: LinkInvalid) -> Response:
        """The page for a link that signs nobody in, with the next step."""
        form = self._form_or_none(refusal.form)
        return self.page(
            "link_invalid.html",
            status=410,
            form=form,
            reason=refusal.reason,
            sign_in_url=sign_in_url(form.uri) if form else None,
            reference=bound_trace_id() or "",
        )

    def refused(self, problem: ProblemException, uri: str | None) -> Response:
        """The page for a refusal whose next step is to begin again, where the form is known."""
        form = self._form_or_none(uri)
        action = (
            {"label": Words("Back to the sign-in page"), "url": f"{sign_in_url(form.uri)}?stay=1"} if form else None
        )
        return self._pages.problem(problem, action, {"form": _shown(form)})

    def signed_out(self, uri: str) -> Response:
        """The page after the end of a session, which ends with the cookies."""
        form = self._form_or_none(uri)
        response = self.page("signed_out.html", form=form, sign_in_url=sign_in_url(form.uri) if form else None)
        self._parts.cookies.drop(response, SESSION)
        self._parts.identity_cookies.drop(response, IDENTITY)
        return response

    def frame(self, request: Request) -> dict[str, Any]:
        """What surrounds a page on which something went wrong: the form, where the address names one."""
        return {"form": _shown(self._form_or_none(request.path_params.get("uri")))}

    @staticmethod
    def see_other(path: str) -> RedirectResponse:
        """303 to a path of this site."""
        return RedirectResponse(path, 303, headers={"cache-control": "no-store"})

    def _form_or_none(self, uri: str | None) -> Form | None:
        try:
            return view_form(self._parts.transactions, known_uri(uri)) if uri else None
        except FormUnknown:
            return None


def known_uri(uri: str) -> str:
    """`uri`, if it is a URI extension at all. Raises FormUnknown."""
    if not _URI.fullmatch(uri):
        raise FormUnknown
    return uri


def sign_in_url(uri: str) -> str:
    """Where a form's sign-in begins."""
    return f"/auth/sign-in/{uri}"


def begin_url(provider: IdentityProvider, uri: str) -> str:
    """Where a sign-in through an identity provider begins."""
    return f"/auth/{provider.kind}/{quote(provider.id, safe='')}/sign-in?form={uri}"


def administrators_begin_url(provider: IdentityProvider) -> str:
    """Where an administrator's sign-in through an identity provider begins."""
    return f"/auth/{provider.kind}/{quote(provider.id, safe='')}/sign-in?purpose={Purpose.ADMINISTRATOR}"


def _shown(form: Form | None) -> dict[str, Any] | None:
    if form is None:
        return None
    return {
        "name": form.name,
        "organization": form.organization,
        "help_text": form.help_text,
        "help_link": form.help_link,
        "logo_url": None,
    }

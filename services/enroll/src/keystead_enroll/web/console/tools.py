"""What the console's routes share: who is there, the frame around a page, forms that are sent, what comes after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from fastapi import Request, Response
from starlette.responses import RedirectResponse

from keystead_contracts.problems import ProblemCode
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Role, Scope
from keystead_enroll.domain.administration_refusals import ConsoleClosed, InputRefused
from keystead_enroll.usecases.admin.console import Visitor, visitor_of
from keystead_enroll.web.console.columns import COOKIE, KEPT_SECONDS
from keystead_enroll.web.console.navigation import LATER, navigation
from keystead_enroll.web.console.widgets import LAYOUT, Frame, ListPage, Notice
from keystead_enroll.web.context import WebContext
from keystead_kit.drafts import Draft
from keystead_kit.http import client_address
from keystead_kit.problems import ProblemException

CONSOLE = "console"
"""The cookie of a console session."""
DONE = {
    "created": Words("Created."),
    "saved": Words("Saved."),
    "unchanged": Words("Nothing was changed."),
    "deleted": Words("Deleted."),
    "withdrawn": Words("Withdrawn. Nobody can use it any more."),
    "offered": Words("Offered again."),
    "approved": Words("Approved. The person gets a letter."),
    "rejected": Words("Declined. The person gets a letter."),
    "cancelled": Words("Cancelled. The person gets a letter."),
    "revoked": Words("Revoked."),
    "released": Words("Released."),
    "invited": Words("The invitation is on its way."),
    "generated": Words("The form has a new address. The old one leads nowhere any more."),
    "published": Words("Published. People accept this version from now on."),
    "ended": Words("Ended. It opens nothing any more."),
    "came_before": Words("This file was sent before. This is its job."),
    "tried_again": Words("The failed rows are tried again."),
    "unchosen": Words("Nothing was chosen, so nothing was done. Check those that you mean first."),
}
"""What a page says after a form that led to it: `?done=<key>`."""


class Rendered(Protocol):
    """A page of `widgets` or `form_widgets`."""

    @property
    def template(self) -> str: ...


@dataclass(frozen=True)
class Posted:
    """A form that came from a page of ours: the guard has looked at it. Values as typed."""

    values: Mapping[str, Sequence[str]]
    files: Mapping[str, bytes]

    def text(self, name: str) -> str:
        """The field's value; "" if it was not sent."""
        return self.values.get(name, ("",))[-1]

    def optional(self, name: str) -> str | None:
        """As `text`, stripped; None if nothing is left."""
        return self.text(name).strip() or None

    def lines(self, name: str) -> list[str]:
        """A textarea with one value a line."""
        return [line.strip() for line in self.text(name).splitlines() if line.strip()]

    def many(self, name: str) -> list[str]:
        """Every value of a field that may come several times, such as checks."""
        return [value for value in self.values.get(name, ()) if value]

    def flag(self, name: str) -> bool:
        """Whether a check was set."""
        return bool(self.many(name))

    def draft(self, errors: Mapping[str, str]) -> Draft:
        """To be shown again, with what is wrong. Several values of a field stand below each other."""
        kept = {name: "\n".join(values) for name, values in self.values.items() if name != "form_token"}
        return Draft(kept, dict(errors))


class ConsoleTools:
    """Passed to each router of the console."""

    def __init__(self, context: WebContext) -> None:
        self.context, self.enroll = context, context.enroll
        self.transactions, self.clock = context.enroll.transactions, context.enroll.clock

    def visitor(self, request: Request) -> Visitor:
        """The dependency that says who is there. Raises ConsoleClosed."""
        token = self.context.cookies.get(request, CONSOLE)
        return visitor_of(self.transactions, self.clock, token, client_address(request))

    async def posted(self, request: Request) -> Posted:
        """The dependency that reads a form and lets nothing but our own pages send one. Raises ProblemException."""
        async with request.form(max_files=1, max_fields=2000, max_part_size=5 * 1024 * 1024) as form:
            values: dict[str, list[str]] = {}
            files: dict[str, bytes] = {}
            for name, value in form.multi_items():
                if isinstance(value, str):
                    values.setdefault(name, []).append(value)
                else:
                    files[name] = await value.read()
        self.context.guard.check(request, (values.get("form_token") or [""])[-1])
        return Posted(values, files)

    def render(
        self,
        request: Request,
        visitor: Visitor,
        page: Rendered,
        nav: str,
        *,
        status: int = 200,
        notice: Notice | None = None,
    ) -> Response:
        """`page` in the console's frame, with `nav` marked in the navigation."""
        visit, form_token = self.context.guard.visit(request)
        frame = self.frame(request, visitor, nav, notice)
        response = self.context.pages.render(
            page.template, status=status, form_token=form_token, page=page, frame=frame
        )
        self.context.guard.remember(request, response, visit)
        if isinstance(page, ListPage) and page.remembered is not None:
            self.context.cookies.put(response, COOKIE, page.remembered, KEPT_SECONDS)
        return response

    def frame(self, request: Request, visitor: Visitor, nav: str, notice: Notice | None = None) -> Frame:
        """What surrounds a page, with what has just been done."""
        done = DONE.get(request.query_params.get("done", ""))
        hidden = set() if visitor.actor.scope.everything else {"providers", "terms"}
        return Frame(
            nav=navigation(nav, hidden=LATER | hidden),
            email=visitor.administrator.email,
            name=visitor.administrator.name,
            role=role_words(visitor.actor.scope),
            account_url="/auth/administrators/account",
            notice=notice or (Notice(done, "warn" if done is DONE["unchosen"] else "good") if done else None),
        )

    def problem_frame(self, request: Request) -> Mapping[str, Any]:
        """What surrounds a page of the console on which something went wrong; nothing if nobody is signed in."""
        try:
            visitor = self.visitor(request)
        except ConsoleClosed:
            return {}
        _, form_token = self.context.guard.visit(request)
        return {"layout": LAYOUT, "frame": self.frame(request, visitor, ""), "form_token": form_token}

    def draft(self, request: Request) -> Draft:
        """What was typed before, if this page is shown again because something in it was wrong."""
        return self.context.drafts.get(request)

    def done(self, request: Request, url: str, what: str = "") -> Response:
        """The answer to a form that was taken: on to `url`, which says so (`DONE`)."""
        response = RedirectResponse(f"{url}?{urlencode({'done': what})}" if what else url, 303)
        self.context.drafts.forget(request, response)
        return response

    def again(
        self, request: Request, posted: Posted, refusal: InputRefused, page: Callable[[Draft], Response]
    ) -> Response:
        """The answer to a form with mistakes: `page` again, with what was typed and what is wrong. By a redirect, so
        that Back and Reload send nothing; what is too long for that is answered at once."""
        draft = posted.draft(refusal.fields)
        if self.context.drafts.holds(request, draft):
            return self.context.drafts.send_back(request, draft)
        response = page(draft)
        response.status_code = 422
        return response


def role_words(scope: Scope) -> str:
    """What an administrator is, in words."""
    if scope.everything:
        return Words("Master administrator")
    if any(grant.role is Role.RAO for grant in scope.grants):
        return Words("Organization administrator")
    return Words("Department administrator") if scope.grants else Words("No role")


def not_found() -> ProblemException:
    """The answer for what is not there."""
    return ProblemException(
        404, ProblemCode.NOT_FOUND, Words("There is nothing at this address."), Words("Check the address.")
    )

"""The console's first page: what needs the administrator, and how things go.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.base import CertificateType
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Scope
from keystead_enroll.domain.figures import DAYS, Figures
from keystead_enroll.domain.lists import FORMS, ORDERS
from keystead_enroll.domain.search import Search
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.usecases.admin.dashboard import show_dashboard
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.tools import ConsoleTools
from keystead_enroll.web.console.widgets import Action, Chart, Dashboard, Empty, Need, Point
from keystead_enroll.web.evidence_words import LEVELS

NAV = "dashboard"
DAYS_A_COLUMN = 2
"""Days that one column of the chart stands for: 30 would be too many columns for a telephone."""
_CERTIFICATES, _REQUESTS = f"{HOME}/certificates", f"{HOME}/requests"
_TYPES = {
    CertificateType.CLIENT: Words("Client"),
    CertificateType.DEVICE: Words("Device"),
    CertificateType.SSL: Words("SSL"),
}


def router(tools: ConsoleTools) -> APIRouter:
    """The page."""
    pages = APIRouter(include_in_schema=False)
    Here = Annotated[Visitor, Depends(tools.visitor)]

    @pages.get(HOME)
    def show(request: Request, visitor: Here) -> Response:
        figures = show_dashboard(tools.transactions, tools.clock, visitor.actor)
        with tools.transactions.read() as tx:
            scope = visitor.actor.scope
            start = None if tx.count(ORDERS, scope, Search()) else first_steps(scope, tx.count(FORMS, scope, Search()))
        return tools.render(request, visitor, _page(figures, start), NAV)

    return pages


def _page(figures: Figures, start: Empty | None) -> Dashboard:
    return Dashboard(
        needs=_needs(figures),
        charts=() if start else (_issued(figures), _assurance(figures), _expiring(figures)),
        start=start,
    )


def first_steps(scope: Scope, forms: int) -> Empty:
    """How to begin, for whoever may do it: certificate profiles are masters' work."""
    if forms:
        advice = Words("Give a form's address to those who are to enroll.")
    elif scope.everything:
        advice = Words("Set up a certificate profile and a form, and give its address to those who are to enroll.")
    else:
        advice = Words("Ask a master administrator for a certificate profile and a form that you can use.")
    return Empty(
        Words("Nothing was asked for yet"), advice, Action(Words("Enrollment forms"), f"{HOME}/forms", "primary")
    )


def _needs(figures: Figures) -> tuple[Need, ...]:
    waiting, failed, expiring = figures.awaiting_approval, figures.failed, figures.expiring
    failing = len(figures.failing_providers)
    return (
        Need(
            waiting,
            Words.plural("request waits for approval", "requests wait for approval", waiting),
            f"{_REQUESTS}?q=state:awaiting_approval",
        ),
        Need(
            failed,
            Words.plural("request failed in the last 7 days", "requests failed in the last 7 days", failed),
            f"{_REQUESTS}?q=state:failed",
            "bad",
        ),
        Need(
            expiring,
            Words.plural("certificate ends within 30 days", "certificates end within 30 days", expiring),
            f"{_CERTIFICATES}?q=-state:expired+-state:revoked+expires:%3C30d",
        ),
        Need(
            failing,
            Words.plural("identity provider cannot be used", "identity providers cannot be used", failing),
            f"{HOME}/identity-providers",
            "bad",
        ),
    )


def _issued(figures: Figures) -> Chart:
    days = figures.days
    points = []
    for at in range(0, len(days), DAYS_A_COLUMN):
        some = days[at : at + DAYS_A_COLUMN]
        following = some[-1].day + timedelta(days=1)
        points.append(
            Point(
                f"{some[0].day:%m-%d}",
                tuple(sum(day.issued[kind] for day in some) for kind in _TYPES),
                f"{_CERTIFICATES}?q=issued:%3E{some[0].day}+issued:%3C{following}",
            )
        )
    return Chart(
        title=Words("Issued in the last {days} days", days=DAYS),
        points=tuple(points),
        series=tuple(_TYPES.values()),
        intro=Words("Each column is {days} days, UTC.", days=DAYS_A_COLUMN),
        point_name=Words("From"),
        empty=Words("Nothing was issued."),
    )


def _assurance(figures: Figures) -> Chart:
    return Chart(
        title=Words("Where keys are"),
        points=tuple(
            Point(LEVELS[level][1], (count,), f"{_CERTIFICATES}?q=assurance:{level}+-state:expired+-state:revoked")
            for level, count in figures.assurance.items()
        ),
        kind="bars",
        intro=Words("Of certificates in use, by how sure we are."),
        point_name=Words("Proof"),
        empty=Words("No certificate is in use."),
    )


def _expiring(figures: Figures) -> Chart:
    return Chart(
        title=Words("Ending in the next {weeks} weeks", weeks=len(figures.weeks)),
        points=tuple(
            Point(
                f"{week.begins:%m-%d}",
                (week.expiring,),
                f"{_CERTIFICATES}?q=-state:revoked+expires:%3E{week.begins}"
                f"+expires:%3C{week.begins + timedelta(weeks=1)}",
            )
            for week in figures.weeks
        ),
        intro=Words("Certificates in use, by the week in which they end."),
        point_name=Words("Week from"),
        empty=Words("No certificate ends in these weeks."),
    )

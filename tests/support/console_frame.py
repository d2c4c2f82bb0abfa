"""What the samples of console pages share: who looks, at what time, and how a page is shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from tests.support.page_sample_data import ENROLL

from keystead_enroll.web.console.bulk_widgets import BulkJobPage
from keystead_enroll.web.console.form_widgets import (
    ConfirmPage,
    FormPage,
)
from keystead_enroll.web.console.navigation import navigation
from keystead_enroll.web.console.widgets import (
    Dashboard,
    DetailPage,
    Frame,
    ListPage,
    Notice,
)
from keystead_kit.pages import Pages

NOW = datetime.now(UTC).replace(microsecond=0)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ID = "0192f3a05b7c7def8a90123456789abc"
LONG = "Rheinisch-Westfälische Forschungsgemeinschaft für Verkehrsinfrastruktur und Donaudampfschifffahrt e.V."
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
PAGES = Pages(ENROLL)
WHO = {"email": "grace.hopper@example.org", "name": "Grace Hopper", "role": "Master administrator"}


@dataclass(frozen=True)
class ConsoleSample:
    """One state of one page; `name` is unique."""

    name: str
    page: ListPage | DetailPage | FormPage | ConfirmPage | Dashboard | BulkJobPage
    frame: Frame


def render(sample: ConsoleSample) -> str:
    """The page as the console would answer it."""
    answer = PAGES.render(sample.page.template, form_token="token", frame=sample.frame, page=sample.page)
    return bytes(answer.body).decode()


def frame(current: str, notice: Notice | None = None) -> Frame:
    """Around a page of the place `current`."""
    counts = {"requests": 3}
    return Frame(navigation(current, counts=counts), notice=notice, account_url="/console/account", **WHO)

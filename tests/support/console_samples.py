"""The console's pages in every state, as routes make them: for previews and for tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.support.console_bulk import BULK
from tests.support.console_details import DETAILS
from tests.support.console_forms import CONFIRMS, FORMS_SAMPLES
from tests.support.console_frame import NOW, ConsoleSample, frame
from tests.support.console_lists import (
    LISTS,
)
from tests.support.evidence_pages import console_evidence

from keystead_enroll.web.console.widgets import (
    Action,
    Chart,
    Dashboard,
    Empty,
    Need,
    Point,
)

ISSUED = Chart(
    "Issued in the last 12 weeks",
    tuple(
        Point(f"{(NOW - timedelta(weeks=12 - week)):%-d %b}", (9 * week % 31, 40 - 3 * week, 5 + week), "/console")
        for week in range(12)
    ),
    series=("Client", "Device", "SSL"),
    point_name="Week of",
)  # fmt: skip
EXPIRING = Chart(
    "Expire in the next 8 weeks",
    tuple(
        Point(f"{(NOW + timedelta(weeks=week)):%-d %b}", (count,), "/console/certificates")
        for week, count in enumerate([4, 0, 17, 9, 2, 0, 1, 1302])
    ),
    point_name="Week of",
    intro="Most renew by themselves.",
)
ASSURANCE = Chart(
    "Valid certificates by assurance",
    tuple(
        Point(name, (count,), f"/console/certificates?q=assurance:{name}")
        for name, count in {"vendor": 12, "listed": 340, "attested": 5120, "claimed": 871, "software": 3}.items()
    ),
    "bars",
)
BOARD = Dashboard(
    (
        Need(3, "requests await your approval", "/console/requests?q=state:awaiting"),
        Need(2, "enrollments failed since yesterday", "/console/requests?q=state:failed", "bad"),
        Need(1417, "certificates expire within 30 days and do not renew by themselves", "/console/certificates?q=x"),
        Need(0, "connectors are down", "/console/connectors", "bad"),
    ),
    (ISSUED, EXPIRING, ASSURANCE, Chart("Revoked in the last 12 weeks", (), empty="None was revoked.")),
)
BOARDS = [
    ConsoleSample("dashboard", BOARD, frame("dashboard")),
    ConsoleSample("dashboard-calm", replace(BOARD, needs=(), charts=(ISSUED,)), frame("dashboard")),
    ConsoleSample(
        "dashboard-new",
        Dashboard(
            (),
            start=Empty(
                "Begin with an organization",
                "Then make a certificate profile, and an enrollment form that people can open.",
                Action("Create an organization", "/console/organizations/new", "primary"),
            ),
        ),
        frame("dashboard"),
    ),
]
SAMPLES = [*BOARDS, *LISTS, *DETAILS, *BULK, *console_evidence(), *FORMS_SAMPLES, *CONFIRMS]

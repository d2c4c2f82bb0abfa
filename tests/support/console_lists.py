"""Lists of the console in every state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from tests.support.console_frame import HASH, ID, LONG, NOW, TRACE, ConsoleSample, frame

from keystead_contracts.base import AssuranceLevel
from keystead_enroll.domain.administration import ActorKind, AuditEntry
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.web.console import audit, certificates, request_decisions, requests
from keystead_enroll.web.console.cells import link, moment, several, tag, text
from keystead_enroll.web.console.widgets import (
    Action,
    Bulk,
    Chip,
    Choice,
    Column,
    ColumnPicker,
    Empty,
    ListPage,
    Notice,
    PageSize,
    Row,
    SearchBox,
    SearchField,
    Tab,
)

SEARCH = SearchBox(
    "/console/certificates",
    fields=(
        SearchField("type", "type:device", "client, device or ssl"),
        SearchField("state", "state:revoked", "valid, expiring, expired, revoked or on-hold"),
        SearchField("expires", "expires:<30d", "valid for less than 30 days; also a date, expires:<2027-01-31"),
        SearchField("org", "org:physics", "the organization's or department's name"),
        SearchField("assurance", "assurance:>=attested", "what is proven about the key, at least"),
        SearchField("serial", "serial:5f2a91", "how the serial number begins"),
    ),
    hidden=(("sort", "-expires"), ("size", "50")),
    clear_url="/console/certificates",
)
COLUMNS = (
    Column("subject", "Subject", "/console/certificates?sort=subject"),
    Column("type", "Type", narrow=True),
    Column("profile", "Profile"),
    Column("org", "Organization"),
    Column("assurance", "Key", narrow=True),
    Column("expires", "Valid until", "/console/certificates?sort=expires", sorted="descending", narrow=True),
    Column("state", "State", narrow=True),
)
STATES = (tag("good", "Valid"), tag("warn", "Expires soon"), tag("bad", "Revoked"), tag("calm", "Expired"))
KEYS = (tag("good", "Attested"), tag("calm", "Claimed"), tag("warn", "Software"))
EXPORT = "/console/certificates.csv?sort=-expires"
NO_CERTIFICATES = Empty(
    "No certificates yet",
    "Publish an enrollment form; each certificate that is issued through it appears here.",
    Action("Create an enrollment form", "/console/forms/new", "primary"),
)


def certificate_row(number: int) -> Row:
    """A line of the list of certificates."""
    kind = ("Client", "Device", "SSL")[number % 3]
    name = (f"Ada Lovelace {number}", f"laptop-{number:03}.example.org", f"www{number}.example.org")[number % 3]
    return Row(
        f"/console/certificates/{number:04}{ID[4:]}",
        (
            text(name),
            text(kind),
            text(f"{kind} certificate"),
            text(("Northwind University", "Physics", "Contoso")[number % 3]),
            KEYS[number % 3],
            moment(NOW + timedelta(days=400 - 2 * number)),
            STATES[(number // 7) % 4],
        ),
        key=f"{number:04}{ID[4:]}",
    )


CERTIFICATES = ListPage(
    "Certificates",
    COLUMNS,
    tuple(certificate_row(number) for number in range(25)),
    NO_CERTIFICATES,
    search=SEARCH,
    total=1204,
    next_url="/console/certificates?after=25",
    page_sizes=tuple(PageSize(size, f"/console/certificates?size={size}", size == 25) for size in (25, 50, 100, 200)),
    export_url=EXPORT,
    picker=ColumnPicker(
        "/console/certificates",
        tuple(Choice(column.key, column.label, column.key != "profile") for column in COLUMNS),
        (("q", "type:device"),),
    ),
)
FILTERED = replace(
    CERTIFICATES,
    rows=CERTIFICATES.rows[1:20:3],
    total=7,
    next_url="",
    first_url="/console/certificates",
    search=replace(
        SEARCH,
        text='type:device expires:<30d "laptop"',
        chips=(
            Chip("type: device", "/console/certificates?q=expires:<30d"),
            Chip("expires in less than 30 days", "/console/certificates?q=type:device"),
            Chip("laptop", "/console/certificates?q=type:device+expires:<30d"),
        ),
    ),
    bulk=Bulk(
        (
            Action("Revoke", "/console/certificates/revoke", "danger"),
            Action("Renew now", "/console/certificates/renew"),
        )
    ),
)
FORMS = ListPage(
    "Enrollment forms",
    (
        Column("name", "Name", "/console/forms?sort=-name", sorted="ascending"),
        Column("type", "Type", narrow=True),
        Column("methods", "Authentication"),
        Column("accounts", "Accounts", narrow=True),
        Column("delegated", "Delegated to"),
        Column("state", "State", narrow=True),
    ),
    (
        Row(
            f"/console/forms/{ID}",
            (
                text("Staff certificates", "/e/k7Qm2xVt9s"),
                text("Client"),
                several(["E-mail", "Identity provider", "Secret ID"]),
                text(2),
                text("All organizations"),
                tag("good", "Published"),
            ),
        ),
        Row(
            f"/console/forms/{ID}",
            (
                text(LONG, "/e/" + "aZ09" * 14 + "xy"),
                text("Device"),
                several(["E-mail"]),
                text(0),
                several(["Northwind University", LONG]),
                tag("warn", "No account"),
            ),
        ),
        Row(
            f"/console/forms/{ID}",
            (
                text("Servers of the physics department"),
                text("SSL"),
                text(""),
                text(1),
                text("Physics"),
                tag("calm", "Closed"),
            ),
        ),
    ),
    Empty(
        "No enrollment forms yet",
        "A form is an address that you give to people or machines. There they prove who they are and ask for a "
        "certificate of one type.",
        Action("Create an enrollment form", "/console/forms/new", "primary", icon="add"),
    ),
    intro="Each form is a page where people or machines of your organizations ask for certificates.",
    create=Action("Create", "/console/forms/new", "primary", icon="add"),
)
REQUESTS = ListPage(
    "Requests",
    (
        Column("who", "Requester"),
        Column("profile", "Profile"),
        Column("form", "Form"),
        Column("asked", "Asked", "/console/requests?sort=asked", sorted="descending", narrow=True),
        Column("state", "State", narrow=True),
    ),
    tuple(
        Row(
            f"/console/requests/{number}{ID}",
            (
                text(name, mail),
                text("Staff client certificate"),
                link("Staff certificates", f"/console/forms/{ID}"),
                moment(NOW - timedelta(minutes=37 * (number + 1)), "datetime", relative=True),
                tag("warn", "Awaits approval"),
            ),
            key=f"{number}{ID}",
        )
        for number, (name, mail) in enumerate(
            [
                ("Ada Lovelace", "ada.lovelace@example.org"),
                ("Charles Babbage", "charles.babbage@example.org"),
                ('"><script>alert(1)</script>', "x" * 60 + "@a-rather-long-department-name.example.org"),
            ]
        )
    ),
    Empty("No requests yet", "What people ask for appears here, and waits here where you approve it yourself."),
    tabs=(
        Tab("Awaiting approval", "/console/requests?q=state:awaiting", current=True, count=3),
        Tab("Under way", "/console/requests?q=state:open", count=12),
        Tab("Failed", "/console/requests?q=state:failed", count=0),
        Tab("All", "/console/requests"),
    ),
    search=replace(SEARCH, action="/console/requests"),
    bulk=Bulk(
        (
            Action("Approve", "/console/requests/approve", "primary"),
            Action("Reject", "/console/requests/reject", "danger"),
        )
    ),
)
ENTRIES = [
    AuditEntry(
        NOW - timedelta(minutes=90 * number),
        ActorKind.ADMINISTRATOR,
        ID,
        mail,
        address,
        action,
        ID,
        target,
        None,
        None,
        None,
        {},
        TRACE,
        number,
    )
    for number, (mail, address, action, target) in enumerate(
        [
            ("marie.curie@lab.example.net", "192.0.2.207", "administrator.create", "grace.hopper@admin.example.org"),
            ("grace.hopper@admin.example.org", "2001:db8:85a3:8d3:1319:8a2e:370:7348", "certificate.revoke", HASH[:32]),
            ("ada.lovelace@physics.example.org", "", "identity-provider.change", LONG),
        ]
    )
]
STORED = SimpleNamespace(
    profile=lambda _: SimpleNamespace(name="Managed laptops of all departments"),
    form_of=lambda _: SimpleNamespace(name="Staff certificates and devices"),
    organization=lambda _: SimpleNamespace(name="Northwind University"),
)
ASKED = [
    SimpleNamespace(
        id=ID,
        profile_id=ID,
        form_id=ID,
        organization_id=ID,
        asked_by=mail,
        person_name=name,
        wanted_name=wanted,
        state=state,
        created_at=NOW - timedelta(minutes=37),
    )
    for mail, name, wanted, state in [
        ("marie.curie@lab.example.net", "Marie Skłodowska-Curie", "laptop-042.lab.example.net", OrderState.OFFERED),
        ("charles.babbage@engines.example.org", "Charles Babbage", "Charles Babbage", OrderState.AWAITING_APPROVAL),
        ("ada.lovelace@example.org", "", "www.physics.example.org", OrderState.FAILED),
    ]
]
ISSUED_TO = [
    ("marie.curie@lab.example.net", "Marie Skłodowska-Curie", "Managed laptops of all departments", "vendor"),
    ("laptop-042.lab.example.net", "charles.babbage@engines.example.org", "Staff certificates", "claimed"),
    ("www.physics.example.org", "", "Server", "software"),
]


def issued_row(told: tuple[str, str, str, str]) -> Row:
    """A line of the list of certificates as it is, with long names."""
    subject, owner, profile, level = told
    facts = SimpleNamespace(
        id=ID, subject=subject, owner=owner, profile_id=ID, organization_id=ID, assurance=AssuranceLevel(level),
        machine=subject, issued_at=NOW, not_after=NOW + timedelta(days=365),
    )  # fmt: skip
    stored = SimpleNamespace(profile=lambda _: SimpleNamespace(name=profile), organization=STORED.organization)
    return certificates.row_of(cast(Any, stored), cast(Any, facts), tag("warn", "Expires soon"))


LISTS = [
    ConsoleSample("list-audit", replace(audit.PAGE, rows=tuple(map(audit.row_of, ENTRIES))), frame("audit")),
    ConsoleSample(
        "list-waiting",
        replace(
            requests.page_of(request_decisions.WAITING),
            rows=tuple(requests.row_of(cast(Any, STORED), cast(Any, each)) for each in ASKED),
        ),
        frame("requests"),
    ),
    ConsoleSample(
        "list-issued", replace(certificates.LIST, rows=tuple(map(issued_row, ISSUED_TO))), frame("certificates")
    ),
    ConsoleSample("list-certificates", CERTIFICATES, frame("certificates")),
    ConsoleSample("list-filtered", FILTERED, frame("certificates")),
    ConsoleSample(
        "list-nothing-found",
        replace(FILTERED, rows=(), total=0, first_url="", page_sizes=()),
        frame("certificates"),
    ),
    ConsoleSample(
        "list-not-understood",
        replace(
            CERTIFICATES,
            search=replace(SEARCH, text="expires:soon", error="“soon” is no time. Write it as expires:<30d."),
            rows=(),
        ),
        frame("certificates"),
    ),
    ConsoleSample("list-empty", replace(FORMS, rows=()), frame("forms")),
    ConsoleSample("list-forms", FORMS, frame("forms", Notice("“Staff certificates” is published."))),
    ConsoleSample("list-requests", REQUESTS, frame("requests")),
    ConsoleSample(
        "list-200",
        replace(CERTIFICATES, rows=tuple(certificate_row(number) for number in range(200))),
        frame("certificates"),
    ),
]

"""The console's pages in every state, as routes make them: for previews and for tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

from tests.support.page_samples import ENROLL

from keystead_contracts.base import AssuranceLevel
from keystead_enroll.domain.administration import ActorKind, AuditEntry
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.web.console import audit, certificates, request_decisions, requests
from keystead_enroll.web.console.cells import Cell, code, copy, link, moment, several, tag, text
from keystead_enroll.web.console.form_widgets import (
    ConfirmPage,
    FieldButton,
    Fieldset,
    FormField,
    FormPage,
    Option,
)
from keystead_enroll.web.console.navigation import navigation
from keystead_enroll.web.console.widgets import (
    Action,
    Bulk,
    Chart,
    Chip,
    Choice,
    Column,
    ColumnPicker,
    Crumb,
    Dashboard,
    DetailPage,
    Empty,
    Fact,
    Frame,
    ListPage,
    Need,
    Notice,
    PageSize,
    Point,
    Preview,
    Row,
    SearchBox,
    SearchField,
    Section,
    Tab,
    Table,
    TimelineEntry,
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
    page: ListPage | DetailPage | FormPage | ConfirmPage | Dashboard
    frame: Frame


@cache
def _pages() -> Pages:
    return Pages(ENROLL)


def render(sample: ConsoleSample) -> str:
    """The page as the console would answer it."""
    answer = PAGES.render(sample.page.template, form_token="token", frame=sample.frame, page=sample.page)
    return bytes(answer.body).decode()


def frame(current: str, notice: Notice | None = None) -> Frame:
    """Around a page of the place `current`."""
    counts = {"requests": 3}
    return Frame(navigation(current, counts=counts), notice=notice, account_url="/console/account", **WHO)


# -- lists ---------------------------------------------------------------------------------------------------------

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
    form=lambda _: SimpleNamespace(name="Staff certificates and devices"),
    organization=lambda _: SimpleNamespace(name="Northwind University"),
)
ASKED = [
    SimpleNamespace(
        id=ID,
        profile_id=ID,
        form_id=ID,
        organization_id=ID,
        person_email=mail,
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

# -- details -------------------------------------------------------------------------------------------------------

TIMELINE = (
    TimelineEntry(
        NOW - timedelta(minutes=3),
        "Grace Hopper, from 192.0.2.7",
        "Name and domains changed",
        trace=TRACE,
        changes=(("name", "Physics"), ("dns_domains", "physics.example.org, lab.physics.example.org")),
    ),
    TimelineEntry(
        NOW - timedelta(hours=5), "Keystead Agent on laptop-042", "Installed", "In LocalMachine\\My.", TRACE, "good"
    ),
    TimelineEntry(
        NOW - timedelta(hours=6),
        "Keystead Agent on laptop-042",
        "Installation failed",
        "The computer said: TPM_RC_LOCKOUT. It tries again by itself.",
        TRACE,
        "bad",
    ),
    TimelineEntry(NOW - timedelta(hours=6), "Keystead", "Issued", f"Serial number {HASH[:32]}.", TRACE, "good"),
    TimelineEntry(NOW - timedelta(days=1), "Ada Lovelace, from 2001:db8::42", "Requested", trace=TRACE),
)
CERTIFICATE = DetailPage(
    "laptop-042.example.org",
    (
        Section(
            "Certificate",
            (
                Fact("Type", text("Device")),
                Fact("Profile", link("Managed laptops", f"/console/profiles/{ID}")),
                Fact("Owner", link("Ada Lovelace", f"/console/persons/{ID}", "ada.lovelace@example.org")),
                Fact("Organization", link("Northwind University", f"/console/organizations/{ID}", "Physics")),
                Fact("Valid from", moment(NOW - timedelta(days=10), "datetime")),
                Fact("Valid until", moment(NOW + timedelta(days=20), "datetime", relative=True)),
                Fact("Renewed by itself", moment(NOW + timedelta(days=5)), "The agent asks for it without anybody."),
                Fact("Names", several([code("laptop-042.example.org"), code("laptop-042.physics.example.org")])),
                Fact("Issuer", text("Northwind Issuing CA 2026")),
                Fact("Serial number", copy(HASH[:32], "serial number")),
                Fact("SHA-256 fingerprint", code(HASH)),
                Fact("Revoked", text("")),
            ),
            actions=(
                Action("PEM", "/console/certificates/x.pem", icon="download"),
                Action("DER", "/console/certificates/x.der", icon="download"),
                Action("PKCS #7 chain", "/console/certificates/x.p7b", icon="download"),
            ),
        ),
        Section(
            "Key",
            (
                Fact("Assurance", tag("good", "Attested", "The TPM itself signed that it made this key.")),
                Fact("Algorithm", text("ECDSA P-256")),
                Fact("Machine", link("laptop-042", f"/console/devices/{ID}", "Windows 11, TPM 2.0")),
            ),
        ),
        Section("Evidence as received", code='{"kind": "tpm", "certify": "/1RDR4AXACIAC…", "nonce": "…"}\n' * 6),
    ),
    subtitle="Device certificate of Northwind University",
    tag=tag("warn", "Expires soon"),
    crumbs=(Crumb("Certificates", "/console/certificates"),),
    actions=(
        Action("Renew now", f"/console/certificates/{ID}/renew", method="post"),
        Action("Put on hold", f"/console/certificates/{ID}/hold"),
        Action("Revoke", f"/console/certificates/{ID}/revoke", "danger"),
    ),
    notices=(Notice("The computer has not been seen for 12 days. It renews when it returns.", "warn"),),
    timeline=TIMELINE,
    timeline_url=f"/console/audit?q=target:{ID}",
)
ORGANIZATION = DetailPage(
    LONG,
    (
        Section(
            "Details",
            (
                Fact("E-mail domains", several([code("example.org"), code("lists.example.org")])),
                Fact("DNS domains", several([code("example.org"), code("a-very-long-name." * 6 + "example.org")])),
                Fact("Sent by identity providers as", code(""), "The value of schacHomeOrganization."),
            ),
            actions=(Action("Edit", f"/console/organizations/{ID}/edit", icon="edit"),),
        ),
        Section(
            "Departments",
            table=Table(
                (Column("name", "Name"), Column("domains", "DNS domains"), Column("n", "Certificates", narrow=True)),
                (
                    Row(f"/console/departments/{ID}", (text("Physics"), code("physics.example.org"), text(128))),
                    Row(f"/console/departments/{ID}", (text("Chemistry"), text(""), text(0))),
                ),
            ),
            actions=(Action("Add", f"/console/organizations/{ID}/departments/new", icon="add"),),
        ),
        Section("Administrators", table=Table((), (), "Nobody has a role in this organization alone.")),
    ),
    crumbs=(Crumb("Organizations", "/console/organizations"),),
    actions=(Action("Delete", f"/console/organizations/{ID}/delete", "danger"),),
    timeline=(),
)
FORM_CRUMBS = (Crumb("Enrollment forms", "/console/forms"),)


def form_tabs(current: str) -> tuple[Tab, ...]:
    """The four pages of an enrollment form."""
    base = f"/console/forms/{ID}"
    pages = {"Details": base, "Configuration": f"{base}/configuration", "Accounts": f"{base}/accounts"}
    return tuple(Tab(name, url, name == current) for name, url in (pages | {"Preview": f"{base}/preview"}).items())


ACCOUNTS = DetailPage(
    "Staff certificates",
    (
        Section(
            "Web form accounts",
            intro="Each is a way through this form: for one organization, with its profiles and its own authorization.",
            table=Table(
                (
                    Column("name", "Name"),
                    Column("org", "Organization"),
                    Column("profiles", "Profiles"),
                    Column("authorization", "Authorization"),
                    Column("approval", "Approval", narrow=True),
                ),
                (
                    Row(
                        f"/console/forms/{ID}/accounts/1",
                        (
                            text("Physicists"),
                            text("Northwind University", "Physics"),
                            several(["Staff client certificate", "Staff S/MIME"]),
                            text("Access code"),
                            tag("good", "Automatic"),
                        ),
                    ),
                    Row(
                        f"/console/forms/{ID}/accounts/2",
                        (
                            text("Everybody else"),
                            text("Northwind University"),
                            several(["Staff client certificate"]),
                            text("IdP-assertion mapping", "entitlement CONTAINS urn:mace:example.org:staff"),
                            tag("calm", "By an administrator"),
                        ),
                    ),
                ),
            ),
            actions=(Action("Add", f"/console/forms/{ID}/accounts/new", "primary", icon="add"),),
        ),
    ),
    subtitle="Client certificates",
    tag=tag("good", "Published"),
    crumbs=FORM_CRUMBS,
    tabs=form_tabs("Accounts"),
)
PREVIEW = replace(
    ACCOUNTS,
    sections=(
        Section(
            "What people see",
            preview=Preview(
                "Northwind University",
                "Staff certificates",
                ("email", "idp", "secret_id"),
                "For staff and students with a university computer.\nYou need the access code from your IT desk.",
                "https://help.example.org/certificates",
                "/e/k7Qm2xVt9s",
            ),
        ),
    ),
    tabs=form_tabs("Preview"),
)
NEW_TOKEN = replace(
    ORGANIZATION,
    title="ci-pipeline",
    crumbs=(Crumb("API tokens", "/console/tokens"),),
    notices=(
        Notice(
            "Copy the token now: it is not shown again.", "warn", "kst_c2FtcGxlLXRva2VuLW9mLTI1Ni1iaXRz", "API token"
        ),
    ),
    sections=ORGANIZATION.sections[:1],
    actions=(Action("Revoke", f"/console/tokens/{ID}/revoke", "danger"),),
    timeline=None,
)
DETAILS = [
    ConsoleSample("detail-certificate", CERTIFICATE, frame("certificates", Notice("It renews now."))),
    ConsoleSample("detail-organization", ORGANIZATION, frame("organizations")),
    ConsoleSample("detail-accounts", ACCOUNTS, frame("forms")),
    ConsoleSample("detail-preview", PREVIEW, frame("forms")),
    ConsoleSample("detail-token", NEW_TOKEN, frame("tokens")),
]

# -- forms ---------------------------------------------------------------------------------------------------------

TYPES = (
    Option("client", "Client", "S/MIME and sign-in of a person"),
    Option("device", "Device", "A machine on the network"),
    Option("ssl", "SSL", "TLS servers"),
)
FORM_DETAILS = FormPage(
    "Staff certificates",
    f"/console/forms/{ID}",
    (
        Fieldset(
            (
                FormField("name", "Name", hint="People see it above the form.", more={"maxlength": 128}),
                FormField("type", "Certificate type", "radios", options=TYPES),
                FormField(
                    "uri_extension",
                    "URI extension",
                    hint="The end of the form's address. Whoever knows it can open the form.",
                    code=True,
                    more={"maxlength": 58, "spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"},
                    button=FieldButton("generate_uri", "Generate"),
                    copy="https://enroll.example.org/e/k7Qm2xVt9s",
                ),
                FormField(
                    "help_text",
                    "Help text",
                    "textarea",
                    "Where to get an access code, whom to ask. At most 2048 characters.",
                    required=False,
                    more={"maxlength": 2048},
                ),
                FormField("help_link", "Help link", "url", required=False, more={"inputmode": "url"}),
            )
        ),
        Fieldset(
            (
                FormField("delegation", "Accounts of", "radios", options=(
                    Option("all", "All organizations"), Option("listed", "These organizations only"),
                )),
                FormField("organizations", "Organizations", "checks", required=False, options=tuple(
                    Option(str(number), name)
                    for number, name in enumerate(["Northwind University", "Contoso", LONG, "Fabrikam", "X"])
                )),
            ),
            "Delegation",
            "Who may have web form accounts in this form.",
        ),
    ),
    "Save",
    "/console/forms",
    {
        "name": "Staff certificates",
        "type": "client",
        "uri_extension": "k7Qm2xVt9s",
        "help_text": "For staff and students.\n</textarea><b>not bold</b>",
        "help_link": "https://help.example.org/certificates",
        "delegation": "listed",
        "organizations": ["0", "4"],
    },
    crumbs=FORM_CRUMBS,
    tabs=form_tabs("Details"),
    subtitle="Client certificates",
    tag=tag("good", "Published"),
    danger=Action("Delete this form", f"/console/forms/{ID}/delete", "danger"),
)  # fmt: skip
FORM_WRONG = replace(
    FORM_DETAILS,
    values={**FORM_DETAILS.values, "name": "", "type": "", "help_link": "help.example.org", "organizations": []},
    errors={
        "name": "Give the form a name.",
        "type": "Choose a certificate type.",
        "uri_extension": "Another form has this URI extension. Choose another, or press Generate.",
        "help_link": "Write a whole address that begins with https://.",
        "organizations": "Choose at least one organization.",
    },
)
PROFILE = FormPage(
    "New certificate profile",
    "/console/profiles/new",
    (
        Fieldset(
            (
                FormField("name", "Name"),
                FormField("description", "Description", required=False, hint="People choose by it."),
                FormField("connector", "CA connector", "select", options=(
                    Option("builtin", "Built-in CA"), Option("sectigo", "Sectigo SCM")
                ), short=True),
                FormField("term_days", "Validity terms", "textarea", "In days, one a line, the usual one first.",
                          rows=3, short=True),
                FormField("renewal", "Renewal window", "number", "Days before the end.", short=True,
                          more={"min": 1, "max": 365}),
                FormField("starts", "Usable from", "date", required=False, short=True),
            ),
            "Basics",
        ),
        Fieldset(
            (
                FormField("algorithms", "Key algorithms", "checks", options=tuple(
                    Option(value, label) for value, label in [
                        ("rsa-2048", "RSA 2048"), ("rsa-3072", "RSA 3072"), ("rsa-4096", "RSA 4096"),
                        ("ec-p256", "ECDSA P-256"), ("ec-p384", "ECDSA P-384"), ("ml-dsa", "ML-DSA 65"),
                    ])),
                FormField("subject", "Subject", code=True, hint="For example CN={name}, O={organization}"),
            ),
            "Keys and names",
            "A profile is saved only if a sample certificate made from it passes the linter.",
        ),
        Fieldset(
            (
                FormField("file", "Metadata file", "file", required=False),
                FormField("secret", "Password", "password", more={"autocomplete": "new-password"}),
                FormField("contact", "Contact", "email", required=False),
                FormField("none", "Identity providers", "checks", required=False),
                FormField("page_key", "", "hidden"),
            ),
            "Other kinds of questions",
        ),
    ),
    "Create profile",
    "/console/profiles",
    {"term_days": ["365", "90", "30"], "renewal": "30", "algorithms": ["ec-p256"], "page_key": "abc"},
    {"form": "The sample certificate did not pass the linter: the subject has no common name."},
    intro="A profile says what a certificate will be.",
    crumbs=(Crumb("Certificate profiles", "/console/profiles"),),
)  # fmt: skip
FORMS_SAMPLES = [
    ConsoleSample("form-details", FORM_DETAILS, frame("forms", Notice("Saved."))),
    ConsoleSample("form-wrong", FORM_WRONG, frame("forms")),
    ConsoleSample("form-profile", PROFILE, frame("profiles")),
]

# -- confirmations -------------------------------------------------------------------------------------------------

REASON = FormField(
    "reason",
    "Reason",
    "radios",
    options=(
        Option("keyCompromise", "Key compromised", "Somebody else may have the key."),
        Option("cessationOfOperation", "No longer used"),
        Option("superseded", "Replaced by another certificate"),
        Option("unspecified", "Another reason"),
    ),
)
REVOKE = ConfirmPage(
    "Revoke 12 certificates",
    "Revoke 12 certificates",
    "/console/certificates/revoke",
    "/console/certificates",
    "Revoke these certificates for good?",
    (
        "Networks and servers refuse them as soon as they fetch the next CRL, within one hour.",
        "The keys stay in the TPMs, but nothing accepts them.",
        "Their owners get a letter.",
        "This cannot be undone.",
    ),
    tuple(Cell("link", f"laptop-{number:03}.example.org", url="/console/certificates/1") for number in range(12)),
    "revoke",
    (REASON,),
    tuple(("chosen", f"{number}{ID}") for number in range(12)),
    {"reason": "keyCompromise", "typed_word": "rewoke"},
    {"typed_word": "Type the word as it is shown: revoke."},
    (Crumb("Certificates", "/console/certificates"),),
)
CONFIRMS = [
    ConsoleSample("confirm-many", REVOKE, frame("certificates")),
    ConsoleSample(
        "confirm-one",
        replace(
            REVOKE,
            title="Delete “Physics”",
            verb="Delete department",
            question="Delete the department Physics of Northwind University?",
            consequences=("Its 2 web form accounts are closed.", "Its certificates stay valid."),
            objects=(),
            typed_word=None,
            fields=(),
            errors={},
        ),
        frame("organizations"),
    ),
    ConsoleSample(
        "confirm-harmless",
        replace(
            REVOKE,
            title="Approve 3 requests",
            verb="Approve 3 requests",
            question="",
            consequences=("Each computer makes its key and gets its certificate.",),
            objects=(text("Ada Lovelace", "Staff client certificate"), text("Charles Babbage"), text(LONG)),
            typed_word=None,
            fields=(FormField("comment", "Comment", "textarea", "Kept in the audit log.", required=False, rows=2),),
            errors={},
            danger=False,
        ),
        frame("requests"),
    ),
]

# -- the dashboard -------------------------------------------------------------------------------------------------

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
SAMPLES = [*BOARDS, *LISTS, *DETAILS, *FORMS_SAMPLES, *CONFIRMS]

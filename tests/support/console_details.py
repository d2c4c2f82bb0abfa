"""Things of the console, each on its page, in every state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.support.console_frame import HASH, ID, LONG, NOW, TRACE, ConsoleSample, frame

from keystead_enroll.web.console.cells import code, copy, link, moment, several, tag, text
from keystead_enroll.web.console.widgets import (
    Action,
    Column,
    Crumb,
    DetailPage,
    Fact,
    Notice,
    Preview,
    Row,
    Section,
    Tab,
    Table,
    TimelineEntry,
)

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

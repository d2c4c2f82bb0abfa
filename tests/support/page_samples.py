"""Every page in every state, with the context its template documents: for previews and for tests. Here are enroll's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from tests.support.auth_page_samples import administrator_pages, auth_pages
from tests.support.evidence_pages import evidence_pages
from tests.support.page_sample_data import (
    CERTIFICATE,
    DEVICES,
    ENROLL,
    FORM,
    LICENCE,
    LINK,
    MANY_WAYS,
    NOW,
    PROFILES,
    PROGRESS,
    REQUEST,
    REQUEST_DONE,
    SERVER_CERTIFICATE,
    SIGNED_IN,
    TRACE,
    Sample,
    line,
    row,
)

from keystead_contracts.base import AssuranceLevel, CertificateType

REFUSED_EVIDENCE = {
    "title": "This computer's TPM did not prove where the key is. Key: It could be moved to another TPM.",
    "advice": "Do not try to work around this. Tell your administrator.",
    "reference": TRACE,
    "said": "",
}


def order(name: str, **more: Any) -> dict[str, Any]:
    """The `order` of order.html; events come from `/events/<name>`."""
    return {
        "id": f"order-{name}",
        "subject": "Ada Lovelace",
        "profile": "Client authentication, 1 year",
        "reference": TRACE,
        "created_at": NOW,
        "waiting_since": NOW,
        "delivery": "link",
        "machine": None,
        "launch_url": None,
        "command": None,
        "events_url": f"/events/{name}",
        "done_url": f"/{name}.html",
        "again_url": "/request.html",
        "list_url": "/certificates.html",
        "replaces_url": None,
        "renew_url": None,
        "use_link_url": None,
        "evidence_url": None,
        "cancel_url": None,
    } | more


def request_pages() -> Iterator[Sample]:
    """What a person goes through before the order."""

    def sample(name: str, template: str, base: dict[str, Any] = SIGNED_IN, **context: Any) -> Sample:
        return Sample(name, ENROLL, template, base | context)

    accounts = [
        {"id": "a1", "name": "Staff certificate", "place": "Northwind University"},
        {"id": "a2", "name": "Laboratory certificate", "place": "Northwind University, Physics"},
    ]
    choose: dict[str, Any] = {"action": "/e/x/account", "accounts": accounts}
    yield sample("choose-account", "choose_account.html", values={}, errors={}, **choose)
    yield sample("choose-account-error", "choose_account.html", values={}, errors={"account": "Choose one."}, **choose)
    code: dict[str, Any] = {"action": "/e/x/code", "account": {"name": "Staff certificates"}}
    yield sample("access-code", "access_code.html", values={}, errors={}, attempts_left=None, **code)
    yield sample(
        "access-code-wrong",
        "access_code.html",
        values={"access_code": "PHYS1CS"},
        errors={"access_code": "This is not the code. Check capitals, and O and 0."},
        attempts_left=2,
        **code,
    )
    yield sample("request", "request.html", REQUEST)
    yield sample("request-choose", "request.html", REQUEST, profiles=PROFILES, profile=None, back_url=None)
    yield sample(
        "request-full", "request.html", REQUEST, profiles=PROFILES, profile=MANY_WAYS, devices=DEVICES, licence=LICENCE
    )
    yield sample(
        "request-ssl",
        "request.html",
        REQUEST,
        certificate_type=CertificateType.SSL,
        subject=[("Organization", "Northwind University")],
        domains=["northwind.example.org"],
        licence=LICENCE,
        values={"dns_names": "www.northwind.example.org\nwww.elsewhere.example.com"},
        errors={
            "dns_names": "www.elsewhere.example.com does not lie in northwind.example.org.",
            "licence": "Accept the terms to go on.",
        },
    )
    yield sample(
        "request-renew",
        "request.html",
        REQUEST,
        renews={
            "subject": "Ada Lovelace",
            "not_after": NOW + timedelta(days=20),
            "url": "/certificate.html",
        },
        values={"renew": "1"},
    )
    yield sample(
        "request-provided",
        "request.html",
        REQUEST,
        provided=True,
        certificate_type=CertificateType.SSL,
        subject=[("Organization", "Northwind University")],
        profile=MANY_WAYS,
        domains=["northwind.example.org"],
        renews={
            "subject": "www.northwind.example.org",
            "not_after": NOW + timedelta(days=20),
            "url": "/certificate-server.html",
        },
        values={"dns_names": "www.northwind.example.org", "renew": "1"},
        errors={"csr": "The request is not exactly one PEM block CERTIFICATE REQUEST."},
    )
    yield sample(
        "request-device",
        "request.html",
        REQUEST,
        certificate_type=CertificateType.DEVICE,
        subject=[],
        profile=MANY_WAYS,
        values={"device_name": "laptop 042", "serial_number": "", "term_days": "730"},
        errors={
            "form": "You have five requests under way. Finish or cancel one first.",
            "device_name": "A device name has no spaces.",
        },
    )


def order_pages() -> Iterator[Sample]:
    """One order in every state."""

    def sample(name: str, state: str, base: dict[str, Any] | None = None, **context: Any) -> Sample:
        given: dict[str, Any] = {"certificate": None, "downloads": [], "agent_command": None}
        return Sample(
            name,
            ENROLL,
            "order.html",
            SIGNED_IN | given | {"order": order(name, **(base or {})), "progress": PROGRESS[state]} | context,
        )

    offer = {"launch_url": LINK, "command": f"keystead-agent enroll '{LINK}'", "cancel_url": "/e/x/orders/1/cancel"}
    downloads = [
        {"label": "Windows 10 and 11", "url": "/agent/keystead-agent.msi"},
        {"label": "Debian and Ubuntu", "url": "/agent/keystead-agent.deb"},
    ]
    late = offer | {"waiting_since": NOW - timedelta(minutes=1), "created_at": NOW - timedelta(minutes=1)}
    push = {
        "delivery": "push",
        "machine": "lab-workstation-7",
        "use_link_url": "/e/x/use-link",
        "waiting_since": NOW - timedelta(minutes=1),
    }
    yield sample("order-waiting", "waiting", offer)
    yield sample("order-waiting-late", "waiting", late, downloads=downloads, agent_command="apt install keystead-agent")
    yield sample("order-waiting-bare", "waiting", late | {"command": None})
    yield sample(
        "order-waiting-again", "waiting", late | {"launch_url": None, "command": None, "renew_url": "/e/x/link"}
    )
    yield sample("order-push", "push", push)
    yield sample("order-working", "working", {"machine": "laptop-042", "cancel_url": "/e/x/orders/1/cancel"})
    yield sample("order-approval", "approval", {"cancel_url": "/e/x/orders/1/cancel"})
    for state in ("failed", "rejected", "cancelled"):
        yield sample(f"order-{state}", state)
    refused = PROGRESS["failed"] | {"failure": REFUSED_EVIDENCE}
    yield sample("order-evidence-refused", "failed", {"evidence_url": "/evidence-refused.html"}, progress=refused)
    lines = {"lines": [REQUEST_DONE, line("issued", "active", None, "The certificate is being signed.")]}
    signing = {"state": "signing", "failure": None, "terminal": False} | lines
    yield sample("order-provided", "working", {"cancel_url": "/e/x/orders/1/cancel"}, progress=signing)
    ready = {"state": "issued", "terminal": True, "lines": [REQUEST_DONE, line("issued", "done", 3)]}
    own = CERTIFICATE | {"machine": "", "store": "", "assurance": AssuranceLevel.SOFTWARE}
    yield sample("order-provided-ready", "working", progress=signing | ready, certificate=own)
    revoked = CERTIFICATE | {"state": "revoked", "revoked_at": NOW, "revoked_because": "it is no longer needed"}
    yield sample("order-revoked", "installed", {"machine": "laptop-042"}, certificate=revoked)
    yield sample("order-installed", "installed", {"machine": "laptop-042"}, certificate=CERTIFICATE)
    yield sample(
        "order-replacing",
        "installed",
        {"machine": "laptop-042", "replaces_url": "/certificate-replaced.html"},
        certificate=CERTIFICATE,
    )


def certificate_pages() -> Iterator[Sample]:
    """Lists, certificates, messages and problems."""

    def sample(name: str, template: str, **context: Any) -> Sample:
        return Sample(name, ENROLL, template, SIGNED_IN | context)

    rows = [
        row("Ada Lovelace", "valid", 320),
        row("Ada Lovelace", "expiring", 12),
        row("a-very-long-device-name-that-does-not-break.physics.northwind.example.org", "on_hold", 100),
        row("Ada Lovelace", "revoked", 200),
        row("Ada Lovelace", "expired", -40),
    ]
    orders = [
        {"subject": "Ada Lovelace", "profile": "Client authentication", "url": "/order-waiting.html",
         "created_at": NOW, "ended_at": None, "state": "offered"},
        {"subject": "", "profile": "Secure e-mail", "url": "/order-approval.html",
         "created_at": NOW, "ended_at": None, "state": "awaiting_approval"},
    ]  # fmt: skip
    earlier = [orders[0] | {"url": f"/order-{state}.html", "ended_at": NOW, "state": state}
               for state in ("failed", "rejected", "cancelled")]  # fmt: skip
    listing: dict[str, Any] = {"add_url": "/request.html", "earlier": []}
    yield sample("certificates", "certificates.html", certificates=rows[:2], orders=[], notice=None, **listing)
    yield sample(
        "certificates-many",
        "certificates.html",
        certificates=rows,
        orders=orders,
        notice="It was cancelled.",
        **listing | {"earlier": earlier},
    )
    yield sample("certificates-none", "certificates.html", certificates=[], orders=[], notice=None, **listing)
    shown = {
        "list_url": "/certificates.html",
        "replaced_url": None,
        "renew_url": "/request.html",
        "revoke_url": "/certificate-revoke.html",
        "release_action": None,
    }
    yield sample("certificate", "certificate.html", certificate=CERTIFICATE, **shown)
    yield sample(
        "certificate-replaced",
        "certificate.html",
        certificate=CERTIFICATE,
        **shown | {"replaced_url": "/order-installed.html"},
    )
    yield sample("certificate-server", "certificate.html", certificate=SERVER_CERTIFICATE, **shown)
    for assurance in (AssuranceLevel.SOFTWARE, AssuranceLevel.CLAIMED, AssuranceLevel.LISTED, AssuranceLevel.VENDOR):
        level = {"assurance": assurance, "evidence_url": f"/evidence-{assurance}.html"}
        yield sample(f"certificate-{assurance}", "certificate.html", certificate=CERTIFICATE | level, **shown)
    for state in ("expiring", "expired", "revoked", "on_hold"):
        lapsed = CERTIFICATE | {"state": state, "not_after": NOW - timedelta(days=3)}
        if state == "revoked":
            lapsed |= {"revoked_at": NOW, "revoked_because": "another certificate has taken its place"}
        yield sample(f"certificate-{state}", "certificate.html", certificate=lapsed, **shown)
    yield sample(
        "certificate-provided",
        "certificate.html",
        certificate=CERTIFICATE
        | {
            "machine": "",
            "store": "",
            "assurance": AssuranceLevel.SOFTWARE,
        },
        **shown,
    )
    yield sample(
        "certificate-revoke",
        "certificate_revoke.html",
        certificate={
            "subject": "Ada Lovelace",
            "profile": "Staff",
            "serial": "3a7f19c2",
            "machine": "laptop-042",
            "not_after": NOW + timedelta(days=90),
            "url": "/certificate.html",
        },
        reasons=[
            {"value": "superseded", "label": "Another certificate has taken its place", "note": ""},
            {"value": "key_compromise", "label": "Somebody else may have the key", "note": ""},
        ],
        device="laptop-042",
        renew_url="/request.html",
        action="/e/x/certificates/1/revoke",
        values={},
        errors={},
    )
    yield sample(
        "message",
        "message.html",
        title="Too many wrong codes",
        happened="The access code was wrong ten times.",
        why="We stop after that, so that nobody can guess it.",
        what_now="Wait an hour, then try again. If you do not have the code, ask the person who sent you here.",
        action={"label": "Your certificates", "url": "/certificates.html"},
        reference=TRACE,
    )
    yield Sample(
        "message-no-form",
        ENROLL,
        "message.html",
        {
            "form": None,
            "title": "There is no such form",
            "happened": "No enrollment form has this address.",
            "why": "It may have been cut off on its way to you, or the form was withdrawn.",
            "what_now": "Check the address, or ask the person who gave it to you for the current one.",
            "action": None,
            "reference": TRACE,
        },
    )
    offered = [{"name": FORM["name"], "help_text": FORM["help_text"], "url": "/sign-in.html"}]
    development = {"development": True, "mailbox_url": "/mailbox"}
    yield Sample("start", ENROLL, "start.html", development | {"forms": offered})
    yield Sample("start-none", ENROLL, "start.html", development | {"forms": []})
    yield Sample("start-production", ENROLL, "start.html", {"development": False, "forms": [], "mailbox_url": None})
    problem: dict[str, Any] = {
        "advice": "", "fields": {}, "help_link": None, "reference": TRACE, "action": None, "again": False,
    }  # fmt: skip
    yield Sample(
        "problem",
        ENROLL,
        "problem.html",
        problem | {"title": "That did not work", "detail": "The fault is ours.", "again": True},
    )
    yield Sample(
        "problem-fields",
        ENROLL,
        "problem.html",
        problem
        | {
            "title": "We could not do that",
            "detail": "Something in the form is not right.",
            "advice": "Go back and correct it.",
            "fields": {"page_size": "must be at most 100"},
            "help_link": "https://help.example.org",
            "action": {"label": "Your certificates", "url": "/certificates.html"},
        },
    )


def pages() -> list[Sample]:
    """Every page in every state."""
    before = [*auth_pages(), *administrator_pages(), *request_pages(), *order_pages(), *certificate_pages()]
    return [*before, *evidence_pages()]

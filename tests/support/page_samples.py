"""Every page in every state, with the context its template documents: for previews and for tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from keystead_auth.web.administrators import in_fours, qr_code
from keystead_contracts.agent import EnrollLink
from keystead_contracts.base import AssuranceLevel, CertificateType, KeyAlgorithm
from keystead_kit.pages import Pages

ROOT = Path(__file__).parents[2]
AUTH = ROOT / "services/auth/src/keystead_auth/web/templates"
ENROLL = ROOT / "services/enroll/src/keystead_enroll/web/templates"
KIT = ROOT / "services/kit/src/keystead_kit/ui/templates"
STATIC = ROOT / "services/kit/src/keystead_kit/ui/static"

NOW = datetime.now(UTC).replace(microsecond=0)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

FORM = {
    "name": "Staff certificates",
    "organization": "Northwind University",
    "help_text": "For staff and students with a university computer.\nYou need the access code from your IT desk.",
    "help_link": "https://help.example.org/certificates",
    "logo_url": None,
}
LONG_FORM = FORM | {
    "name": "Zertifikate für Donaudampfschifffahrtsgesellschaftskapitäne und deren Stellvertreter",
    "organization": "Rheinisch-Westfälische Forschungsgemeinschaft für Verkehrsinfrastruktur e.V.",
    "help_link": None,
}
PERSON = {"email": "ada.lovelace@example.org", "name": "Ada Lovelace"}
SIGNED_IN: dict[str, Any] = {"form": FORM, "person": PERSON, "sign_out_url": "/e/x/sign-out"}
LINK = str(EnrollLink(server="https://enroll.example.org", claim="c2FtcGxlLWNsYWltLW9mLTI1Ni1iaXRzLWluLXRvdGFs"))
LICENCE = {
    "version": "2026-03",
    "text": "You keep the computer that holds the key under your control.\n\n"
    "You tell your IT desk at once if it is lost.\n\n"
    "You use the certificate only for work at Northwind University.\n\nNorthwind University may revoke it at any time.",
}


@dataclass(frozen=True)
class Sample:
    """One state of one page. `folder` holds the template, `name` is unique."""

    name: str
    folder: Path
    template: str
    context: dict[str, Any]


@cache
def _pages(folder: Path) -> Pages:
    """One environment for all pages of a folder, as in a service: templates are compiled once for all languages."""
    return Pages(folder)


def render(sample: Sample) -> str:
    """The page as its service would answer it."""
    return bytes(_pages(sample.folder).render(sample.template, form_token="token", **sample.context).body).decode()


def line(key: str, state: str, seconds: float | None = None, text: str = "", **more: str) -> dict[str, Any]:
    """One line of a progress, done `seconds` after the order began."""
    at = None if seconds is None else (NOW + timedelta(seconds=seconds)).isoformat()
    return {"key": key, "state": state, "at": at, "text": text, **more}


def progress(state: str, *lines: dict[str, Any], failure: dict[str, str] | None = None) -> dict[str, Any]:
    """A progress in the shape that order.html documents; lines left out are waiting."""
    given = {entry["key"]: entry for entry in lines}
    usual = [given.get(key, line(key, "waiting")) for key in ("agent", "key", "request", "issued", "installed")]
    return {
        "state": state,
        "lines": [*lines[:1], *usual] if lines[:1] and lines[0]["key"] == "approval" else usual,
        "failure": failure,
        "terminal": state in {"installed", "rejected", "failed", "cancelled"},
    }


AGENT_DONE = line("agent", "done", 2, "Keystead Agent 0.1 on Debian 12.")
KEY_DONE = line("key", "done", 3, "ECDSA P-256, in a TPM by Infineon.")
REQUEST_DONE = line("request", "done", 3)
PROGRESS = {
    "waiting": progress("offered", line("agent", "active", None, "Your browser asks the Keystead Agent to begin.")),
    "push": progress("offered", line("agent", "active", None, "Keystead on lab-workstation-7 has not answered yet.")),
    "working": progress(
        "csr_accepted", AGENT_DONE, KEY_DONE, REQUEST_DONE, line("issued", "active", None, "The CA signs it now.")
    ),
    "installed": progress(
        "installed",
        AGENT_DONE,
        KEY_DONE,
        REQUEST_DONE,
        line("issued", "done", 3, "By Northwind Issuing CA 1."),
        line("installed", "done", 4, "The stored certificate and its key work together."),
    ),
    "approval": progress("awaiting_approval", line("approval", "active", None, "Somebody looks at this request.")),
    "failed": progress(
        "failed",
        AGENT_DONE,
        line("key", "failed", 5, "The TPM of laptop-042 cannot make RSA 4096 keys."),
        *(line(key, "skipped") for key in ("request", "issued", "installed")),
        failure={
            "title": "This computer’s TPM cannot make an RSA 4096 key",
            "advice": "It can make RSA 2048 and ECDSA P-256. Ask again and choose one of these.",
            "reference": TRACE,
            "said": "TPM_RC_VALUE from TPM2_Create: `rsa4096` is not implemented",
        },
    ),
    "rejected": progress(
        "rejected",
        line("approval", "failed", 900),
        *(line(key, "skipped") for key in ("agent", "key", "request", "issued", "installed")),
        failure={
            "title": "The reason given: Please ask for the device form instead.",
            "advice": "Ask your administrator if you do not agree.",
            "reference": TRACE,
            "said": "",
        },
    ),
    "cancelled": progress(
        "cancelled", *(line(key, "skipped") for key in ("agent", "key", "request", "issued", "installed"))
    ),
}

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
        "renew_url": None,
        "use_link_url": None,
        "evidence_url": None,
        "cancel_url": None,
    } | more


CERTIFICATE: dict[str, Any] = {
    "subject": "Ada Lovelace",
    "names": ["ada.lovelace@example.org"],
    "certificate_type": CertificateType.CLIENT,
    "profile": "Client authentication",
    "issuer": "Northwind Issuing CA 1",
    "serial": "3A7F19C2E4D05B8866A1F0C39D2E7B41",
    "fingerprint_sha256": "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08",
    "key_algorithm": KeyAlgorithm.EC_P256,
    "state": "valid",
    "not_before": NOW - timedelta(minutes=5),
    "not_after": NOW + timedelta(days=365),
    "renews_at": NOW + timedelta(days=335),
    "machine": "laptop-042",
    "store": "/home/ada/.local/share/keystead/certificates/staff",
    "assurance": AssuranceLevel.ATTESTED,
    "evidence_url": "/evidence-attested.html",
    "revoked_at": None,
    "revoked_because": "",
    "pem_url": "/download/certificate.pem",
    "chain_url": "/download/chain.pem",
    "root_url": "/download/root.pem",
}
SERVER_CERTIFICATE = CERTIFICATE | {
    "subject": "registration.physics.northwind.example.org",
    "names": ["registration.physics.northwind.example.org", "www.registration.physics.northwind.example.org"],
    "certificate_type": CertificateType.SSL,
    "key_algorithm": KeyAlgorithm.RSA_3072,
    "renews_at": None,
    "root_url": None,
}


def _row(subject: str, state: str, days: int) -> dict[str, Any]:
    return {
        "subject": subject,
        "profile": "Client authentication",
        "machine": "laptop-042",
        "url": "/certificate.html",
        "not_after": NOW + timedelta(days=days),
        "state": state,
    }


PROFILES = [
    {"id": "p1", "name": "Client authentication", "description": "Sign in to the network, VPN and web applications."},
    {"id": "p2", "name": "Secure e-mail (S/MIME)", "description": "Sign and decrypt mail."},
]
ONE_WAY = PROFILES[0] | {"key_algorithms": [KeyAlgorithm.EC_P256], "terms": [365]}
MANY_WAYS = PROFILES[0] | {
    "key_algorithms": [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048],
    "terms": [365, 730, 90],
}
REQUEST: dict[str, Any] = SIGNED_IN | {
    "choose_url": "/request-choose.html",
    "action": "/e/x/request",
    "page_key": "k",
    "back_url": "/certificates.html",
    "certificate_type": CertificateType.CLIENT,
    "subject": [("Name", "Ada Lovelace"), ("E-mail", "ada.lovelace@example.org")],
    "profiles": PROFILES[:1],
    "profile": ONE_WAY,
    "domains": [],
    "provided": False,
    "renews": None,
    "devices": [],
    "licence": None,
    "values": {},
    "errors": {},
}


def _device(id: str, name: str, **more: Any) -> dict[str, Any]:
    usual = {"last_seen": NOW, "connected": False, "registered_at": None, "key_in_tpm": True}
    return {"id": id, "name": name} | usual | more


DEVICES = [
    _device("d1", "laptop-042", connected=True, registered_at=NOW - timedelta(days=90)),
    _device("d2", "lab-workstation-7", last_seen=NOW - timedelta(days=3)),
    _device("d3", "laptop-042", registered_at=NOW - timedelta(days=1), last_seen=NOW, key_in_tpm=False),
    _device("d4", "lab-workstation-8", last_seen=None),
]


def auth_pages() -> Iterator[Sample]:
    """Pages of auth."""

    def sample(name: str, template: str, **context: Any) -> Sample:
        return Sample(name, AUTH, template, {"form": FORM} | context)

    email = {"method": "email", "url": "/auth/sign-in/x"}
    idp: dict[str, Any] = {"method": "idp", "providers": [{"name": "Northwind", "url": "/auth/saml/x/sign-in?form=x"}]}
    long = {"name": LONG_FORM["organization"], "url": "/auth/saml/y/sign-in?form=x"}
    two = {"method": "idp", "providers": [*idp["providers"], long]}
    rest = [idp, {"method": "secret_id", "url": "/auth/secret-id/x"}]
    fresh: dict[str, Any] = {"values": {}, "errors": {}, "notice": None}
    yield sample("sign-in", "sign_in.html", methods=[email], **fresh)
    yield sample(
        "sign-in-many", "sign_in.html", methods=[email, *rest], **fresh | {"notice": "Your session has ended."}
    )
    yield sample("sign-in-idps", "sign_in.html", methods=[two], **fresh)
    yield sample("sign-in-email-and-idps", "sign_in.html", methods=[email, two], **fresh)
    yield sample(
        "idp-post",
        "saml_post.html",
        form=None,
        provider="Northwind",
        url="https://idp.example/sso",
        fields={"SAMLRequest": "PHNhbWw+"},
    )
    yield sample(
        "idp-confirm", "idp_confirm.html", action="/auth/saml/continue/t", email="ada@example.org", provider="Northwind"
    )
    yield sample(
        "sign-in-error",
        "sign_in.html",
        methods=[email],
        values={"email": "ada@example"},
        errors={"email": "Enter an e-mail address like name@example.org."},
        notice=None,
    )
    yield sample("sign-in-long", "sign_in.html", form=LONG_FORM, methods=[email], **fresh)
    mail = {"masked_email": "a…@example.org", "minutes": 15, "sign_in_url": "/auth/sign-in/x"}
    yield sample("check-mail", "check_mail.html", mailbox_url=None, **mail)
    yield sample("check-mail-development", "check_mail.html", mailbox_url="/mailbox", **mail)
    yield sample(
        "confirm",
        "confirm.html",
        action="/auth/confirm/t",
        email="ada.lovelace@example.org",
        expires_at=NOW + timedelta(minutes=12),
    )
    for reason in ("expired", "used"):
        yield sample(
            f"link-{reason}", "link_invalid.html", reason=reason, sign_in_url="/auth/sign-in/x", reference=TRACE
        )
    yield sample("link-unknown", "link_invalid.html", form=None, reason="unknown", sign_in_url=None, reference=TRACE)
    yield sample("signed-out", "signed_out.html", sign_in_url="/auth/sign-in/x")
    yield sample("signed-out-unknown", "signed_out.html", form=None, sign_in_url=None)


def administrator_pages() -> Iterator[Sample]:
    """Administrators sign in."""

    def sample(name: str, template: str, **context: Any) -> Sample:
        return Sample(name, AUTH, f"administrators/{template}.html", {"form": None, "errors": {}} | context)

    base = "/auth/administrators"
    door: dict[str, Any] = {"action": f"{base}/sign-in", "forgot_url": f"{base}/forgot", "notice": None}
    providers = [{"name": "Northwind sign-on", "url": "/auth/saml/1/sign-in?purpose=administrator"}]
    yield sample("administrator-sign-in", "sign_in", providers=[], values={}, **door)
    yield sample(
        "administrator-sign-in-wrong",
        "sign_in",
        providers=providers,
        values={"email": "grace@example.org"},
        **door | {"errors": {"form": "The e-mail address or the password is not right."}},
    )
    code: dict[str, Any] = {"action": f"{base}/code", "sign_in_url": f"{base}/sign-in"}
    yield sample("administrator-code", "code", **code)
    yield sample("administrator-code-wrong", "code", **code | {"errors": {"code": "This code is not right."}})
    secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    yield sample(
        "administrator-authenticator",
        "authenticator",
        action=f"{base}/authenticator",
        qr=qr_code(secret, "grace@example.org"),
        secret=in_fours(secret),
        email="grace@example.org",
    )
    codes = [f"abcd-efgh-ijkl-{number}mno" for number in range(2, 8)]
    yield sample("recovery-codes", "recovery_codes", codes=codes, next_url=f"{base}/sign-in", first=True)
    yield sample("recovery-codes-again", "recovery_codes", codes=codes, next_url="/console", first=False)
    person = {"person": PERSON, "sign_out_url": f"{base}/sign-out", "console_url": "/console"}
    renew: dict[str, Any] = {"action": f"{base}/recovery-codes", **person}
    for left in (7, 1, 0):
        yield sample(f"renew-recovery-codes-{left}", "renew_recovery_codes", left=left, has_authenticator=True, **renew)
    yield sample("renew-recovery-codes-none", "renew_recovery_codes", left=0, has_authenticator=False, **renew)
    account: dict[str, Any] = {
        "has_password": True, "has_authenticator": False, "left": 0, "signed_out": False,
        "password_url": f"{base}/password", "recovery_url": f"{base}/recovery-codes",
        "authenticator_url": f"{base}/account/authenticator", "elsewhere_url": f"{base}/account/sign-out-elsewhere",
        **person,
    }  # fmt: skip
    yield sample("my-account", "account", **account)
    yield sample("my-account-wrong", "account", **account | {"errors": {"current": "This is not your password."}})
    yield sample("my-account-authenticator", "account", **account | {"has_authenticator": True, "left": 9})
    yield sample("my-account-elsewhere", "account", **account | {"has_password": False, "signed_out": True})
    choose: dict[str, Any] = {"action": f"{base}/invitation/t", "email": "grace@example.org", "least": 12}
    yield sample("choose-password", "choose_password", **choose)
    yield sample(
        "choose-password-unfit", "choose_password", **choose | {"errors": {"new_password": "Choose at least 12."}}
    )
    change: dict[str, Any] = {"action": f"{base}/password", "least": 12, **person}
    yield sample("change-password", "password", has_password=True, **change)
    yield sample("change-password-none", "password", has_password=False, **change)
    forgot: dict[str, Any] = {"action": f"{base}/forgot", "sign_in_url": f"{base}/sign-in"}
    yield sample("forgot-password", "forgot", values={}, **forgot)
    mail: dict[str, Any] = {"masked_email": "g…@example.org", "sign_in_url": f"{base}/sign-in"}
    yield sample("administrator-check-mail", "check_mail", mailbox_url=None, **mail)
    yield sample("administrator-check-mail-development", "check_mail", mailbox_url="/mailbox", **mail)
    yield sample("administrator-signed-out", "signed_out", sign_in_url=f"{base}/sign-in")


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


def certificate_pages() -> Iterator[Sample]:
    """Lists, certificates, messages and problems."""

    def sample(name: str, template: str, **context: Any) -> Sample:
        return Sample(name, ENROLL, template, SIGNED_IN | context)

    rows = [
        _row("Ada Lovelace", "valid", 320),
        _row("Ada Lovelace", "expiring", 12),
        _row("a-very-long-device-name-that-does-not-break.physics.northwind.example.org", "on_hold", 100),
        _row("Ada Lovelace", "revoked", 200),
        _row("Ada Lovelace", "expired", -40),
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
    shown = {"list_url": "/certificates.html", "renew_url": "/request.html", "revoke_url": "/certificate-revoke.html"}
    yield sample("certificate", "certificate.html", certificate=CERTIFICATE, **shown)
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
    from tests.support.evidence_pages import evidence_pages  # which needs what is above

    before = [*auth_pages(), *administrator_pages(), *request_pages(), *order_pages(), *certificate_pages()]
    return [*before, *evidence_pages()]

"""What the samples of pages show: a form, a person, certificates, the progress of a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

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


def row(subject: str, state: str, days: int) -> dict[str, Any]:
    """A certificate in a list, which ends in so many days."""
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

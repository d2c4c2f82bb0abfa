"""Organizations with one of everything in each, and who may see nothing of another's: for attacks across them.

A kind of thing is named as in its addresses (`registration-tokens`). A new kind of thing needs a sample here, else the
tests that try every address say so.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import select, update
from tests.integration.test_enroll_devices import register
from tests.support.administrators import Api, administrator, api_token, master
from tests.support.enroll_app import EnrollApp

from keystead_contracts.base import CertificateType
from keystead_enroll.adapters import administration_tables as a
from keystead_enroll.adapters import tables as t
from keystead_enroll.domain.administration import Administrator, Grant, Role
from keystead_kit.secrets import token_digest

OURS, THEIRS = "Aldebaran", "Zweistein"
"""Names that stand in every text of the organization's things and nowhere else."""
UNKNOWN = "0" * 31 + "7"
"""An id that nothing has."""
_LEFT_OUT = {("api_tokens", "last_used_at"), ("console_sessions", "seen_at"), ("administrators", "last_seen_at")}
"""What a visit itself changes."""
PROFILE: dict[str, Any] = {
    "certificate_type": "client",
    "key_algorithms": ["ec-p256"],
    "term_days": [365],
    "subject": "CN={name|email}, O={organization}",
    "subject_alternative_names": ["email:{email}"],
    "minimum_assurance": "software",
}


@dataclass(frozen=True)
class Tenant:
    """An organization, and the id of one thing of each kind that belongs to it."""

    name: str
    ids: dict[str, str]
    other_department: str
    secrets: dict[str, tuple[str, ...]]
    """Kind of thing → values that nobody else may read: ids and numbers."""

    @property
    def organization(self) -> str:
        """Its id."""
        return self.ids["organizations"]

    @property
    def domain(self) -> str:
        """What is delegated to it."""
        return f"{self.name.lower()}.example"

    def id_for(self, kind: str) -> str:
        """The sample of `kind`. Fails if there is none."""
        assert kind in self.ids, f"there is no sample of “{kind}”: make one in tests/support/tenants.py"
        return self.ids[kind]

    def told_in(self, text: str, *, but: Collection[str] | None = None) -> list[str]:
        """What a text tells of it; `but`: kinds of things that may be told, then the organization's name too."""
        hidden = [value for kind, values in self.secrets.items() if kind not in (but or ()) for value in values]
        return [secret for secret in ([self.name, self.name.lower()] if but is None else []) + hidden if secret in text]


def tenant(app: EnrollApp, name: str) -> Tenant:
    """A new organization with one of everything."""
    api, domain = master(app), f"{name.lower()}.example"
    email = f"ada@{domain}"
    organization = api.create(
        "/organizations", {"name": f"{name} Institute", "email_domains": [domain], "dns_domains": [domain]}
    )
    department = api.create("/departments", {"organization_id": organization, "name": f"{name} optics"})
    other = api.create("/departments", {"organization_id": organization, "name": f"{name} acoustics"})
    profile = api.create("/profiles", PROFILE | {"name": f"{name} person", "organization_ids": [organization]})
    forms = [
        api.create(
            "/forms",
            {"name": f"{name} {which}", "certificate_type": "client", "organization_ids": [organization],
             "methods": ["email", "secret_id", "idp"]},
        )
        for which in ("issuing", "approving")
    ]  # fmt: skip
    accounts = [
        api.create(
            "/accounts",
            {"form_id": form, "name": f"{name} staff", "organization_id": organization, "department_id": department,
             "profile_ids": [profile], "automatic_approval": form == forms[0]},
        )
        for form in forms
    ]  # fmt: skip
    person = api.create(
        "/persons",
        {"organization_id": organization, "department_id": department, "email": email, "name": f"Ada {name}"},
    )
    who = api.create(
        "/administrators",
        {"email": f"grace@{domain}", "name": f"Grace {name}",
         "grants": [{"role": "drao", "organization_id": organization, "department_id": department}]},
    )  # fmt: skip
    registration = api(
        "POST", "/registration-tokens", json={"name": f"{name} machines", "organization_id": organization}
    ).json()
    device = register(app, app.client(), registration_token=registration["secret"])
    provider = api.create(
        "/identity-providers",
        {"name": f"{name} sign-in", "kind": "saml", "metadata_url": f"https://idp.{domain}/metadata",
         "organization_ids": [organization]},
    )  # fmt: skip
    known = api.create(
        "/endorsement-keys",
        {"organization_id": organization, "sha256": sha256(name.encode()).hexdigest(), "label": f"{name} laptop",
         "serial_number": f"{name}-0001", "model": f"{name} model"},
    )  # fmt: skip
    job = api(
        "POST",
        "/bulk-jobs",
        content=f"device_name,profile\n{name}-1,None\n".encode(),
        headers={"content-type": "text/csv"},
        params={"organization_id": organization, "department_id": department, "name": f"{name} laptops.csv"},
    ).json()["id"]
    for form, which in zip(forms, ("issuing", "approving"), strict=True):
        app.uris[f"{name} {which}"] = api("GET", f"/forms/{form}").json()["uri_extension"]
    request = app.browser(f"{name} approving", email).order(f"{name} person")
    browser, agent = app.browser(f"{name} issuing", email), app.agent()
    asked = browser.order(f"{name} person")
    agent.redeem(browser.link(asked).claim)
    agent.report(agent.csr_report(agent.jobs()[0]))
    app.work()
    agent.report(agent.installed_report(agent.jobs()[0]))
    certificate = api("GET", f"/requests/{asked}").json()["certificate_id"]
    shown = api("GET", f"/certificates/{certificate}").json()
    line = api.items("/audit", q=f"target_id:{person}")[0]["id"]
    ids = {
        "organizations": organization, "departments": department, "profiles": profile, "forms": forms[0],
        "accounts": accounts[0], "persons": person, "administrators": who, "tokens": token_of(app, who),
        "registration-tokens": registration["id"], "devices": device.id, "identity-providers": provider,
        "endorsement-keys": known, "bulk-jobs": job,
        "requests": request, "certificates": certificate, "audit": str(line),
    }  # fmt: skip
    told: dict[str, tuple[str, ...]] = {kind: (value,) for kind, value in ids.items() if kind != "audit"}
    told |= {"forms": tuple(forms), "accounts": tuple(accounts), "requests": (request, asked)}
    told["certificates"] += tuple(shown[field] for field in ("serial", "sha1", "sha256"))
    return Tenant(name, ids, other, told)


def token_of(app: EnrollApp, administrator_id: str) -> str:
    """The id of a new token of this administrator's."""
    with app.enroll.transactions.read() as tx:
        owner = tx.get(Administrator, administrator_id)
    assert owner is not None
    digest = token_digest(api_token(app, owner))
    with app.enroll.database.read() as session:
        return str(session.scalar(select(a.api_tokens.c.id).where(a.api_tokens.c.digest == digest)))


OUTSIDER, OTHER_DEPARTMENT, OTHER_TYPE = "rao of another organization", "drao of another department", "rao of a type"
WITHOUT_TYPE = frozenset({CertificateType.SSL})


def grant_of(role: str, ours: Tenant, theirs: Tenant) -> Grant:
    """What an officer has who has nothing of the samples of `theirs`."""
    return {
        OUTSIDER: Grant(Role.RAO, ours.organization),
        OTHER_DEPARTMENT: Grant(Role.DRAO, theirs.organization, theirs.other_department),
        OTHER_TYPE: Grant(Role.RAO, theirs.organization, certificate_types=WITHOUT_TYPE),
    }[role]


SHUT_OUT = ("a deactivated administrator", "an expired token", "a revoked token", "nobody")


def shut_out(app: EnrollApp, who: str) -> Api:
    """Somebody whose token opens nothing, though it once opened everything."""
    owner = administrator(app)
    token = api_token(app, owner)
    gone, now = a.api_tokens.c.digest == token_digest(token), app.clock.now()
    with app.enroll.database.write() as session:
        if who == "a deactivated administrator":
            session.execute(update(a.administrators).where(a.administrators.c.id == owner.id).values(active=False))
        elif who == "an expired token":
            session.execute(update(a.api_tokens).where(gone).values(expires_at=now - timedelta(seconds=1)))
        elif who == "a revoked token":
            session.execute(update(a.api_tokens).where(gone).values(revoked_at=now))
        else:
            assert who == "nobody"
            return Api(app, None)
    return Api(app, token)


def contents(app: EnrollApp) -> dict[str, list[str]]:
    """All that is stored, but for what a visit itself changes."""
    found: dict[str, list[str]] = {}
    with app.enroll.database.read() as session:
        for table in t.metadata.sorted_tables:
            columns = [column for column in table.columns if (table.name, column.name) not in _LEFT_OUT]
            found[table.name] = sorted(repr(tuple(row)) for row in session.execute(select(*columns)))
    return found

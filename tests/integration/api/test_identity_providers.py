"""Identity providers through the API, and what auth says of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from tests.support.administrators import IDP_METADATA, console, master, officer, take_fact
from tests.support.enroll_app import EnrollApp

from keystead_contracts.people import IdentityProviderChecked, IdentityProviderState
from keystead_contracts.words import Sentences, Words, to_plain
from keystead_enroll.domain.administration import Grant, Role
from keystead_enroll.domain.enrollment import Organization
from keystead_enroll.domain.identity_providers import IdentityProvider
from keystead_enroll.domain.refusals import DeclarationInvalid
from keystead_enroll.usecases.admin.identity_providers import MOST_SPOKEN_FOR
from keystead_kit.secrets import new_id

SAML = {"name": "University", "kind": "saml", "metadata_url": "https://idp.example/metadata"}
OIDC = {
    "name": "Entra", "kind": "oidc", "issuer": "https://login.example/v2.0", "client_id": "abc",
    "client_secret_name": "entra-1",
}  # fmt: skip


def _certificate(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    """A certificate of the key in PEM."""
    name, now = x509.Name.from_rfc4514_string("CN=Federation"), datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=999))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


CERTIFICATE = _certificate(ec.generate_private_key(ec.SECP256R1()))
WEAK = _certificate(rsa.generate_private_key(65537, 1024))  # noqa: S505 it is refused


def hear(app: EnrollApp, provider: str, version: int, **changes: Any) -> None:
    """auth tells what it made of a provider."""
    said = {"identity_provider_id": provider, "version": version, "state": "ready", "checked_at": app.clock.now()}
    take_fact(app, IdentityProviderChecked.model_validate(said | changes))


def test_a_provider_is_set_up_changed_switched_off_and_deleted_and_auth_hears_of_it(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/identity-providers", SAML)
    for body in ({"for_administrators": True}, {"active": False}):
        assert api("PATCH", f"/identity-providers/{made}", json=body).status_code == 200
    assert api("DELETE", f"/identity-providers/{made}").status_code == 204
    assert api("GET", f"/identity-providers/{made}").status_code == 404
    told = sorted(app.facts("identity_provider_published"), key=lambda fact: fact["version"])
    assert [(f["version"], f["withdrawn"]) for f in told] == [(1, False), (2, False), (3, True), (4, True)]
    assert told[1]["for_administrators"] is True


def test_openid_connect_names_its_secret_and_tells_none(app: EnrollApp) -> None:
    master(app).create("/identity-providers", OIDC)
    (fact,) = app.facts("identity_provider_published")
    assert (fact["issuer"], fact["client_secret_name"]) == ("https://login.example/v2.0", "entra-1")


def organizations(app: EnrollApp, number: int) -> list[str]:
    """So many more organizations."""
    made = [Organization(f"{n:032x}", f"Institute {n}") for n in range(number)]
    with app.enroll.transactions.write() as tx:
        for each in made:
            tx.add(each)
    return [each.id for each in made]


def test_a_provider_speaks_for_no_more_organizations_than_travel_in_a_cookie(app: EnrollApp) -> None:
    api, them = master(app), organizations(app, MOST_SPOKEN_FOR + 1)
    made = api.create("/identity-providers", SAML | {"organization_ids": them[1:]})
    for answer in (
        api("POST", "/identity-providers", json=SAML | {"name": "Other", "organization_ids": them}),
        api("PATCH", f"/identity-providers/{made}", json={"organization_ids": them}),
    ):
        assert (answer.status_code, list(answer.json()["fields"])) == (422, ["organization_ids"])
    assert "40 organizations at most" in answer.json()["fields"]["organization_ids"]


def test_a_set_up_file_gives_a_provider_no_more_organizations_either(app: EnrollApp) -> None:
    names = [f"Institute {n}" for n in range(MOST_SPOKEN_FOR + 1)]
    provider = SAML | {"organizations": names}
    with pytest.raises(DeclarationInvalid, match="40 organizations at most"):
        app.apply({"organizations": [{"name": name} for name in names], "identity_providers": [provider]})


def test_a_provider_that_was_stored_with_more_organizations_keeps_them(app: EnrollApp) -> None:
    api, them = master(app), organizations(app, MOST_SPOKEN_FOR + 3)
    made = api.create("/identity-providers", SAML)
    with app.enroll.transactions.write() as tx:
        stored = tx.get(IdentityProvider, made)
        assert stored is not None
        stored.organization_ids = them[1:]
    assert api("PATCH", f"/identity-providers/{made}", json={"name": "Renamed"}).status_code == 200
    visit = console(app)
    fields = {"kind": "saml", "name": "Again", "metadata_url": SAML["metadata_url"], "may": ["for_persons"]}
    page = visit.follow(
        visit.send(f"/identity-providers/{made}/change", **fields, organization_ids=them[2:], active="yes")
    )
    assert page.status_code == 200
    assert api("GET", f"/identity-providers/{made}").json()["organization_ids"] == them[2:]
    more = api("PATCH", f"/identity-providers/{made}", json={"organization_ids": them})
    assert list(more.json()["fields"]) == ["organization_ids"]


def test_an_organization_that_a_provider_speaks_for_stays(app: EnrollApp) -> None:
    """Without its only one it would speak for all."""
    api, [place] = master(app), organizations(app, 1)
    api.create("/identity-providers", SAML | {"organization_ids": [place]})
    answer = api("DELETE", f"/organizations/{place}")
    assert (answer.status_code, "identity provider" in answer.json()["detail"]) == (409, True)


def test_the_page_of_a_provider_says_what_its_metadata_is_checked_against(app: EnrollApp) -> None:
    api, visit = master(app), console(app)
    made = api.create("/identity-providers", SAML | {"metadata_certificate": CERTIFICATE})
    page = visit.get(f"/identity-providers/{made}").text
    certificate = x509.load_pem_x509_certificate(CERTIFICATE.encode())
    assert certificate.fingerprint(hashes.SHA256()).hex() in page
    assert "CN=Federation" in page
    plain = api.create("/identity-providers", SAML | {"name": "Plain"})
    assert "taken as it comes over https" in visit.get(f"/identity-providers/{plain}").text


@pytest.mark.parametrize(("changes", "field"), [
    ({"metadata_url": "http://idp.example/"}, "metadata_url"),
    ({"metadata_url": "https://user@idp.example/"}, "metadata_url"),
    ({"metadata_url": None}, "metadata_url"),
    ({"metadata_xml": IDP_METADATA}, "metadata_url"),
    ({"metadata_url": None, "metadata_xml": "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"}, "metadata_xml"),
    ({"metadata_url": None, "metadata_xml": "<!doctype a><a/>"}, "metadata_xml"),
    ({"metadata_url": None, "metadata_xml": "x" * 262_145}, "metadata_xml"),
    ({"metadata_certificate": "no certificate"}, "metadata_certificate"),
    ({"metadata_certificate": CERTIFICATE + CERTIFICATE}, "metadata_certificate"),
    ({"metadata_certificate": WEAK}, "metadata_certificate"),
    ({"metadata_url": None, "metadata_xml": IDP_METADATA, "metadata_certificate": CERTIFICATE},
     "metadata_certificate"),
    ({"metadata_url": None, "metadata_xml": "<html><body/></html>"}, "metadata_xml"),
    ({"client_id": "abc"}, "client_id"),
    ({"attributes": {"shoe_size": "x"}}, "attributes"),
    ({"organization_ids": ["nowhere"]}, "organization_ids"),
    ({"state": "ready"}, "state"),
    ({"entity_id": "x"}, "entity_id"),
])  # fmt: skip
def test_a_mistake_in_a_saml_provider_is_told_beside_its_field(
    app: EnrollApp, changes: dict[str, Any], field: str
) -> None:
    refused = master(app)("POST", "/identity-providers", json=SAML | changes)
    assert (refused.status_code, list(refused.json()["fields"])) == (422, [field])


@pytest.mark.parametrize(("changes", "field"), [
    ({"issuer": "http://login.example"}, "issuer"), ({"issuer": None}, "issuer"), ({"client_id": None}, "client_id"),
    ({"client_secret_name": None}, "client_secret_name"), ({"client_secret_name": "../key"}, "client_secret_name"),
    ({"metadata_url": "https://idp.example/"}, "metadata_url"), ({"idp_initiated": True}, "idp_initiated"),
    ({"metadata_certificate": CERTIFICATE}, "metadata_certificate"),
])  # fmt: skip
def test_a_mistake_in_an_openid_provider_is_told_beside_its_field(
    app: EnrollApp, changes: dict[str, Any], field: str
) -> None:
    refused = master(app)("POST", "/identity-providers", json=OIDC | changes)
    assert (refused.status_code, list(refused.json()["fields"])) == (422, [field])


def test_metadata_of_256_kib_with_any_line_ends_is_taken(app: EnrollApp) -> None:
    filler = "x" * (262_144 - len(IDP_METADATA) - 12)
    text = IDP_METADATA.replace("><", f">\r\n<!-- {filler} --><", 1)
    made = master(app).create("/identity-providers", SAML | {"metadata_url": None, "metadata_xml": text})
    shown = master(app)("GET", f"/identity-providers/{made}").json()
    assert shown["metadata_xml"] == text.replace("\r\n", "\n")


def test_a_certificate_for_the_metadata_s_signature_is_kept_and_told_and_changes_the_judgement(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/identity-providers", SAML)
    hear(app, made, 1)
    changed = api("PATCH", f"/identity-providers/{made}", json={"metadata_certificate": CERTIFICATE}).json()
    assert (changed["metadata_certificate"], changed["state"]) == (CERTIFICATE.strip(), None)
    told = sorted(app.facts("identity_provider_published"), key=lambda fact: fact["version"])
    assert [fact["metadata_certificate"] for fact in told] == [None, CERTIFICATE.strip()]


def test_names_are_unique(app: EnrollApp) -> None:
    api = master(app)
    api.create("/identity-providers", SAML)
    other = api.create("/identity-providers", OIDC)
    assert list(api("POST", "/identity-providers", json=SAML).json()["fields"]) == ["name"]
    assert list(api("PATCH", f"/identity-providers/{other}", json={"name": "University"}).json()["fields"]) == ["name"]


def test_only_masters_know_of_identity_providers(app: EnrollApp) -> None:
    made = master(app).create("/identity-providers", SAML)
    with app.enroll.transactions.read() as tx:
        rao = officer(app, Grant(Role.RAO, tx.organizations()[0].id))
    assert rao.items("/identity-providers") == []
    assert rao("GET", f"/identity-providers/{made}").status_code == 404
    assert rao("PATCH", f"/identity-providers/{made}", json={"active": False}).status_code == 404
    assert rao("DELETE", f"/identity-providers/{made}").status_code == 404
    assert rao("POST", "/identity-providers", json=OIDC).status_code == 403


def test_what_auth_says_is_shown(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/identity-providers", SAML)
    assert api("GET", f"/identity-providers/{made}").json()["state"] is None
    hear(app, made, 1, entity_id="https://idp.example/", detail="It works.")
    shown = api("GET", f"/identity-providers/{made}").json()
    assert (shown["state"], shown["entity_id"], shown["state_detail"]) == ("ready", "https://idp.example/", "It works.")


@pytest.mark.parametrize("state", ["failed", "ready"])
def test_the_console_says_in_german_what_auth_found(app: EnrollApp, state: str) -> None:
    made = master(app).create("/identity-providers", SAML)
    found = Sentences(Words("What was read before is used on."), Words("The address answers {status}.", status=503))
    hear(app, made, 1, state=state, detail=str(found), detail_words=to_plain(found))
    page = console(app).get(f"/identity-providers/{made}", **{"accept-language": "de"}).text
    assert "Was früher gelesen wurde, gilt weiter. Die Adresse antwortet mit 503." in page
    assert str(found) not in page


def test_what_auth_said_of_an_older_version_or_before_is_ignored(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/identity-providers", SAML)
    api("PATCH", f"/identity-providers/{made}", json={"metadata_url": "https://idp.example/new"})
    hear(app, made, 1)
    assert api("GET", f"/identity-providers/{made}").json()["state"] is None
    hear(app, made, 2)
    hear(app, made, 2, state="failed", checked_at=app.clock.now() - timedelta(hours=1))
    assert api("GET", f"/identity-providers/{made}").json()["state"] == IdentityProviderState.READY


def test_new_metadata_makes_the_old_judgement_void(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/identity-providers", SAML)
    hear(app, made, 1)
    assert api("PATCH", f"/identity-providers/{made}", json={"name": "Uni"}).json()["state"] == "ready"
    changed = api("PATCH", f"/identity-providers/{made}", json={"metadata_url": "https://idp.example/2"})
    assert changed.json()["state"] is None


def test_what_auth_says_of_a_deleted_provider_is_dropped(app: EnrollApp) -> None:
    hear(app, new_id(), 1)
    assert master(app).items("/identity-providers") == []

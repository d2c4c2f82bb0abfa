"""Devices, registration tokens and the dashboard through the API."""

from __future__ import annotations

from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from tests.integration.api.test_certificates import audited, installed, strangers
from tests.integration.test_enroll_devices import assertion, register, registration, signed_in
from tests.support.administrators import master, officer
from tests.support.enroll_app import ADA, EnrollApp, problem_code

from keystead_contracts.agent import Routes
from keystead_contracts.base import CertificateType
from keystead_contracts.people import IdentityProviderKind, IdentityProviderState
from keystead_enroll.domain.administration import Grant, Role, local_actor
from keystead_enroll.domain.identity_providers import IdentityProvider
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.usecases.admin.dashboard import show_dashboard


def hospital(app: EnrollApp) -> str:
    """The set-up organization's id."""
    return next(o["id"] for o in master(app).items("/organizations") if o["name"] == "Example Hospital")


def test_a_device_shows_its_machine_its_certificates_and_what_it_is_to_do(app: EnrollApp) -> None:
    device = register(app, app.client())
    agent, browser = signed_in(app, device, app.client()), app.browser()
    browser.order(target=device.id)
    agent.report(agent.csr_report(agent.jobs()[0]))
    app.work()
    agent.report(agent.installed_report(agent.jobs()[0]))
    second = browser.order(target=device.id)
    shown = master(app)("GET", f"/devices/{device.id}").json()
    assert (shown["name"], shown["owner"], shown["organization"]) == ("laptop", ADA, "Example Hospital")
    assert shown["machine"]["key_provider"] == "software"
    assert [each["state"] for each in shown["certificates"]] == ["valid"]
    assert [(job["kind"], job["request_id"]) for job in shown["jobs"]] == [("make_key_and_csr", second)]


def test_an_officer_for_another_type_sees_the_device_without_that_certificate(app: EnrollApp) -> None:
    device = register(app, app.client())
    agent, browser = signed_in(app, device, app.client()), app.browser()
    browser.order(target=device.id)
    agent.report(agent.csr_report(agent.jobs()[0]))
    app.work()
    ssl = officer(app, Grant(Role.RAO, hospital(app), certificate_types=frozenset({CertificateType.SSL})))
    assert ssl("GET", f"/devices/{device.id}").json()["certificates"] == []
    refused = ssl("DELETE", f"/devices/{device.id}")
    assert (refused.status_code, problem_code(refused)) == (403, "forbidden")


def test_a_removed_device_opens_nothing_any_more(app: EnrollApp) -> None:
    device = register(app, app.client())
    agent, browser = signed_in(app, device, app.client()), app.browser()
    order_id = browser.order(target=device.id)
    [job] = agent.jobs()
    report = agent.csr_report(job)
    assert master(app)("DELETE", f"/devices/{device.id}").status_code == 204
    refused = app.client().post(Routes.TOKEN, json={"assertion": assertion(app, device)})
    assert (refused.status_code, problem_code(refused)) == (401, "assertion-invalid")
    assert agent.jobs() == []
    late = agent.report(report)
    assert (late.status_code, problem_code(late)) == (404, "job-not-yours")
    assert app.order(order_id).state is OrderState.CANCELLED
    (letter,) = app.facts("enrollment_failed")
    assert letter["reason"] == "Your administrator removed the computer laptop."
    assert audited(app, device.id)[-1].action == "device.remove"
    assert "laptop" not in browser.get(f"/request?profile={app.profile('Person')}").text


def test_a_device_stays_while_a_certificate_for_it_is_signed(app: EnrollApp) -> None:
    device = register(app, app.client())
    agent, browser = signed_in(app, device, app.client()), app.browser()
    order_id = browser.order(target=device.id)
    agent.report(agent.csr_report(agent.jobs()[0]))
    with app.enroll.transactions.write() as tx:
        order = tx.order(order_id)
        assert order is not None
        order.advance(OrderState.SIGNING, app.clock.now())
    refused = master(app)("DELETE", f"/devices/{device.id}")
    assert (refused.status_code, problem_code(refused)) == (409, "conflict")
    assert master(app)("GET", f"/devices/{device.id}").status_code == 200


def test_certificates_of_a_removed_device_stay_valid(app: EnrollApp) -> None:
    device = register(app, app.client())
    agent, browser = signed_in(app, device, app.client()), app.browser()
    browser.order(target=device.id)
    agent.report(agent.csr_report(agent.jobs()[0]))
    app.work()
    agent.report(agent.installed_report(agent.jobs()[0]))
    api = master(app)
    assert api("DELETE", f"/devices/{device.id}").status_code == 204
    (certificate,) = api.items("/certificates")
    assert certificate["state"] == "valid"
    assert (
        api("POST", f"/certificates/{certificate['id']}/revocation", json={"reason": "superseded"}).status_code == 200
    )


def test_devices_outside_of_the_scope_do_not_exist(app: EnrollApp) -> None:
    device = register(app, app.client())
    api = officer(app, strangers(app)[0])
    assert api.items("/devices") == []
    assert api("GET", f"/devices/{device.id}").status_code == 404
    assert api("DELETE", f"/devices/{device.id}").status_code == 404
    assert [each["id"] for each in master(app).items("/devices", q="owner:ada")] == [device.id]


def test_a_registration_token_is_shown_once_and_lets_machines_in_until_it_ends(app: EnrollApp) -> None:
    api = master(app)
    body = {"name": "Lab", "organization_id": hospital(app), "owner": "Ada@Example.org", "days": 2}
    headers = {"idempotency-key": "k-1"}
    made = api("POST", "/registration-tokens", json=body, headers=headers).json()
    again = api("POST", "/registration-tokens", json=body, headers=headers).json()
    assert again == {"id": made["id"], "secret": None}
    assert made["secret"] not in api("GET", "/registration-tokens").text
    assert [each["owner"] for each in api.items("/registration-tokens", q="Lab")] == [ADA]
    key = ec.generate_private_key(ec.SECP256R1())
    taken = app.client().post(Routes.DEVICES, json=registration(app, key, registration_token=made["secret"]))
    assert taken.status_code == 200
    app.clock.shift = timedelta(days=2)
    late = app.client().post(Routes.DEVICES, json=registration(app, key, registration_token=made["secret"]))
    assert (late.status_code, problem_code(late)) == (403, "registration-refused")


def test_a_token_s_name_is_its_organization_s_alone(app: EnrollApp) -> None:
    api = master(app)
    other = api.create("/organizations", {"name": "Physics"})
    lab = {"name": "Lab", "organization_id": hospital(app)}
    for body, status in ((lab, 201), (lab | {"organization_id": other}, 201), (lab, 422)):
        assert api("POST", "/registration-tokens", json=body).status_code == status


def test_a_deleted_registration_token_opens_nothing(app: EnrollApp) -> None:
    api = master(app)
    made = api("POST", "/registration-tokens", json={"name": "Lab", "organization_id": hospital(app)}).json()
    assert api("DELETE", f"/registration-tokens/{made['id']}").status_code == 204
    key = ec.generate_private_key(ec.SECP256R1())
    refused = app.client().post(Routes.DEVICES, json=registration(app, key, registration_token=made["secret"]))
    assert refused.status_code == 403
    assert [line.action for line in audited(app, made["id"])] == [
        "registration_token.create", "registration_token.delete",
    ]  # fmt: skip


def test_only_who_rules_the_organization_lets_machines_in(app: EnrollApp) -> None:
    api, place = master(app), hospital(app)
    made = api("POST", "/registration-tokens", json={"name": "Lab", "organization_id": place}).json()
    stranger = officer(app, strangers(app)[0])
    body = {"name": "Mine", "organization_id": place}
    assert stranger("POST", "/registration-tokens", json=body).status_code == 404
    assert stranger("GET", f"/registration-tokens/{made['id']}").status_code == 404
    assert stranger("DELETE", f"/registration-tokens/{made['id']}").status_code == 404
    department = api.items("/departments")[0]["id"]
    drao = officer(app, Grant(Role.DRAO, place, department))
    assert drao("POST", "/registration-tokens", json=body).status_code == 403
    assert drao.items("/registration-tokens") == []
    refused = api("POST", "/registration-tokens", json=body | {"digest": "0" * 64})
    assert list(refused.json()["fields"]) == ["digest"]
    assert list(api("POST", "/registration-tokens", json=body | {"name": "Lab"}).json()["fields"]) == ["name"]


def test_the_dashboard_counts_what_is_there(app: EnrollApp) -> None:
    installed(app)
    app.browser("Approved").order()
    revoked = installed(app)
    api = master(app)
    api("POST", f"/certificates/{revoked}/revocation", json={"reason": "superseded"})
    told = api("GET", "/dashboard").json()
    assert (told["awaiting_approval"], told["failed"], told["valid"]) == (1, 0, 1)
    assert told["assurance"] == {"software": 1, "claimed": 0, "attested": 0, "listed": 0, "vendor": 0}
    assert len(told["days"]) == 30 and len(told["weeks"]) == 12
    assert sum(day["issued"]["client"] for day in told["days"]) == 2
    app.clock.shift = timedelta(days=350)
    later = show_dashboard(app.enroll.transactions, app.clock, local_actor("grace"))
    assert later.expiring == 1 and sum(week.expiring for week in later.weeks) == 1
    assert sum(sum(day.issued.values()) for day in later.days) == 0


def test_the_dashboard_counts_nothing_outside_of_the_scope(app: EnrollApp) -> None:
    installed(app)
    app.browser("Approved").order()
    provider = IdentityProvider(id="p" * 32, name="Broken", kind=IdentityProviderKind.SAML)
    provider.state = IdentityProviderState.FAILED
    with app.enroll.transactions.write() as tx:
        tx.add(provider)
    assert master(app)("GET", "/dashboard").json()["failing_providers"] == ["Broken"]
    for grant in strangers(app):
        told = officer(app, grant)("GET", "/dashboard").json()
        assert (told["awaiting_approval"], told["valid"], told["failing_providers"]) == (0, 0, [])
        assert sum(sum(day["issued"].values()) for day in told["days"]) == 0

"""What a person asks for, and what of it is refused, through the web application."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.enroll_app import (
    LICENCE,
    SETUP,
    EnrollApp,
)


def test_every_mistake_in_a_request_is_named(app: EnrollApp) -> None:
    browser = app.browser("Servers")
    response = browser.request(
        "Server",
        key_algorithm="dsa-512",
        term_days="99999",
        target="0" * 32,
        licence="",
        dns_names="www.elsewhere.example",
    )
    page = browser.mistakes(response)
    assert "Read the terms and accept them to go on." in page
    assert "“www.elsewhere.example” is not in a domain of your organization: example.org." in page
    assert "at least one server name" in browser.mistakes(browser.request("Server", dns_names="  "))


@pytest.mark.parametrize(
    "fields",
    [
        {"profile": "0" * 32},
        {"licence": ""},
        {"licence_version": "2020-01"},
        {"key_algorithm": "rsa-4096"},
        {"term_days": "366"},
        {"term_days": "-1"},
        {"target": "0" * 32},
    ],
)
def test_a_request_beyond_what_is_offered_is_refused(lite: EnrollApp, fields: dict[str, str]) -> None:
    browser = lite.browser()
    assert browser.mistakes(browser.request(**fields))


@pytest.mark.parametrize("name", ["", "PUMP 42", "pump-42.elsewhere.example", "pump\n42", "pump\0"])
def test_a_device_name_outside_the_rules_is_refused(lite: EnrollApp, name: str) -> None:
    browser = lite.browser("Machines")
    assert 'id="f-device_name-error"' in browser.mistakes(browser.request("Machine", device_name=name))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("bad name!!", "“bad name!!” is not a device name. Use letters, digits and hyphens"),
        ("<script>", "“&lt;script&gt;” is not a device name."),
        ("*.example.org", "is not a device name."),
        ("infusion-07", "“infusion-07” has no domain. Give the whole name, such as infusion-07.example.org."),
        ("host.evil.example", "“host.evil.example” is not in a domain of your organization: example.org."),
        (f"{'a' * 60}.example.org", "is too long for a certificate, which has room for 64 letters there."),
    ],
)
def test_a_device_is_named_like_a_host_and_mistakes_are_told_in_plain_words(
    lite: EnrollApp, name: str, told: str
) -> None:
    machine = next(p for p in SETUP["profiles"] if p["name"] == "Machine")
    uri = lite.apply(plain_machines(machine))["Plain machines"]
    lite.uris["Plain machines"] = uri
    browser = lite.browser("Plain machines")
    page = browser.mistakes(browser.request("Plain machine", device_name=name))
    assert told in page
    assert "octets" not in page and "RFC" not in page


@pytest.mark.parametrize("name", ["www\uff0egoogle\uff0ecom", "www\u3002google\u3002com", "ｗｗｗ.google.com"])
def test_a_name_elsewhere_in_another_form_is_still_elsewhere(lite: EnrollApp, name: str) -> None:
    machine = next(p for p in SETUP["profiles"] if p["name"] == "Machine")
    anything = plain_machines(machine)
    anything["profiles"][0] |= {"name": "Odd machine", "device_name_pattern": ".+", "subject_alternative_names": []}
    anything["forms"][0] |= {"name": "Odd machines"}
    anything["forms"][0]["accounts"][0] |= {"profiles": ["Odd machine"]}
    lite.uris |= lite.apply(anything)
    for form, profile, field in (("Odd machines", "Odd machine", "device_name"), ("Servers", "Server", "dns_names")):
        browser = lite.browser(form)
        page = browser.mistakes(browser.request(profile, **{field: name}))
        assert "“www.google.com” is not in a domain of your organization" in page


def plain_machines(machine: dict[str, Any]) -> dict[str, Any]:
    """A form for devices whose profile says nothing of how they are named."""
    account = {"name": "Plain", "organization": "Example Hospital", "profiles": ["Plain machine"]}
    return {
        "profiles": [machine | {"name": "Plain machine", "device_name_pattern": ""}],
        "forms": [{"name": "Plain machines", "type": "device", "accounts": [account]}],
    }


def test_names_that_lie_elsewhere_are_all_told(lite: EnrollApp) -> None:
    browser = lite.browser("Servers")
    page = browser.mistakes(browser.request("Server", dns_names="bad name!!"))
    assert "“bad”, “name!!” are not in a domain of your organization" in page


def test_a_wrong_serial_number_is_told_beside_its_field(lite: EnrollApp) -> None:
    browser = lite.browser("Machines")
    fields = {"device_name": "pump-42.example.org", "serial_number": "№ 7"}
    page = browser.mistakes(browser.request("Machine", **fields))
    assert 'id="f-serial_number-error"' in page and 'id="f-device_name-error"' not in page


def test_the_accepted_licence_is_recorded(app: EnrollApp) -> None:
    assert app.order(app.browser().order()).licence_version == LICENCE


def test_a_person_chooses_between_accounts(app: EnrollApp) -> None:
    browser = app.browser("Two doors")
    assert browser.get().headers["location"].endswith("/account")
    assert browser.get("/request").status_code == 303
    page = browser.get("/account")
    assert "Front door" in page.text
    assert "Choose one of these." in browser.mistakes(browser.post("/account", account="0" * 32))
    with app.enroll.transactions.read() as tx:
        form = tx.form_by_uri(browser.uri)
        assert form is not None
        back = next(a.id for a in tx.accounts(form.id) if a.name == "Back door")
    assert browser.post("/account", account=back).status_code == 303
    assert app.order(browser.order()).account_id == back

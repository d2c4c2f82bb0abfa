"""The guide's “Enrolling a certificate”: every way to sign in, for every certificate type that it is allowed for."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.support.gallery import Gallery, gallery
from tests.support.guide import Enrollee, MasterApi, guide_stack
from tests.support.simplesamlphp import PASSWORD, IdentityProvider, simplesamlphp

from keystead_local.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.tpm, pytest.mark.browser]

SECRET_ID = "seven blue herons"
ANSWERS = {
    "Staff": {},
    "Device": {"Device_name": "pump-7.example.org"},
    "Web": {"DNS_names_of_the_server": "www.example.org"},
}
_people = itertools.count(1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with guide_stack(tmp_path_factory.mktemp("guide")) as running:
        yield running


@pytest.fixture(scope="module")
def seen(stack: Stack) -> Iterator[Gallery]:
    with gallery("enrollment") as pages:
        yield pages


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[MasterApi]:
    api = MasterApi(stack)
    yield api
    api.close()


@pytest.fixture(scope="module")
def idp(stack: Stack, api: MasterApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    """SimpleSAMLphp, which auth has read and which knows auth."""
    with simplesamlphp(tmp_path_factory.mktemp("idp") / "simplesamlphp") as provider:
        base = f"{stack.origin}/auth/saml"
        certificate = (stack.folder / "keys/auth-saml.crt.pem").read_text()
        provider.know(f"{base}/metadata", f"{base}/acs", "".join(certificate.splitlines()[1:-1]))
        id = api.create(
            "/identity-providers", name="Northwind sign-in", kind="saml", metadata_xml=provider.metadata(),
            idp_initiated=True,
        )  # fmt: skip
        ends = time.monotonic() + 20
        while (told := api.show(f"/identity-providers/{id}"))["state"] != "ready":
            assert time.monotonic() < ends, told
            time.sleep(0.1)
        yield provider


@pytest.fixture
def arrives(browser: Browser, stack: Stack) -> Iterator[Callable[..., Enrollee]]:
    """Makes people; in the end none of them met a fault of ours."""
    made: list[Enrollee] = []

    def make(email: str = "") -> Enrollee:
        made.append(Enrollee(browser, stack, email or f"person{next(_people)}@example.org"))
        return made[-1]

    yield make
    for each in made:
        each.close()
    assert [fault for each in made for fault in each.faults if stack.origin in fault] == []


@pytest.fixture
def person(arrives: Callable[..., Enrollee]) -> Enrollee:
    return arrives()


def give_code(person: Enrollee, word: str) -> None:
    """The device form's account asks for one."""
    if word == "Device":
        person.sees("Enter your access code")
        person.page.get_by_label("Access code").fill("DEVICE2026")
        person.press("Continue")
    person.sees("Request a certificate")


@pytest.mark.parametrize("word", ANSWERS)
def test_a_person_enrolls_by_e_mail(person: Enrollee, seen: Gallery, tmp_path: Path, word: str) -> None:
    person.by_email(word)
    give_code(person, word)
    seen.look(person.page, f"request-{word.lower()}")
    person.install(tmp_path, **ANSWERS[word])
    seen.look(person.page, f"installed-{word.lower()}")


@pytest.mark.parametrize("word", ANSWERS)
def test_a_person_enrolls_through_the_identity_provider(
    person: Enrollee, idp: IdentityProvider, seen: Gallery, tmp_path: Path, word: str
) -> None:
    person.open_form(word)
    seen.look(person.page, f"sign-in-{word.lower()}")
    person.by_saml(word, "ada", PASSWORD)
    give_code(person, word)
    person.install(tmp_path, **ANSWERS[word])


def test_a_person_enrolls_with_a_secret_id(
    arrives: Callable[..., Enrollee], api: MasterApi, seen: Gallery, tmp_path: Path
) -> None:
    northwind = api.id_of("/organizations", "Northwind")
    sam = arrives("sam@elsewhere.example")  # no domain of Northwind's: known by name alone
    api.create("/persons", organization_id=northwind, email=sam.email, name="Sam Vimes", secret_id=SECRET_ID)
    sam.by_secret_id("Staff", "not what was given")
    assert sam.error_beside("secret_id")
    seen.look(sam.page, "secret-id-wrong")
    sam.by_secret_id("Staff", SECRET_ID)
    sam.sees("Request a certificate")
    sam.install(tmp_path)
    expect(sam.page.locator(".certificate h2")).to_have_text("Sam Vimes")


@pytest.mark.parametrize("word", ["Device", "Web"])
def test_a_secret_id_is_for_client_forms_alone(person: Enrollee, word: str) -> None:
    person.open_form(word)
    person.sees(f"Sign in to {'Device certificates' if word == 'Device' else 'Web servers'}")
    expect(person.page.get_by_text("Secret ID")).to_have_count(0)


def test_who_begins_at_the_identity_provider_confirms_and_goes_on(
    person: Enrollee, stack: Stack, idp: IdentityProvider, seen: Gallery
) -> None:
    service, form = f"{stack.origin}/auth/saml/metadata", person.form("Staff").rsplit("/", 1)[-1]
    person.page.goto(f"{idp.origin}/saml2/idp/SSOService.php?spentityid={service}&RelayState={form}")
    person.page.locator("input[name=username]").fill("ada")
    person.page.locator("input[name=password]").fill(PASSWORD)
    person.page.keyboard.press("Enter")
    person.sees("Confirm that it is you")
    seen.look(person.page, "idp-confirm")
    person.press("Continue")
    expect(person.page.get_by_text("ada@example.org")).to_be_visible()


@pytest.mark.parametrize(
    ("word", "user", "wrong"),
    [("Staff", "entra", "organization"), ("Mathematics", "guest", "group")],
)
def test_a_page_says_which_of_organization_and_groups_did_not_fit(
    person: Enrollee, idp: IdentityProvider, seen: Gallery, word: str, user: str, wrong: str
) -> None:
    person.by_saml(word, user, PASSWORD)
    expect(person.page.locator("main")).to_contain_text(wrong)
    seen.look(person.page, f"idp-no-{wrong}")


def test_the_mapping_lets_those_in_whom_it_names(person: Enrollee, idp: IdentityProvider, tmp_path: Path) -> None:
    person.by_saml("Mathematics", "ada", PASSWORD)
    person.sees("Request a certificate")


def test_the_list_shows_what_one_has_and_add_begins_another(person: Enrollee, seen: Gallery, tmp_path: Path) -> None:
    person.by_email("Staff")
    person.install(tmp_path)
    person.open_form("Staff")
    person.sees("Your certificates")
    seen.look(person.page, "certificates")
    person.press("Add")
    person.page.get_by_label("RSA 2048").check()
    person.install(tmp_path)
    person.press("Your certificates")
    expect(person.page.locator(".row")).to_have_count(2)

"""A person is answered, and written to, in their language; programs are answered in English."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.auth_support import FORM, Auth, running_auth
from tests.support.enroll_app import Agent, Browser, EnrollApp

from keystead_contracts.agent import DeviceJob, Failed, Report
from keystead_enroll.domain.administration import local_actor
from keystead_enroll.domain.progress import progress_of
from keystead_enroll.usecases.change_order import cancel_any_order
from keystead_kit.i18n import speaking, translated

FRONT_DOOR = f"/auth/sign-in/{FORM}"
GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}


@pytest.fixture
def auth(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Auth]:
    with running_auth(database_url, redis_url, tmp_path) as running:
        yield running


def german(app: EnrollApp) -> tuple[Browser, str, Agent, DeviceJob]:
    """The order of a person whose browser asks for German, and its agent."""
    browser = app.browser()
    browser.client.headers.update(GERMAN)
    order_id = browser.order()
    agent = app.agent()
    agent.redeem(browser.link(order_id).claim)
    return browser, order_id, agent, agent.jobs()[0]


def test_the_letter_with_the_link_is_in_the_language_of_the_page(auth: Auth) -> None:
    browser = auth.browser()
    browser.http.headers.update(GERMAN)
    assert "Link senden" in browser.get(FRONT_DOOR).text
    wrong = browser.ask("nobody")
    assert "Geben Sie eine E-Mail-Adresse ein" in browser.get(wrong.headers["location"]).text
    browser.ask("ada@example.org")
    auth.decide()
    auth.token(email="bob@example.org")
    assert [fact["language"] for fact in auth.links()] == ["de", "en"]


def test_the_language_that_was_chosen_on_one_page_is_that_of_all(auth: Auth) -> None:
    browser = auth.browser()
    assert browser.get(f"/language/de?back={FRONT_DOOR}").headers["location"] == FRONT_DOOR
    assert '<html lang="de">' in browser.get(FRONT_DOOR).text


def test_a_failure_is_told_in_the_persons_language_and_the_agent_in_english(app: EnrollApp) -> None:
    browser, order_id, agent, job = german(app)
    report = agent.report(agent.csr_report(job, csr_pem="no request"))
    assert report.json()["detail"] == "The request is not exactly one PEM block CERTIFICATE REQUEST"
    page = browser.get(f"/orders/{order_id}").text
    assert "Die Zertifikatsanforderung ist nicht genau ein PEM-Block" in page
    assert (
        "The request is not exactly one PEM block"
        in browser.get(f"/orders/{order_id}", **{"accept-language": "en"}).text
    )
    [letter] = app.facts("enrollment_failed")
    assert (letter["language"], letter["reason"][:31]) == ("de", "die Zertifikatsanforderung ist ")


def test_an_agents_own_words_are_translated_by_nobody(app: EnrollApp) -> None:
    browser, order_id, agent, job = german(app)
    agent.report(Report(job_id=job.job_id, body=Failed(code="tpm_missing", detail="Sign out")))
    page = browser.get(f"/orders/{order_id}").text
    assert "Auf diesem Computer wurde kein TPM gefunden." in page and "„Sign out.“" in page


def test_a_reason_with_values_is_said_in_the_language_of_whoever_looks(app: EnrollApp) -> None:
    _, order_id, _, _ = german(app)
    cancel_any_order(app.enroll.transactions, app.clock, app.origin, local_actor("grace"), order_id, "Wrong form.")
    with speaking("de"):
        failure = translated(progress_of(app.order(order_id)).to_json())["failure"]
    assert isinstance(failure, dict)
    assert failure["title"] == "Ihre Administration hat den Antrag abgebrochen: Wrong form."
    assert app.order(order_id).failure_reason == "Your administrator cancelled the request: Wrong form."

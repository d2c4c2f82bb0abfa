"""Bulk jobs and registration tokens in Chromium, on a real server: a file is sent and its bar moves to the end. Leaves
pictures in var/screenshots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.integration.console.test_people_look import NARROW, PICTURES, WIDE, People
from tests.integration.test_bulk_engine import finish
from tests.integration.test_enroll_devices import register, signed_in
from tests.support import page_audit
from tests.support.bulk_rows import Rows
from tests.support.enroll_app import MACHINE, Agent, EnrollApp, http, served
from tests.support.preview_pages import chromium

from keystead_enroll.domain.orders import OrderState

pytestmark = pytest.mark.browser
MACHINES = 20


@pytest.fixture(scope="module")
def people(_redis: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    database = f"sqlite:///{tmp_path_factory.mktemp('bulk')}/test.db"
    with served(database, _redis.url) as app, chromium() as browser:
        yield People(app, browser)


def looked_at(page: Page, name: str) -> None:
    """Everybody can read and use the page, on a phone too; pictures of it stay."""
    mistakes = {"names": page_audit.unnamed_controls(page), "structure": page_audit.structure_mistakes(page)}
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": 900})
        mistakes[f"sideways at {width}"] = page_audit.sideways(page)
        mistakes[f"axe at {width}"] = page_audit.axe_mistakes(page)
        page.screenshot(path=PICTURES / f"console-{name}-{width}.png", full_page=True)
    page.set_viewport_size({"width": WIDE, "height": 900})
    assert {what: found for what, found in mistakes.items() if found} == {}
    assert page_audit.weight(page) < page_audit.MOST_BYTES


def machine(app: EnrollApp, name: str) -> Agent:
    """A registered machine of this name, signed in."""
    device = register(app, http(app), machine=MACHINE.model_copy(update={"hostname": name}))
    return signed_in(app, device, http(app))


def submitted(people: People, page: Page, tmp_path: Path, name: str, machines: Sequence[str] = ()) -> Rows:
    """A file of these machines, or some, that was sent with the form, and the job whose page is open then."""
    file = tmp_path / name
    named = machines or [f"{file.stem}-{number}" for number in range(1, MACHINES + 1)]
    file.write_text("device_name\n" + "".join(f"{each}\n" for each in named))
    page.goto(people.url("bulk-jobs/new"))
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_label("Whose machines they are").select_option(label="Example Hospital")
    page.get_by_label("Certificate profile").select_option(label="Machine")
    page.get_by_role("button", name="Send the file").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    return Rows(people.app, page.url.rsplit("/", 1)[1].partition("?")[0])


def test_a_file_is_sent_and_its_bar_moves_to_the_end_as_machines_get_their_certificates(
    people: People, tmp_path: Path
) -> None:
    app, page, faults = people.app, people.page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto(people.url("bulk-jobs/new"))
    looked_at(page, "bulk-jobs-new")
    names = [f"cart-{number}.example.org" for number in range(1, 6)]
    submitted(people, page, tmp_path, "carts.csv", [*names, "<b>cart</b>"])
    page.evaluate("document.body.dataset.mark = 'the same page'")
    bar = page.get_by_role("progressbar", name="Progress")
    app.enroll.bulk.all()
    expect(page.get_by_text("1 of 6 rows")).to_be_visible()
    expect(page.get_by_role("link", name="Waits for its machine 5")).to_be_visible()
    expect(page.get_by_role("rowheader", name="7")).to_be_visible()
    agents = [machine(app, name) for name in names]
    app.enroll.bulk.all()
    for done, agent in enumerate(agents[:3], 2):
        finish(app, agent)
        expect(page.get_by_text(f"{done} of 6 rows")).to_be_visible()
        assert bar.evaluate("bar => [bar.value, bar.max]") == [done, 6]
    looked_at(page, "bulk-job-running")
    for agent in agents[3:]:
        finish(app, agent)
    expect(page.get_by_text("6 of 6 rows")).to_be_visible()
    assert page.evaluate("document.body.dataset.mark") == "the same page", "nothing was loaded anew until here"
    app.enroll.bulk.all()
    expect(page.get_by_text("Finished", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Refused rows as CSV")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("link", name="Results", exact=True).click()
    assert Path(download.value.path()).read_text().count('"installed"') == 5
    assert faults == []
    page.goto(people.url("bulk-jobs"))
    expect(page.get_by_role("row", name="carts.csv").get_by_text("100 %, 6 of 6 rows")).to_be_visible()
    looked_at(page, "bulk-jobs")
    page.goto(people.url("devices"))
    page.get_by_role("link", name=names[0]).click()
    expect(page.get_by_role("row", name="carts.csv").get_by_text("Installed")).to_be_visible()
    looked_at(page, "device-in-bulk")


def test_a_job_is_paused_and_ended_after_a_question_and_rows_are_looked_at(people: People, tmp_path: Path) -> None:
    page = people.page()
    rows = submitted(people, page, tmp_path, "laptops.csv")
    rows.read(MACHINES)
    rows.order(3)
    rows.order(1, OrderState.FAILED, "The TPM is locked.")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    page.get_by_role("link", name="Installed 3").click()
    expect(page.get_by_role("row")).to_have_count(4)
    looked_at(page, "bulk-job-rows")
    page.goto(people.url(f"bulk-jobs/{rows.job_id}"))
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Running", exact=True)).to_be_visible()
    page.get_by_role("link", name="End it…").click()
    looked_at(page, "bulk-job-end")
    page.get_by_role("button", name="End the job").click()
    expect(page.get_by_text("Being ended", exact=True)).to_be_visible()


def test_progress_is_seen_without_script(people: People, tmp_path: Path) -> None:
    page = people.page(java_script_enabled=False)
    rows = submitted(people, page, tmp_path, "no-script.csv")
    assert page.locator("noscript meta[http-equiv=refresh]").count() == 1
    rows.read(MACHINES)
    rows.order(5)
    page.reload()
    expect(page.get_by_text("5 of 20 rows")).to_be_visible()


def test_whoever_was_signed_out_meanwhile_is_asked_to_sign_in(people: People, tmp_path: Path) -> None:
    page = people.page()
    submitted(people, page, tmp_path, "signed-out.csv")
    page.context.clear_cookies()
    page.wait_for_url("**/auth/administrators/sign-in*")


def test_a_registration_token_with_limits_is_made_and_looked_at(people: People) -> None:
    page = people.page()
    page.goto(people.url("registration-tokens/new"))
    page.get_by_label("Name", exact=True).fill("Lab 2027")
    page.get_by_label("Organization").select_option(label="Example Hospital")
    page.get_by_label("Group").fill("Laptops 2027")
    page.get_by_label("How many devices it may register").fill("50")
    looked_at(page, "registration-tokens-new")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text("ksr_").first).to_be_visible()
    page.goto(people.url("registration-tokens"))
    looked_at(page, "registration-tokens")
    page.get_by_role("link", name="Lab 2027").click()
    expect(page.get_by_text("0 of 50")).to_be_visible()
    looked_at(page, "registration-token")

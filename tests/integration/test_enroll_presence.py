"""Which devices are connected, what the request page makes of it, and the way out when the chosen one is not."""

from __future__ import annotations

import asyncio
import re
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta

from anyio import CapacityLimiter
from sqlalchemy import select, text
from tests.integration.test_enroll_devices import Registered, register, signed_in
from tests.support.enroll_app import MACHINE, Agent, EnrollApp, http, migrate, served
from tests.support.servers import wait_until

from keystead_contracts.agent import Failed, FailureCode, KeyProvider, MakeKeyAndCsr, Remove, Removed, Report
from keystead_enroll.adapters import tables
from keystead_enroll.ports import Transaction, Transactions
from keystead_enroll.usecases.note_presence import note_presence
from keystead_enroll.web.presence import DevicePresence
from keystead_kit.migrations import Migrations


def connected(app: EnrollApp, device: Registered) -> bool:
    """Whether the device counts as connected now."""
    with app.enroll.transactions.read() as tx:
        found = tx.device(device.id)
        assert found is not None
        return found.connected(app.clock.now())


def say(app: EnrollApp, holder: str, **what: list[str]) -> None:
    """What a web process says of its streams."""
    said: dict[str, list[str]] = {"arrived": [], "staying": [], "left": []} | what
    note_presence(app.enroll.transactions, app.clock, holder, **said)


def choices(app: EnrollApp) -> list[tuple[str, bool]]:
    """The request page's computers (id or "link"), in order, and which is chosen."""
    page = app.browser().get(f"/request?profile={app.profile('Person')}").text
    found = re.findall(r'name="target" value="(\w+)"( checked)?', page)
    return [(value, bool(checked)) for value, checked in found]


def test_a_device_is_connected_while_its_stream_is_open(database_url: str, redis_url: str) -> None:
    with served(database_url, redis_url) as app:
        device = register(app, http(app))
        agent = signed_in(app, device, http(app))
        assert not connected(app, device)
        with agent.stream() as lines:
            next(lines)
            wait_until(lambda: connected(app, device), "the stream to be noted")
        wait_until(lambda: not connected(app, device), "the stream's end to be noted")


def test_the_end_of_an_older_stream_leaves_a_newer_one_elsewhere(database_url: str, redis_url: str) -> None:
    with served(database_url, redis_url) as one, served(database_url, redis_url) as other, ExitStack() as newer:
        device, mark = register(one, http(one)), register(one, http(one))
        agent = signed_in(one, device, http(one))
        with signed_in(one, mark, http(one)).stream() as marked, agent.stream() as older:
            assert next(marked) == next(older) == ": open"
            wait_until(lambda: connected(one, mark) and connected(one, device), "the older streams to be noted")
            first = holder(one, device)
            lines = newer.enter_context(Agent(other, http(other), token=agent.token).stream())
            assert next(lines) == ": open"
            wait_until(lambda: holder(one, device) != first, "the newer stream to be noted")
        wait_until(lambda: not connected(one, mark), "the older streams' end to be noted")
        assert connected(one, device)


def holder(app: EnrollApp, device: Registered) -> str | None:
    """The web process that has the device's newest stream."""
    with app.enroll.transactions.read() as tx:
        found = tx.device(device.id)
        assert found is not None
        return found.stream_holder


def test_only_the_holder_of_the_newest_stream_ends_a_devices_presence(app: EnrollApp) -> None:
    device = register(app, app.client())
    say(app, "one", arrived=[device.id])
    say(app, "other", arrived=[device.id])
    say(app, "one", left=[device.id])
    assert connected(app, device)
    say(app, "one", staying=[device.id])
    assert holder(app, device) == "other"
    say(app, "other", left=[device.id])
    assert not connected(app, device)


def test_a_stream_that_goes_on_counts_once_the_newer_one_has_ended(app: EnrollApp) -> None:
    device = register(app, app.client())
    say(app, "other", arrived=[device.id])
    say(app, "other", left=[device.id])
    say(app, "one", staying=[device.id])
    assert connected(app, device)


def test_what_a_killed_process_said_grows_stale(app: EnrollApp) -> None:
    device = register(app, app.client())
    say(app, "killed", arrived=[device.id])
    app.clock.shift += timedelta(seconds=74)
    assert connected(app, device)
    app.clock.shift += timedelta(seconds=2)
    assert not connected(app, device)
    say(app, "one", staying=[device.id])
    assert (connected(app, device), holder(app, device)) == (True, "one")


def test_a_process_says_again_what_goes_on_and_at_its_end_that_it_is_over(app: EnrollApp) -> None:
    device = register(app, app.client())

    async def live() -> None:
        presence = DevicePresence(app.enroll.transactions, app.clock, CapacityLimiter(1), beat=0.3)
        await presence.start()
        presence.began(f"device:{device.id}")
        await asyncio.to_thread(wait_until, lambda: connected(app, device), "the stream to be noted")
        app.clock.shift += timedelta(minutes=5)
        await asyncio.to_thread(wait_until, lambda: connected(app, device), "the next beat")
        await presence.stop()
        assert not connected(app, device)

    asyncio.run(live())


class Counted:
    """Transactions, and how many changed something."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions, self.writes = transactions, 0

    def write(self) -> AbstractContextManager[Transaction]:
        self.writes += 1
        return self._transactions.write()

    def read(self) -> AbstractContextManager[Transaction]:
        return self._transactions.read()


def test_thousands_of_devices_are_a_few_writes(lite: EnrollApp) -> None:
    async def live() -> list[int]:
        counted = Counted(lite.enroll.transactions)
        presence = DevicePresence(counted, lite.clock, CapacityLimiter(1), beat=1.5)
        for number in range(2500):
            presence.began(f"device:{number:032x}")
        await presence.start()
        await asyncio.to_thread(wait_until, lambda: counted.writes >= 3, "their beginning to be noted")
        begun = counted.writes
        await asyncio.to_thread(wait_until, lambda: counted.writes >= 6, "the next beat")
        went_on = counted.writes
        await presence.stop()
        return [begun, went_on]

    assert asyncio.run(live()) == [3, 6]


def test_connected_devices_come_first_and_one_is_chosen(app: EnrollApp) -> None:
    away, here, also_here = (register(app, app.client()) for _ in range(3))
    signed_in(app, away, app.client())  # seen last, but not connected
    say(app, "one", arrived=[here.id, also_here.id])
    listed = choices(app)
    assert {id for id, _ in listed[:2]} == {here.id, also_here.id}
    assert [id for id, _ in listed[2:]] == [away.id, "link"]
    assert [chosen for _, chosen in listed] == [True, False, False, False]


def test_a_link_is_chosen_while_no_device_is_connected(app: EnrollApp) -> None:
    device = register(app, app.client())
    assert choices(app) == [(device.id, False), ("link", True)]


def test_devices_of_one_name_are_told_apart(app: EnrollApp) -> None:
    register(app, app.client())
    page = f"/request?profile={app.profile('Person')}"
    assert "Registered" not in app.browser().get(page).text
    register(app, app.client(), machine=MACHINE.model_copy(update={"key_provider": KeyProvider.TPM2}))
    text = " ".join(re.sub("<[^>]+>", "", app.browser().get(page).text).split())
    assert len(re.findall(r"Registered \d+ \w+ \d{4}, with a key in (its TPM|a file)\.", text)) == 2
    assert {"in its TPM", "in a file"} == set(re.findall(r"with a key (in its TPM|in a file)", text))


def test_an_order_for_a_device_that_does_not_answer_goes_on_by_a_link(app: EnrollApp) -> None:
    device = register(app, app.client())
    browser = app.browser()
    order_id = browser.order(target=device.id)
    page = browser.get(f"/orders/{order_id}").text
    assert "Keystead on laptop has not answered yet." in page
    assert "Use a link instead" in page
    assert browser.post(f"/orders/{order_id}/use-link").status_code == 303
    agent = app.agent()
    assert agent.redeem(browser.link(order_id).claim).status_code == 200
    assert "Use a link instead" not in browser.get(f"/orders/{order_id}").text
    assert agent.report(agent.csr_report(agent.jobs()[0])).status_code == 200
    assert app.work() == 1
    assert agent.report(agent.installed_report(agent.jobs()[0])).json() == {"order_state": "installed"}
    assert len(app.certificates()) == 1


def test_the_device_removes_what_it_made_when_a_link_takes_its_place(app: EnrollApp) -> None:
    device = signed_in(app, register(app, app.client()), app.client())
    browser = app.browser()
    order_id = browser.order(target=device.recipient.partition(":")[2])
    [job] = device.jobs()
    browser.post(f"/orders/{order_id}/use-link")
    assert device.report(device.csr_report(job)).json() == {"order_state": "offered"}
    [removal] = device.jobs()
    assert isinstance(removal.payload, Remove)
    assert device.report(Report(job_id=removal.job_id, body=Removed())).status_code == 200
    assert device.jobs() == []
    assert app.order(order_id).state.value == "offered"


def test_an_order_that_fails_after_a_link_took_the_devices_place_ends(app: EnrollApp) -> None:
    device = register(app, app.client())
    browser = app.browser()
    order_id = browser.order(target=device.id)
    browser.post(f"/orders/{order_id}/use-link")
    agent = app.agent()
    agent.redeem(browser.link(order_id).claim)
    [job] = agent.jobs()
    assert isinstance(job.payload, MakeKeyAndCsr)
    failed = Report(job_id=job.job_id, body=Failed(code=FailureCode.INTERNAL, detail="It broke."))
    assert agent.report(failed).json() == {"order_state": "failed"}


def test_a_link_takes_the_devices_place_once(app: EnrollApp) -> None:
    device = register(app, app.client())
    browser = app.browser()
    order_id = browser.order(target=device.id)
    links = set()
    for _ in range(2):
        assert browser.post(f"/orders/{order_id}/use-link").status_code == 303
        links.add(browser.link(order_id).claim)
    assert len(links) == 1


def test_no_link_takes_the_place_of_a_device_that_has_begun(app: EnrollApp) -> None:
    device = signed_in(app, register(app, app.client()), app.client())
    browser = app.browser()
    order_id = browser.order(target=device.recipient.partition(":")[2])
    assert device.report(device.csr_report(device.jobs()[0])).status_code == 200
    assert "Use a link instead" not in browser.get(f"/orders/{order_id}").text
    assert browser.post(f"/orders/{order_id}/use-link").status_code == 409
    other = app.browser(email="bob@example.org")
    other.get("/request")
    assert other.post(f"/orders/{order_id}/use-link").status_code == 404


def test_migrating_there_and_back_keeps_the_jobs_and_their_numbering(app: EnrollApp) -> None:
    browser = app.browser()
    first = browser.order()
    migrate(app, Migrations.downgrade, "0002")
    migrate(app, Migrations.upgrade, "head")
    assert app.enroll.migrations().drift() == []
    second = browser.order()
    with app.enroll.database.read() as session:
        numbered = select(tables.jobs.c.sequence, tables.jobs.c.order_id).order_by(tables.jobs.c.sequence)
        rows = session.execute(numbered).all()
        assert [tuple(row) for row in rows] == [(1, first), (2, second)]
        if app.enroll.database.is_sqlite:  # a number is never given twice
            created = session.scalar(text("SELECT sql FROM sqlite_master WHERE name = 'device_jobs'"))
            assert "AUTOINCREMENT" in str(created)

"""One look for many recipients finds what a look for each would."""

from __future__ import annotations

from sqlalchemy import update
from tests.integration.test_enroll_devices import register
from tests.support.enroll_app import EnrollApp

from keystead_enroll.adapters import tables
from keystead_enroll.usecases.find_jobs import find_jobs


def orders_for(app: EnrollApp, device_id: str, count: int) -> None:
    browser = app.browser()
    for _ in range(count):
        browser.order(target=device_id)


def test_one_look_finds_for_each_what_is_open_in_order_and_leaves_out_who_was_removed(app: EnrollApp) -> None:
    busy, idle = register(app, app.client()), register(app, app.client())
    orders_for(app, busy.id, 3)
    browser = app.browser()
    order_id = browser.order()
    claim = app.order(order_id).recipient
    with app.enroll.database.write() as session:  # one of them was done
        session.execute(update(tables.jobs).where(tables.jobs.c.sequence == 2).values(state="done"))
    wanted = [f"device:{busy.id}", f"device:{idle.id}", claim, "device:removed", "claim:unknown"]
    found = find_jobs(app.enroll.transactions, wanted)
    assert found.keys() == set(wanted) - {"device:removed"}
    for recipient in found:
        with app.enroll.transactions.read() as tx:
            each = [job.to_wire() for job in tx.open_jobs(recipient)]
        assert [(job.sequence, job.wire) for job in found[recipient]] == [
            (job.sequence, job.model_dump_json()) for job in each
        ]
    assert [job.sequence for job in found[f"device:{busy.id}"]] == [1, 3]


def test_a_recipient_with_much_to_do_takes_no_place_from_the_others(app: EnrollApp) -> None:
    busy, other = register(app, app.client()), register(app, app.client())
    orders_for(app, busy.id, 3)
    orders_for(app, other.id, 1)
    wanted = [f"device:{busy.id}", f"device:{other.id}"]
    with app.enroll.transactions.read() as tx:
        found = tx.open_jobs_of_each(wanted, limit=2)
    assert [[job.sequence for job in found[name]] for name in wanted] == [[1, 2], [4]]

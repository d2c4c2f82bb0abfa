"""Two hundred simulated agents at one enroll: what the pipeline bench does, for its results alone."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import select
from tests.load.fleet.agents import Fleet, Told
from tests.load.fleet.machines import Machine, machine, manufacturer
from tests.load.orders import give_orders
from tests.support.enroll_app import REGISTRATION_TOKEN, EnrollApp, served

from keystead_enroll.adapters import administration_tables as a
from keystead_enroll.adapters import tables as t
from keystead_enroll.domain.orders import OrderState

DEVICES = 200
PATIENCE_SECONDS = 120.0


@contextmanager
def _working(app: EnrollApp) -> Iterator[None]:
    """The worker's duty goes on meanwhile."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            app.work()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join(30)


async def _enroll(app: EnrollApp, machines: list[Machine]) -> Told:
    place = urlsplit(app.origin)
    assert place.hostname and place.port
    fleet = Fleet(machines, place.hostname, place.port, most=32)
    try:
        await fleet.register()
        await fleet.connect()
        devices = [(each.device_id, each.name) for each in machines]
        await asyncio.to_thread(give_orders, app.enroll, "Machine", devices)
        await fleet.until_installed(len(machines), PATIENCE_SECONDS)
    finally:
        await fleet.close()
    return fleet.told


def test_a_fleet_registers_and_every_device_has_its_attested_certificate_once(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    maker = manufacturer()
    (tmp_path / "maker.der").write_bytes(maker.der)
    with served(postgres_url, redis_url, ek_roots_folder=tmp_path) as app:
        machines = [machine(app.origin, f"ward-{number:03}", maker) for number in range(DEVICES)]
        for each in machines:
            each.register_with(REGISTRATION_TOKEN)
        with _working(app):
            told = asyncio.run(_enroll(app, machines))
        with app.enroll.database.read() as session:
            states = Counter(session.scalars(select(t.orders.c.state)))
            rows = session.execute(select(t.certificates.c.order_id, t.certificates.c.serial, t.certificates.c.names))
            orders, serials, names = zip(*rows.all(), strict=True)
            actions = Counter(session.scalars(select(a.audit_entries.c.action)))
    assert told.problems == []
    assert told.levels == {"vendor": DEVICES}
    assert states == {OrderState.INSTALLED: DEVICES}
    assert len(set(orders)) == len(set(serials)) == len(orders) == DEVICES
    assert {name for each in names for name in each} == {f"{each.name}.example.org" for each in machines}
    assert set(told.installed) == set(orders)
    assert (actions["certificate.issue"], actions["certificate.install"]) == (DEVICES, DEVICES)

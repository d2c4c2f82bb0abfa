"""Ten thousand agents on one web process: memory of a connection, cost of idling, latency of a push, return of all
after the process was killed. PostgreSQL and Redis are the tests' own servers, the agents are in a process of theirs.

Run with `python -m tests.load.streams [--agents N] [--sqlite]`; part of `make bench`.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import insert
from tests.load.idle_agents import Fleet, Plan, Status, device_key, fleet
from tests.load.rows import Row, quantile
from tests.load.watch import cpu_seconds, resident_mib
from tests.support.enroll_app import ADA, EnrollApp, enroll_app
from tests.support.servers import HOST, end_process, free_port, postgres_server, redis_server, wait_until

from keystead_contracts.agent import MakeKeyAndCsr
from keystead_enroll.adapters import tables
from keystead_enroll.domain.jobs import Job
from keystead_enroll.domain.keys import spki_sha256
from keystead_enroll.domain.orders import Order
from keystead_kit.secrets import new_id
from keystead_local.stack import executable

WARM_UP = 100
"""Agents that connect before memory is first read."""
BEGIN_SECONDS = 30.0
"""Within which the agents come for the first time."""
PUSHES_PER_SECOND = 25.0


class WebProcess:
    """`keystead-enroll web`, alone in its process, as it is run in production but for TLS and proxy."""

    def __init__(self, app: EnrollApp, log: Path) -> None:
        chosen = app.enroll.settings
        self._app, self._log = app, log
        self._environment = {**os.environ} | {
            f"KEYSTEAD_ENROLL_{name.upper()}": str(value)
            for name, value in {
                "mode": "development",
                "public_origin": chosen.public_origin,
                "database_url": chosen.database_url.get_secret_value(),
                "redis_url": chosen.redis_url.get_secret_value(),
                "identity_key_file": chosen.identity_key_file,
                "token_key_file": chosen.token_key_file,
                "cookie_key": chosen.cookie_key.get_secret_value(),
                "access_code_key": chosen.access_code_key.get_secret_value(),
                "ca_folder": chosen.ca_folder,
                "web_port": httpx.URL(chosen.public_origin).port,
            }.items()
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it; it need not answer yet."""
        with self._log.open("ab") as log:
            command = [executable("keystead-enroll"), "web"]
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            return httpx.get(f"{self._app.origin}/health/live", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that takes too long."""
        if self.process is not None:
            end_process(self.process)


@contextmanager
def an_enroll(*, sqlite: bool) -> Iterator[EnrollApp]:
    """An enroll whose database and Redis are its own."""
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        if sqlite:
            url = f"sqlite:///{stack.enter_context(TemporaryDirectory(prefix='keystead-streams-'))}/enroll.db"
        else:
            url = stack.enter_context(stack.enter_context(postgres_server()).database())
        origin = f"http://{HOST}:{free_port()}"
        yield stack.enter_context(enroll_app(url, redis.url, public_origin=origin))


def add_devices(app: EnrollApp, count: int) -> list[str]:
    """Registers devices, all at once; their ids. Each has its own key, `device_key`."""
    ids, rows = [new_id() for _ in range(count)], []
    with app.enroll.transactions.read() as tx:
        [organization] = tx.organizations()
    for number, device_id in enumerate(ids):
        public = device_key(number).public_key()
        rows.append({
            "id": device_id, "organization_id": organization.id, "name": f"device-{number}", "platform": "linux",
            "public_key_pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            "spki_sha256": spki_sha256(public), "owner": ADA, "registered_at": datetime.now(UTC), "machine": {},
        })  # fmt: skip
    with app.enroll.database.write() as session:
        session.execute(insert(tables.devices), rows)
    return ids


class Work:
    """Gives jobs to devices. A device gets one of each order."""

    def __init__(self, app: EnrollApp) -> None:
        self._app = app
        order_id = app.browser().order()
        self._order: Order = app.order(order_id)
        with app.enroll.transactions.read() as tx:
            [first] = tx.open_jobs_of_order(order_id)
            self._payload = MakeKeyAndCsr.model_validate(first.payload)

    def give(self, device_id: str) -> tuple[str, float]:
        """The new job's id, and when its transaction began to commit."""
        order, job_id = self._order, new_id()
        with self._app.enroll.transactions.write() as tx:
            tx.add(
                Job(
                    id=job_id,
                    recipient=f"device:{device_id}",
                    order_id=order.id,
                    trace_id=order.trace_id,
                    kind=self._payload.kind,
                    payload=self._payload.model_dump(mode="json"),
                    created_at=self._app.clock.now(),
                    organization="Example Hospital",
                    profile="Person",
                )
            )
            tx.wake(f"recipient:device:{device_id}")
            tx.flush()
            return job_id, time.monotonic()


class Visitor(threading.Thread):
    """A person who opens a page again and again: how long it took (milliseconds), how often it failed."""

    def __init__(self, app: EnrollApp) -> None:
        super().__init__(daemon=True)
        self._address = f"{app.origin}/e/{app.uris['Staff']}"
        self._over = threading.Event()
        self.times: list[float] = []
        self.failed = 0

    def run(self) -> None:
        """Until `leave`."""
        while not self._over.wait(0.1):
            began = time.perf_counter()
            try:
                answer = httpx.get(self._address, headers={"accept": "text/html"}, timeout=30)
                self.failed += answer.status_code >= 500
            except httpx.HTTPError:
                self.failed += 1
            self.times.append((time.perf_counter() - began) * 1000)

    def leave(self) -> None:
        """Ends the visits."""
        self._over.set()
        self.join(40)


@dataclass(frozen=True)
class Run:
    """How much is measured: agents, seconds of idling, jobs whose latency counts, jobs given while the process is
    away."""

    agents: int = 10_000
    idle_seconds: float = 60.0
    pushes: int = 600
    given_away: int = 200


class Measuring:
    """The figures of one run."""

    def __init__(self, app: EnrollApp, web: WebProcess, run: Run) -> None:
        self._app, self._web, self._run = app, web, run

    def rows(self) -> Iterator[Row]:
        """Every figure."""
        app, web, count = self._app, self._web, self._run.agents
        ids = add_devices(app, count)
        host, port = HOST, httpx.URL(app.origin).port or 0
        web.start()
        wait_until(web.answers, "the web process", 60)
        warm = min(WARM_UP, count // 2)
        with ExitStack() as stack:
            early = stack.enter_context(fleet(Plan(host, port, app.origin, ids[:warm], 0, 1)))
            early.wait_for(warm, 60)
            time.sleep(2)
            before = resident_mib(web.pid)
            began, cpu = time.monotonic(), cpu_seconds(web.pid)
            rest = Plan(host, port, app.origin, ids[warm:], warm, BEGIN_SECONDS * count / 10_000)
            many = stack.enter_context(fleet(rest))
            first = many.wait_for(len(rest.ids), 300)
            seconds = round(first.last_came - began, 1)
            what = f"first arrival of {len(rest.ids)} agents, each signs in"
            yield Row("streams", what, seconds, "s", "", self._detail(first, cpu, began))
            yield from self._idle(before, len(rest.ids))
            yield from self._pushed(many, rest.ids)
            yield from self._killed(many, rest.ids)

    def _idle(self, before: float, count: int) -> Iterator[Row]:
        web = self._web
        time.sleep(min(10.0, self._run.idle_seconds))
        cpu, began = cpu_seconds(web.pid), time.monotonic()
        time.sleep(self._run.idle_seconds)
        share = (cpu_seconds(web.pid) - cpu) / (time.monotonic() - began) * 100
        memory = resident_mib(web.pid)
        yield Row("streams", f"resident memory of a connection, {count} connected",
                  round((memory - before) * 1024 / count, 1), "KiB", "under 36",
                  {"before_mib": round(before, 1), "after_mib": round(memory, 1)})  # fmt: skip
        yield Row("streams", "CPU of the web process while all idle", round(share, 1), "%", "",
                  {"seconds": self._run.idle_seconds})  # fmt: skip

    def _pushed(self, many: Fleet, ids: list[str]) -> Iterator[Row]:
        work, given = Work(self._app), {}
        for device_id in random.sample(ids, min(self._run.pushes, len(ids))):
            job_id, at = work.give(device_id)
            given[job_id] = at
            time.sleep(random.expovariate(PUSHES_PER_SECOND))
        time.sleep(2)
        arrived = many.status().arrived
        times = [(arrived[job_id] - at) * 1000 for job_id, at in given.items() if job_id in arrived]
        detail = {"pushes": len(given), "late": len(given) - len(times), "slowest": round(max(times), 1)}
        median, p99 = statistics.median(times), quantile(times, 0.99)
        yield Row("streams", "job committed to job on the agent's socket, median", round(median, 1), "ms", "", detail)
        yield Row("streams", "job committed to job on the agent's socket, p99", round(p99, 1), "ms", "under 20", detail)

    def _killed(self, many: Fleet, ids: list[str]) -> Iterator[Row]:
        web, work, visitor = self._web, Work(self._app), Visitor(self._app)
        lucky = random.sample(ids, min(2 * self._run.given_away, len(ids)))
        given = [work.give(device_id)[0] for device_id in lucky[: len(lucky) // 2]]
        web.kill()
        many.status(forget=True)
        given += [work.give(device_id)[0] for device_id in lucky[len(lucky) // 2 :]]
        web.start()
        wait_until(web.answers, "the web process", 60)
        began, cpu = time.monotonic(), cpu_seconds(web.pid)
        visitor.start()
        back = many.wait_for(len(ids), 300)
        visitor.leave()
        detail = self._detail(back, cpu, began)
        yield Row("streams", f"return of {len(ids)} agents once the killed web process is back",
                  round(back.last_came - began, 1), "s", "under 20", detail)  # fmt: skip
        time.sleep(2)
        lost = set(given) - many.status().arrived.keys()
        yield Row("streams", "jobs lost by it", len(lost), "jobs", "0", {"given": len(given)})
        yield Row("streams", "pages refused meanwhile", visitor.failed, "", "0", {"asked": len(visitor.times)})
        yield Row("streams", "page meanwhile, median", round(statistics.median(visitor.times), 1), "ms", "",
                  {"slowest": round(max(visitor.times), 1)})  # fmt: skip

    def _detail(self, status: Status, cpu: float, began: float) -> dict[str, object]:
        return {
            "tokens": status.tokens,
            "answers": dict(status.answers),
            "cpu_share": round((cpu_seconds(self._web.pid) - cpu) / (time.monotonic() - began), 2),
        }


def measured(app: EnrollApp, run: Run) -> Iterator[Row]:
    """The figures of a web process of `app`."""
    with TemporaryDirectory() as folder:
        log = Path(folder) / "web.log"
        web = WebProcess(app, log)
        try:
            yield from Measuring(app, web, run).rows()
        except BaseException:
            print(log.read_text()[-4000:] if log.exists() else "")
            raise
        finally:
            web.stop()


def streams(run: Run, *, sqlite: bool = False) -> Iterator[Row]:
    """The figures of one web process that holds all agents."""
    with an_enroll(sqlite=sqlite) as app:
        yield from measured(app, run)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=Run.agents)
    parser.add_argument("--sqlite", action="store_true", help="on SQLite instead of PostgreSQL")
    parser.add_argument("--idle-seconds", type=float, default=Run.idle_seconds)
    arguments = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f}")
    for row in streams(Run(arguments.agents, arguments.idle_seconds), sqlite=arguments.sqlite):
        print(f"{row.what:<66} {row.value:>9g} {row.unit:<4} {row.aim:<9} {row.detail or ''}", flush=True)


if __name__ == "__main__":
    main()

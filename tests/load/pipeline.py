"""Many devices at once: they register, a file of them is sent to the API, and each has its certificate installed in the
end; the fleet is on the same machine.

python -m tests.load.pipeline [--devices 500] [--database sqlite|postgres] [--profile FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import yaml
from sqlalchemy import text
from tests.load.fleet.machines import leave_manufacturer
from tests.load.profile import profiling, summary
from tests.load.rows import Row, quantile
from tests.load.watch import Watch
from tests.support.servers import postgres_server

from keystead_kit.db import Database
from keystead_local.stack import SEED, Stack

ROOT = Path(__file__).parents[2]
TOKEN = {"name": "fleet", "token": "of-the-simulated-fleet", "organization": "Example Hospital"}
"""It registers as many as come."""
PROFILE = "Device certificate"
ADMINISTRATOR = "grace.hopper@example.org"
DATABASES = ("postgres", "sqlite")
PATIENCE_SECONDS = 900.0
AT_ONCE = 48
"""Requests that the fleet has in flight."""
IN_FLIGHT = (1, 4, 16, 48, 128)
PROCESSES = ("redis", *(f"{service}-{part}" for service in ("enroll", "auth", "notify") for part in ("web", "worker")))
PROFILED = ("enroll-web", "enroll-worker", "fleet")
PHASES = ("register", "connect", "install")


@dataclass
class Phase:
    """How long a part took, and what each process used meanwhile, in seconds."""

    seconds: float
    cpu: dict[str, float]


@dataclass
class Outcome:
    """What became of one fleet. Latencies are seconds, memory MiB."""

    devices: int
    phases: dict[str, Phase] = field(default_factory=dict)
    requests: dict[str, list[float]] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    came_again: int = 0
    submit_to_installed: list[float] = field(default_factory=list)
    memory: dict[str, float] = field(default_factory=dict)
    octets: int = 0
    """By which the database has grown."""

    @property
    def seconds(self) -> float:
        """Of all phases."""
        return sum(each.seconds for each in self.phases.values())

    def cpu_ms(self, *but: str) -> float:
        """Milliseconds of CPU for each device, of all processes but these."""
        used = sum(cpu for each in self.phases.values() for name, cpu in each.cpu.items() if name not in but)
        return used / self.devices * 1000


class WrongOutcome(Exception):
    """The database does not say what it should after a run."""


class Generator:
    """The process of simulated agents."""

    def __init__(self, stack: Stack, folder: Path, name: str, machines: int, at_once: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.load.fleet", stack.origin, "--port", str(stack.ports["enroll-web"]),
             "--machines", str(machines), "--name", name, "--maker", str(folder), "--token", TOKEN["token"],
             "--at-once", str(at_once)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.do("end")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def do(self, command: str) -> None:
        """Has it do something; `answer` waits until it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What it says next. Raises RuntimeError if it says nothing more, or tells of problems."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the fleet's process ended with {self._process.wait(10)}")
        said: dict[str, Any] = json.loads(line)
        if problems := said.get("told", {}).get("problems"):
            raise RuntimeError(f"{len(problems)} simulated agents failed, the first one: {problems[0]}")
        return said


class Pipeline:
    """A stack with a database of this kind, to which fleets come one after another. PostgreSQL writes to the disk as it
    does by itself (`fsync`)."""

    def __init__(self, database: str) -> None:
        self._kind = database
        self._folder = Path(tempfile.mkdtemp(prefix="keystead-pipeline-"))
        self._open = ExitStack()
        self._fleets = 0

    def __enter__(self) -> Self:
        self._open.callback(shutil.rmtree, self._folder, ignore_errors=True)
        try:
            databases, self._pids = {}, {}
            if self._kind == "postgres":
                server = self._open.enter_context(postgres_server(durable=True))
                databases["enroll"] = self._open.enter_context(server.database())
                self._pids["postgres"] = server.pid
            roots = leave_manufacturer(self._folder)
            environment = {"KEYSTEAD_ENROLL_EK_ROOTS_FOLDER": str(roots)}
            seed = self._folder / "seed.yaml"
            seed.write_text(yaml.safe_dump(yaml.safe_load(SEED.read_text()) | {"registration_tokens": [TOKEN]}))
            self.stack = Stack(self._folder / "stack", seed=seed, databases=databases, environment=environment)
            self._open.enter_context(self.stack)
            made = self.stack.run(
                "keystead", "bootstrap", "token", "--administrator", ADMINISTRATOR, "--name", "fleet", "--json"
            )
            self._token = str(json.loads(made.splitlines()[-1])["token"])
            with closing(Database(self.url)) as database, database.read() as session:
                profile = session.execute(
                    text("SELECT id FROM certificate_profiles WHERE name = :name"), {"name": PROFILE}
                )
                organization = session.execute(text("SELECT id FROM organizations"))
                self._options = {"profile_id": profile.scalar_one(), "organization_id": organization.scalar_one()}
            self._pids |= {name: pid for name in PROCESSES if (pid := self.stack.pid(name))}
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def url(self) -> str:
        """Enroll's database."""
        return self.stack.database_url("enroll")

    def run(self, devices: int, at_once: int = AT_ONCE, profile: Path | None = None) -> Outcome:
        """So many new machines register, wait for jobs, and get what was ordered for them, with `at_once` requests in
        flight. Raises RuntimeError if anything was refused on the way, WrongOutcome if the database says something else
        than the machines."""
        self._fleets += 1
        outcome = Outcome(devices, octets=-self._octets())
        with ExitStack() as during:
            fleet = during.enter_context(Generator(self.stack, self._folder, f"ward{self._fleets}", devices, at_once))
            fleet.answer()  # the machines are made
            watch = Watch({**self._pids, "fleet": fleet.pid})
            if profile:
                during.enter_context(profiling({name: watch.pids[name] for name in PROFILED}, profile))
            names = self._phase(outcome, watch, fleet, "register")["devices"]
            self._phase(outcome, watch, fleet, "connect")
            fleet.do(f"install {devices} {PATIENCE_SECONDS}")
            started = time.perf_counter()
            sent = time.time()
            self._submit(names)
            told = fleet.answer()["told"]
            outcome.phases["install"] = Phase(time.perf_counter() - started, watch.cpu())
            outcome.memory = watch.memory()
            outcome.requests, outcome.came_again, outcome.levels = told["requests"], told["came_again"], told["levels"]
            outcome.submit_to_installed = [at - sent for at in told["installed"].values()]
            self._check(told["installed"])
        outcome.octets += self._octets()
        return outcome

    def _submit(self, names: dict[str, str]) -> None:
        """Sends a file with a row for each device (id → name), as `keystead bulk submit` does."""
        rows = ["device_id,device_name", *(f"{device_id},{name}.example.org" for device_id, name in names.items())]
        answer = httpx.post(
            f"http://127.0.0.1:{self.stack.ports['enroll-web']}/api/v1/bulk-jobs",
            params={"name": f"fleet {self._fleets}", **self._options},
            content="\r\n".join(rows).encode(),
            headers={"authorization": f"Bearer {self._token}", "content-type": "text/csv"},
            timeout=60,
        )
        if answer.status_code != 201:
            raise RuntimeError(f"the file is not taken: {answer.status_code} {answer.text[:300]}")

    def _octets(self) -> int:
        """The size of the database."""
        size = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        if self._kind == "postgres":
            size = "SELECT pg_database_size(current_database())"
        with closing(Database(self.url)) as database, database.read() as session:
            return int(session.execute(text(size)).scalar_one())

    @staticmethod
    def _phase(outcome: Outcome, watch: Watch, fleet: Generator, command: str) -> dict[str, Any]:
        watch.cpu()
        fleet.do(command)
        said = fleet.answer()
        outcome.phases[command] = Phase(said["seconds"], watch.cpu())
        return said

    def _check(self, installed: dict[str, float]) -> None:
        """Raises WrongOutcome unless each order has one certificate, and each of these its lines in the audit log."""
        with closing(Database(self.url)) as database, database.read() as session:
            orders = {row.id: row for row in session.execute(text("SELECT id, state FROM orders"))}
            certificates = Counter(session.scalars(text("SELECT order_id FROM certificates")))
            audited = text("SELECT action, count(*) AS n FROM audit_entries GROUP BY action")
            actions = {row.action: row.n for row in session.execute(audited)}
        mine = [orders[each] for each in installed]
        wrong = Counter(row.state for row in mine if row.state != "installed")
        doubled = [each for each in installed if certificates[each] != 1]
        whole = certificates.total()
        if wrong or doubled or actions["certificate.issue"] != whole or actions["certificate.install"] != whole:
            raise WrongOutcome(f"states {wrong}, certificates {doubled[:3]}, audit log {actions}, certificates {whole}")


def pipeline(devices: int, databases: tuple[str, ...] = DATABASES) -> Iterator[Row]:
    """The figures of one fleet of so many devices on each of these databases."""
    for database in databases:
        with Pipeline(database) as running:
            outcome = running.run(devices)
        yield from _figures(f"{devices} devices, {database}", outcome)


def load(devices: int, database: str = "postgres") -> Iterator[Row]:
    """Throughput and latency against the requests in flight: a fleet of so many devices for each."""
    with Pipeline(database) as running:
        running.run(min(devices, 200))  # it warms up
        for at_once in IN_FLIGHT:
            outcome = running.run(devices, at_once)
            times = [each for kind, many in outcome.requests.items() if kind != "stream" for each in many]
            detail = {"in flight": at_once, "devices": devices}
            for what, value, unit in (
                ("enrollments", devices / outcome.seconds, "/s"),
                ("request, p50", quantile(times, 0.5) * 1000, "ms"),
                ("request, p99", quantile(times, 0.99) * 1000, "ms"),
            ):
                yield Row("load", f"{what}, {at_once} requests in flight", round(value, 2), unit, "", detail)


def _figures(what: str, outcome: Outcome) -> Iterator[Row]:
    def row(name: str, value: float, unit: str, aim: str = "", **detail: Any) -> Row:
        return Row("pipeline", f"{what}: {name}", round(value, 2), unit, aim, detail)

    devices, seconds = outcome.devices, outcome.seconds
    yield row("registered, attested, connected and installed", seconds, "s", "under 60" if devices == 10_000 else "")
    yield row("whole enrollments", devices / seconds, "/s", levels=outcome.levels, came_again=outcome.came_again)
    for name, phase in outcome.phases.items():
        yield row(f"{name}", devices / phase.seconds, "/s", cpu_seconds=phase.cpu)
    for kind, times in outcome.requests.items():
        yield row(f"request “{kind}”, p50", quantile(times, 0.5) * 1000, "ms")
        yield row(f"request “{kind}”, p99", quantile(times, 0.99) * 1000, "ms")
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        yield row(f"file sent to installed, {name}", quantile(outcome.submit_to_installed, share), "s")
    for name in outcome.memory:
        used = sum(phase.cpu[name] for phase in outcome.phases.values())
        yield row(f"{name}, CPU for each device", used / devices * 1000, "ms")
        yield row(f"{name}, memory", outcome.memory[name], "MiB")
    yield row("database, size for each device", outcome.octets / devices / 1024, "KiB")
    yield row("all processes, CPU for each device", outcome.cpu_ms(), "ms")
    yield row("the server's processes alone", outcome.cpu_ms("fleet"), "ms")


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--database", choices=DATABASES, default="postgres")
    parser.add_argument("--profile", type=Path, help="where to leave what py-spy sees of the processes")
    chosen = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f}")
    with Pipeline(chosen.database) as running:
        outcome = running.run(chosen.devices, profile=chosen.profile)
    for row in _figures(chosen.database, outcome):
        print(f"{row.what:<70} {row.value:>9g} {row.unit:<4} {row.detail or ''}")
    for raw in chosen.profile.glob("*.raw") if chosen.profile else ():
        raw.with_suffix(".txt").write_text(summary(raw.read_text()))


if __name__ == "__main__":
    main()

"""Many devices at once: from nothing to the installed certificate, on one machine with the fleet beside the server.

python -m tests.load.pipeline [--devices 500] [--database sqlite|postgres]
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
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import text
from tests.load.orders import give_orders
from tests.load.profile import profiling, summary
from tests.load.rows import quantile
from tests.load.watch import Watch
from tests.support.servers import PostgresServer, postgres_server

from keystead_enroll.bootstrap import Enroll, build
from keystead_enroll.settings import EnrollSettings
from keystead_kit.db import Database
from keystead_local.stack import SEED, Stack

ROOT = Path(__file__).parents[2]
TOKEN = "example-hospital-laptops"
PROFILE = "Device certificate"
DATABASES = ("postgres", "sqlite")
PATIENCE_SECONDS = 600.0
PROCESSES = ("redis", *(f"{service}-{part}" for service in ("auth", "enroll", "notify") for part in ("web", "worker")))


@dataclass
class Phase:
    """How long a part took, and what each process used meanwhile."""

    seconds: float
    cpu: dict[str, float]


@dataclass
class Outcome:
    """What became of one run. Latencies are seconds."""

    devices: int
    database: str
    phases: dict[str, Phase] = field(default_factory=dict)
    requests: dict[str, list[float]] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    came_again: int = 0
    submit_to_installed: list[float] = field(default_factory=list)
    memory: dict[str, float] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    """Rows at the end: certificates, orders that have one, entries of the audit log by action."""


class Generator:
    """The process of simulated agents."""

    def __init__(self, stack: Stack, roots: Path, machines: int, at_once: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.load.fleet", stack.origin, "--port", str(stack.ports["enroll-web"]),
             "--machines", str(machines), "--name", "ward", "--roots", str(roots), "--token", TOKEN,
             "--at-once", str(at_once)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.pid = self._process.pid

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

    def do(self, command: str) -> None:
        """Has it do something; `answer` waits until it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Ends it."""
        if self._process.poll() is None:
            self.do("end")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()


def run(devices: int, database: str, at_once: int = 32, profile: Path | None = None) -> Outcome:
    """Registers, orders for and serves so many devices on a stack of its own with a `database` of this kind.

    Raises RuntimeError if anything was refused on the way.
    """
    folder = Path(tempfile.mkdtemp(prefix="keystead-pipeline-"))
    try:
        with _server(database) as server, nullcontext() if server is None else server.database() as url:
            return _run(folder, devices, database, at_once, url, server, profile)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _server(database: str) -> Iterator[PostgresServer | None]:
    if database == "sqlite":
        yield None
        return
    with postgres_server(durable=True) as server:
        yield server


def _run(
    folder: Path,
    devices: int,
    database: str,
    at_once: int,
    url: str | None,
    server: PostgresServer | None,
    profile: Path | None,
) -> Outcome:
    roots = folder / "roots"
    roots.mkdir()
    outcome = Outcome(devices, database)
    stack = Stack(
        folder / "stack",
        seed=SEED,
        databases={"enroll": url} if url else {},
        environment={"KEYSTEAD_ENROLL_EK_ROOTS_FOLDER": str(roots)},
    )
    fleet = Generator(stack, roots, devices, at_once)
    try:
        fleet.answer()  # the machines are made, and their maker's root is there
        with stack, ExitStack() as during:
            pids = {name: pid for name in PROCESSES if (pid := stack.pid(name))}
            pids |= {"fleet": fleet.pid} | ({"postgres": server.pid} if server else {})
            watch = Watch(pids)
            if profile:
                wanted = ("enroll-web", "enroll-worker", "notify-worker", "fleet")
                during.enter_context(profiling({name: pids[name] for name in wanted}, profile))
            names = _phase(outcome, watch, fleet, "register")["devices"]
            _phase(outcome, watch, fleet, "connect")
            fleet.do(f"install {devices} {PATIENCE_SECONDS}")
            started = time.perf_counter()
            with _enroll(stack) as enroll:
                give_orders(enroll, PROFILE, names.items())
            said = fleet.answer()
            outcome.phases["install"] = Phase(time.perf_counter() - started, watch.cpu())
            outcome.memory = watch.memory()
            told = said["told"]
            outcome.requests, outcome.came_again, outcome.levels = told["requests"], told["came_again"], told["levels"]
            _count(outcome, stack.database_url("enroll"), told["installed"])
    finally:
        fleet.end()
    return outcome


@contextmanager
def _enroll(stack: Stack) -> Iterator[Enroll]:
    with patch.dict(os.environ, stack.environment("enroll")), closing(build(EnrollSettings())) as enroll:  # type: ignore[call-arg]
        yield enroll


def _phase(outcome: Outcome, watch: Watch, fleet: Generator, command: str) -> dict[str, Any]:
    watch.cpu()
    fleet.do(command)
    said = fleet.answer()
    outcome.phases[command] = Phase(said["seconds"], watch.cpu())
    return said


def _count(outcome: Outcome, url: str, installed: dict[str, float]) -> None:
    """What the database says at the end."""
    database = Database(url)
    with database.read() as session:
        rows = session.execute(text("SELECT id, state, created_at FROM orders")).all()
        outcome.states = dict(Counter(row.state for row in rows))
        begun = {row.id: _seconds(row.created_at) for row in rows}
        for what, query in (
            ("certificates", "SELECT count(*) FROM certificates"),
            ("orders with a certificate", "SELECT count(DISTINCT order_id) FROM certificates"),
            ("audit: certificate.issue", "SELECT count(*) FROM audit_entries WHERE action = 'certificate.issue'"),
            ("audit: certificate.install", "SELECT count(*) FROM audit_entries WHERE action = 'certificate.install'"),
        ):
            outcome.counted[what] = int(session.execute(text(query)).scalar_one())
    database.close()
    outcome.submit_to_installed = [at - begun[order] for order, at in installed.items()]


def _seconds(at: datetime | str) -> float:
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return moment.timestamp() if moment.tzinfo else moment.replace(tzinfo=UTC).timestamp()


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--database", choices=DATABASES, default="postgres")
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--profile", type=Path, help="where to leave what py-spy saw")
    chosen = parser.parse_args()
    outcome = run(chosen.devices, chosen.database, chosen.at_once, chosen.profile)
    for raw in chosen.profile.glob("*.raw") if chosen.profile else ():
        raw.with_suffix(".txt").write_text(summary(raw.read_text()))
    for name, phase in outcome.phases.items():
        print(f"{name}: {phase.seconds:.2f} s, {outcome.devices / phase.seconds:.0f}/s")
        print("   ms of CPU each:", {k: round(v / outcome.devices * 1000, 2) for k, v in phase.cpu.items() if v})
    for kind, times in outcome.requests.items():
        print(f"{kind}: p50 {quantile(times, 0.5) * 1000:.1f} ms, p99 {quantile(times, 0.99) * 1000:.1f} ms")
    waits = outcome.submit_to_installed
    print(f"submit to installed: p50 {quantile(waits, 0.5):.2f} s, p99 {quantile(waits, 0.99):.2f} s")
    print(outcome.memory, outcome.states, outcome.counted, outcome.levels, outcome.came_again)


if __name__ == "__main__":
    main()

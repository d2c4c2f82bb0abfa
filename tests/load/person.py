"""One person, one computer with a software TPM, a whole stack: what they wait for, and each hop of it."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.load.rows import Row, spread
from tests.load.watch import family, resident_mib
from tests.support.person import Person

from keystead_local.stack import SEED, Stack, executable

EMAIL = "ada.lovelace@example.org"
TOKEN = "example-hospital-laptops"
CODE = "HEART2026"
HOPS = (
    ("pressed", "offered", "the button until the order's transaction begins"),
    ("offered", "csr_accepted", "order stored, job pushed, key made in the TPM, request and evidence sent"),
    ("csr_accepted", "signing", "evidence judged, request stored, worker woken"),
    ("signing", "issued", "built, linted, intent stored, signed"),
    ("issued", "installed", "certificate stored, pushed, installed, probe signed and sent"),
    ("installed", "seen", "probe verified, stored, the page told"),
)
"""Between times that an order's log has (when a transaction began), and those of the person's browser."""


@contextmanager
def running_agent(stack: Stack, state: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A registered `keystead-agent run`."""
    environment = stack.agent_environment(state)
    subprocess.run(
        [executable("keystead-agent"), "register", stack.origin, "--token", TOKEN],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    agent = subprocess.Popen(
        [executable("keystead-agent"), "run"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield agent
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(timeout=10)


def person(orders: int) -> Iterator[Row]:
    """All of it, with so many orders, on a new stack."""
    folder = Path(tempfile.mkdtemp(prefix="keystead-bench-"))
    try:
        with Stack(folder / "stack", seed=SEED, tpm=True) as stack:
            yield Row("stack", "empty folder to ready", round(stack.seconds_to_ready, 2), "s")
            yield from enrollments(stack, folder, orders)
            yield from services(stack)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def enrollments(stack: Stack, folder: Path, orders: int) -> Iterator[Row]:
    """Submit to installed, and the rest of what a person waits for."""
    form = next(url for name, url in stack.forms.items() if "Staff" in name).rsplit("/", 1)[1]
    with Person(stack.origin, stack.mailbox_url, EMAIL) as person:
        started = time.perf_counter()
        person.ask_for_link(form)
        path = person.wait_for_link()
        yield Row("portal", "address given to letter in the mailbox", _since(started), "ms")
        person.confirm(path)
        person.give_access_code(form, CODE)
        yield from _pushed(stack, folder, person, form, orders)
        yield from _linked(stack, folder, person, form, max(5, orders // 10))


def _pushed(stack: Stack, folder: Path, person: Person, form: str, orders: int) -> Iterator[Row]:
    for algorithm, count in (("ec-p256", orders), ("rsa-2048", max(5, orders // 5))):
        with running_agent(stack, folder / "agent") as agent:
            times, seen = [], {}
            device = _device_of(stack)
            for turn in range(count + 3):
                pressed, started = datetime.now(UTC), time.perf_counter()
                person.submit(form, key_algorithm=algorithm, target=device)
                over = person.wait_until_over()
                if over["state"] != "installed":
                    raise SystemExit(f"an order ended as {over['state']}: {over['failure']}")
                if turn >= 3:  # the first ones warm up
                    times.append(_since(started))
                    seen[person.order_path.rpartition("/")[2]] = {"pressed": pressed, "seen": datetime.now(UTC)}
            yield from spread(
                "flow", f"submit to installed, swtpm, {algorithm}, pushed", times,
                ("under 400", "under 1000") if algorithm == "ec-p256" else ("", ""),
            )  # fmt: skip
            if algorithm == "ec-p256":
                yield from _hops(stack, seen)
                time.sleep(33)  # its helper process ends after 30 s without work
                memory = sum(resident_mib(pid) for pid in family(agent.pid))
                yield Row("agent", "resident memory when idle", round(memory, 1), "MiB", "under 55")


def _hops(stack: Stack, reached: dict[str, dict[str, datetime]]) -> Iterator[Row]:
    """`reached`: order → what the browser saw of it."""
    with sqlite3.connect(f"file:{stack.folder}/data/enroll.db?mode=ro", uri=True) as database:
        rows = database.execute("SELECT order_id, target, at FROM order_transitions").fetchall()
    for order_id, target, at in rows:
        if order_id in reached:
            reached[order_id][target] = datetime.fromisoformat(at).replace(tzinfo=UTC)
    for source, target, meaning in HOPS:
        times = [(each[target] - each[source]).total_seconds() * 1000 for each in reached.values()]
        yield from spread("hop", f"{source} to {target}: {meaning}", times)


def _device_of(stack: Stack) -> str:
    with sqlite3.connect(f"file:{stack.folder}/data/enroll.db?mode=ro", uri=True) as database:
        return str(database.execute("SELECT id FROM devices").fetchone()[0])


def _linked(stack: Stack, folder: Path, person: Person, form: str, orders: int) -> Iterator[Row]:
    times = []
    for _ in range(orders):
        started = time.perf_counter()
        person.submit(form)
        command = [executable("keystead-agent"), "enroll", person.link(), "--yes"]
        agent = subprocess.Popen(
            command, env=stack.agent_environment(folder / "by-link"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if person.wait_until_over()["state"] != "installed":
            raise SystemExit("an order by link was not installed")
        times.append(_since(started))
        agent.wait(timeout=30)
    yield from spread("flow", "submit to installed, swtpm, ec-p256, by link (starts the agent)", times)


def services(stack: Stack) -> Iterator[Row]:
    """Memory of every process of the stack."""
    total = 0.0
    for name in ("redis", "nginx", *(f"{s}-{p}" for s in ("auth", "enroll", "notify") for p in ("web", "worker"))):
        pid = stack.pid(name)
        if pid:
            mebibytes = sum(resident_mib(member) for member in family(pid))
            total += mebibytes
            yield Row("stack", f"resident memory of {name}", round(mebibytes, 1), "MiB")
    yield Row("stack", "resident memory of the whole embedded stack", round(total, 1), "MiB")


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)

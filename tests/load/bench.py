"""`make bench`: figures of this machine, in one run, as a table and in var/bench.json. Nothing here asserts a time.

Run with `python -m tests.load.bench [--orders N] [--agents N]`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.load.issue_path import issue_path
from tests.load.judging import KEYS, judging_times, whole_judging_times
from tests.load.rows import Row, spread
from tests.load.streams import Run, streams
from tests.load.watch import family, resident_mib
from tests.support.person import Person

from keystead_local.stack import Stack, executable

ROOT = Path(__file__).parents[2]
SEED = ROOT / "deploy/local/seed.yaml"
REPORT = ROOT / "var/bench.json"
EMAIL = "ada.lovelace@example.org"
TOKEN = "example-hospital-laptops"
CODE = "HEART2026"
FORBIDDEN = ("celery", "fastapi", "sqlalchemy", "redis")


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
            times, hops = [], []
            page = person.browser.get(f"/e/{form}/request")
            device = _device_of(page.text, stack)
            for turn in range(count + 3):
                started = time.perf_counter()
                person.submit(form, key_algorithm=algorithm, target=device)
                over = person.wait_until_over()
                if over["state"] != "installed":
                    raise SystemExit(f"an order ended as {over['state']}: {over['failure']}")
                if turn >= 3:  # the first ones warm up
                    times.append(_since(started))
                    hops.append(over)
            yield from spread(
                "flow", f"submit to installed, swtpm, {algorithm}, pushed", times,
                ("under 400", "under 1000") if algorithm == "ec-p256" else ("", ""),
            )  # fmt: skip
            if algorithm == "ec-p256":
                time.sleep(33)  # its helper process ends after 30 s without work
                memory = sum(resident_mib(pid) for pid in family(agent.pid))
                yield Row("agent", "resident memory when idle", round(memory, 1), "MiB", "under 55")


def _device_of(_text: str, stack: Stack) -> str:
    import sqlite3

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


def agent_footprint() -> Iterator[Row]:
    """What the agent alone costs."""
    names = [line.split("==")[0] for line in (ROOT / "requirements/agent.txt").read_text().splitlines() if "==" in line]
    bad = sorted(set(names) & set(FORBIDDEN))
    yield Row("agent", "third-party packages", len(names), "", "at most 20", {"forbidden": bad})
    for arguments in (["--version"], ["list"]):
        times = []
        with tempfile.TemporaryDirectory() as state:
            environment = {**os.environ, "KEYSTEAD_AGENT_STATE_DIR": state}
            for _ in range(11):
                started = time.perf_counter()
                subprocess.run([executable("keystead-agent"), *arguments], env=environment, capture_output=True)
                times.append(_since(started))
        name = f"keystead-agent {' '.join(arguments)}, median"
        yield Row("agent", name, round(statistics.median(times[1:]), 1), "ms", "under 400", {"runs": 10})


def judging() -> Iterator[Row]:
    """What a key's evidence costs."""
    for kind in KEYS:
        times = judging_times(kind)
        name = f"judge the evidence of a key, {kind}, median of CPU"
        yield Row("judge", name, round(statistics.median(times), 2), "ms", "under 1", {"runs": len(times)})
    times = whole_judging_times()
    name = "judge all evidence of an enrollment, P-256, median of CPU"
    yield Row("judge", name, round(statistics.median(times), 2), "ms", "under 1", {"runs": len(times)})


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


def demo() -> Iterator[Row]:
    """`make demo` after set-up."""
    started = time.perf_counter()
    done = subprocess.run(["make", "demo"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"make demo failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    yield Row("demo", "make demo after set-up", round(time.perf_counter() - started, 1), "s", "under 60")


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    packages = ("cryptography", "fastapi", "celery", "redis", "sqlalchemy", "tpm2-pytss", "uvicorn")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }


def show(rows: list[Row]) -> None:
    """The table."""
    width = max(len(row.what) for row in rows)
    for row in rows:
        print(f"{row.piece:<7} {row.what:<{width}} {row.value:>9g} {row.unit:<4} {row.aim}", flush=True)


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100)
    parser.add_argument("--agents", type=int, default=Run.agents, help="that wait for jobs at one web process")
    arguments = parser.parse_args()
    where = machine()
    rows: list[Row] = [*agent_footprint(), *judging()]
    folder = Path(tempfile.mkdtemp(prefix="keystead-bench-"))
    try:
        with Stack(folder / "stack", seed=SEED, tpm=True) as stack:
            rows.append(Row("stack", "empty folder to ready", round(stack.seconds_to_ready, 2), "s"))
            rows.extend(enrollments(stack, folder, arguments.orders))
            rows.extend(services(stack))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows.extend(streams(Run(arguments.agents)))
    rows.extend(demo())
    rows.extend(issue_path())
    show(rows)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps({"machine": where, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")
    print(f"\nwritten to {REPORT.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()

"""`make bench`: figures of this machine, as a table and in var/bench.json. Nothing here asserts a time.

    python -m tests.load.bench [--full] [PIECE …]

Without pieces it measures all of them. What is not measured this time stays in var/bench.json as it was: each piece has
the machine, the versions and the load that were there when it ran.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.load import cost as costs
from tests.load.database import waiting
from tests.load.issue_path import issue_path
from tests.load.judging import KEYS, judging_times, whole_judging_times
from tests.load.person import person
from tests.load.pipeline import load, pipeline
from tests.load.revocation import Size, revocation
from tests.load.rows import Row
from tests.load.streams import Run, streams

from keystead_local.stack import executable

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "var/bench.json"
FORBIDDEN = ("celery", "fastapi", "sqlalchemy", "redis")
PACKAGES = (
    "cryptography", "fastapi", "celery", "psycopg", "pydantic", "redis", "sqlalchemy", "tpm2-pytss", "uvicorn",
)  # fmt: skip


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
                times.append((time.perf_counter() - started) * 1000)
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


def demo() -> Iterator[Row]:
    """`make demo` after set-up."""
    started = time.perf_counter()
    done = subprocess.run(["make", "demo"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"make demo failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    yield Row("demo", "make demo after set-up", round(time.perf_counter() - started, 1), "s", "under 60")


PIECES: Mapping[str, Callable[[bool], Iterator[Row]]] = {
    "agent": lambda full: agent_footprint(),
    "judge": lambda full: judging(),
    "person": lambda full: person(100 if full else 30),
    "pipeline": lambda full: pipeline(10_000 if full else 500),
    "database": lambda full: waiting(100_000 if full else 30_000),
    "streams": lambda full: streams(Run() if full else Run(agents=1_000, idle_seconds=15, pushes=200, given_away=50)),
    "load": lambda full: load(1_000 if full else 150),
    "cost": lambda full: costs.cost(costs.FULL if full else costs.SHORT, 300 if full else 100),
    "issue": lambda full: issue_path(3, 2000 if full else 500),
    "revocation": lambda full: revocation(Size(seconds=10 if full else 3)),
    "demo": lambda full: demo(),
}
"""Name → what measures it, long or short."""


def machine() -> dict[str, Any]:
    """Where figures come from."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "cores": os.cpu_count(),
        "processor": _of_proc("/proc/cpuinfo", "model name"),
        "memory_gib": round(int(_of_proc("/proc/meminfo", "MemTotal").split()[0]) / 2**20, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _of_proc(path: str, name: str) -> str:
    lines = (line.partition(":") for line in Path(path).read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")


def show(rows: list[Row]) -> None:
    """The table."""
    width = max(len(row.what) for row in rows)
    for row in rows:
        ratio = f"×{row.detail['ratio']:g}" if "ratio" in row.detail else ""
        print(f"{row.piece:<9} {row.what:<{width}} {row.value:>9g} {row.unit:<4} {ratio:<7} {row.aim}", flush=True)


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pieces", nargs="*", metavar="PIECE", help=f"of {', '.join(PIECES)}; all without")
    parser.add_argument("--full", action="store_true", help="the long forms: ten thousand devices, a million stored")
    chosen = parser.parse_args()
    if unknown := set(chosen.pieces) - set(PIECES):
        parser.error(f"there is no piece {', '.join(sorted(unknown))}; there are {', '.join(PIECES)}")
    REPORT.parent.mkdir(exist_ok=True)
    known = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    report: dict[str, Any] = known if "pieces" in known else {"pieces": {}}
    for name in chosen.pieces or PIECES:
        where = machine() | {"full": chosen.full}
        print(f"\n{name}, load before {where['load_before']}", file=sys.stderr, flush=True)
        rows = list(PIECES[name](chosen.full))
        show(rows)
        report["pieces"][name] = {"machine": where, "rows": [asdict(row) for row in rows]}
        REPORT.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nwritten to {REPORT.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()

"""What waiting agents cost PostgreSQL: the beat that says who is connected, and looks for jobs that find none.

python -m tests.load.database [--devices 100000]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from sqlalchemy import insert, text
from tests.load.rows import Row
from tests.load.watch import cpu_seconds
from tests.support.enroll_app import enroll_app
from tests.support.servers import postgres_server, redis_server

from keystead_enroll.adapters import tables
from keystead_enroll.usecases.find_jobs import find_jobs
from keystead_enroll.usecases.note_presence import note_presence
from keystead_enroll.web.job_looks import MOST_AT_ONCE

BEAT = 10_000
"""Devices of one web process, which are told at once."""
RUNS = 5


def waiting(devices: int) -> Iterator[Row]:
    """Microseconds of PostgreSQL's CPU for each device, medians; with `fsync`, so many devices stored."""
    with (
        redis_server() as redis,
        postgres_server(durable=True) as server,
        server.database() as url,
        enroll_app(url, redis.url) as app,
        closing(app.enroll),
    ):
        ids = [f"{number:032x}" for number in range(devices)]
        with app.enroll.database.write() as session:
            organization = session.scalar(text("SELECT id FROM organizations"))
            same = {"organization_id": organization, "platform": "linux", "public_key_pem": "", "machine": {}}
            now = app.enroll.clock.now()
            for begin in range(0, devices, BEAT):
                some = ids[begin : begin + BEAT]
                rows = [{"id": i, "name": i, "spki_sha256": i + i, "registered_at": now, **same} for i in some]
                session.execute(insert(tables.devices), rows)

        def beat(turn: int) -> int:
            begin = turn * BEAT % devices
            staying = ids[begin : begin + BEAT]
            note_presence(app.enroll.transactions, app.enroll.clock, "holder", arrived=(), staying=staying, left=())
            return len(staying)

        def look(turn: int) -> int:
            begin = turn * MOST_AT_ONCE % devices
            some = [f"device:{each}" for each in ids[begin : begin + MOST_AT_ONCE]]
            find_jobs(app.enroll.transactions, some)
            return len(some)

        for what, step, repeats in (("beat", beat, 1), ("look", look, 20)):
            used, took = _measured(step, repeats, server.pid)
            detail = {"devices": devices, "runs": RUNS}
            yield Row("database", f"CPU for a waiting device, each {what}", round(used * 1e6, 1), "us", "", detail)
            yield Row("database", f"time for a waiting device, each {what}", round(took * 1e6, 1), "us", "", detail)


def _measured(step: Callable[[int], int], repeats: int, pid: int) -> tuple[float, float]:
    """Seconds for a device, median of the runs: of the server's CPU, and of time."""
    used, took = [], []
    turn = 0
    for _ in range(RUNS):
        before, started, count = cpu_seconds(pid), time.perf_counter(), 0
        for _ in range(repeats):
            count += step(turn)
            turn += 1
        took.append((time.perf_counter() - started) / count)
        used.append((cpu_seconds(pid) - before) / count)
    return statistics.median(used), statistics.median(took)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=100_000)
    chosen = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f}")
    for row in waiting(chosen.devices):
        print(f"{row.what:<60} {row.value:>9g} {row.unit:<4} {row.detail}", flush=True)


if __name__ == "__main__":
    main()

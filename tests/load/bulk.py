"""A bulk job of a million rows: how fast its file is received, read and checked, what its figures cost, and how much
memory each process takes at most. `python -m tests.load.bulk [--rows N] [--postgres]`; nothing here asserts a time."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
from tests.load.watch import cpu_seconds
from tests.support.administrators import administrator, api_token
from tests.support.bulk_worker import BulkWorker
from tests.support.enroll_app import enroll_app, settings
from tests.support.servers import free_port, listening, postgres_server, redis_server, wait_until

PIECE = 5000


def lines(rows: int) -> Iterator[bytes]:
    """The file: machines with a TPM each; one row of a hundred is wrong."""
    yield b"device_name,serial_number,ek_sha256,owner,label\n"
    for begin in range(0, rows, PIECE):
        piece = []
        for number in range(begin, min(begin + PIECE, rows)):
            domain = "example.org" if number % 100 else "elsewhere.example"
            piece.append(
                f"laptop-{number:07}.{domain},PF{number:07},{number:064x},ada@example.org,Room {number % 500}\n"
            )
        yield "".join(piece).encode()


def peak_mib(pid: int) -> float:
    """The most resident memory that a process had (VmHWM)."""
    found = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(found.split()[1]) / 1024


def main() -> None:
    """Prints figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--postgres", action="store_true")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="keystead-bulk-"))
        url = f"sqlite:///{folder}/enroll.db"
        if chosen.postgres:
            url = stack.enter_context(stack.enter_context(postgres_server(durable=True)).database())
        app = stack.enter_context(enroll_app(url, redis.url))
        port = free_port()
        web = stack.enter_context(BulkWorker(settings(url, redis.url), port=port))
        worker = stack.enter_context(BulkWorker(settings(url, redis.url)))
        web.start()
        wait_until(lambda: listening(port), "the web server", seconds=120)
        with app.enroll.transactions.read() as tx:
            place = next(each.id for each in tx.organizations() if each.name == "Example Hospital")
        headers = {"authorization": f"Bearer {api_token(app, administrator(app))}", "content-type": "text/csv"}
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=600))
        print(f"{chosen.rows:,} rows on {url.partition(':')[0]}; at rest: web {peak_mib(web.pid):.0f} MiB")

        started = time.perf_counter()
        asked = {"organization_id": place, "profile_id": app.profile("Machine"), "name": "million.csv"}
        job = client.post("/bulk-jobs", content=lines(chosen.rows), headers=headers, params=asked).json()
        took = time.perf_counter() - started
        octets = job["progress"]["octets"]
        print(f"received {octets / 2**20:.0f} MiB in {took:.1f} s, {octets / 2**20 / took:.0f} MiB/s")
        print(f"peak after receiving: web {peak_mib(web.pid):.0f} MiB")

        worker.start()
        started, costs = time.perf_counter(), []
        while True:
            asked_at = time.perf_counter()
            shown = client.get(f"/bulk-jobs/{job['id']}", headers=headers).json()
            costs.append(time.perf_counter() - asked_at)
            if not shown["progress"]["reading"]:
                break
            time.sleep(1)
        took = time.perf_counter() - started
        counted = {stage: count for stage, count in shown["progress"]["stages"].items() if count}
        busy = cpu_seconds(worker.pid)
        print(f"read and checked in {took:.1f} s, {chosen.rows / took:,.0f} rows/s: {counted}")
        print(f"of that {busy:.1f} s of CPU in the worker, {chosen.rows / busy:,.0f} rows/s of a core to itself")
        print(f"peak after reading: worker {peak_mib(worker.pid):.0f} MiB")
        times = []
        for _ in range(9):
            asked_at = time.perf_counter()
            client.get(f"/bulk-jobs/{job['id']}", headers=headers)
            times.append(time.perf_counter() - asked_at)
        usual, most = statistics.median(times) * 1000, max(costs) * 1000
        print(f"figures: median {usual:.0f} ms, while reading {most:.0f} ms at most")
        for name in ("results", "refused"):
            started, size = time.perf_counter(), 0
            with client.stream("GET", f"/bulk-jobs/{job['id']}/{name}.csv", headers=headers) as answer:
                for piece in answer.iter_bytes():
                    size += len(piece)
            print(f"{name}.csv: {size / 2**20:.0f} MiB in {time.perf_counter() - started:.1f} s")
        print(f"peak at the end: web {peak_mib(web.pid):.0f} MiB, worker {peak_mib(worker.pid):.0f} MiB")


if __name__ == "__main__":
    main()

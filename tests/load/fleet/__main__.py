"""A process of simulated agents, told what to do by lines on its standard input; it answers each with a line of JSON.

    python -m tests.load.fleet ORIGIN --port 8001 --machines 5000 --name ward --maker FOLDER --token TOKEN

First it makes the machines. Then: `register`, `connect`, `install NUMBER SECONDS`, `end`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.load.fleet.agents import Fleet
from tests.load.fleet.machines import machine, manufacturer_of

HOST = "127.0.0.1"


def main() -> None:
    """Makes machines, and does what it is told until its standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("origin", help="the server's, as its users see it")
    parser.add_argument("--port", type=int, required=True, help="where it listens on this machine")
    parser.add_argument("--machines", type=int, required=True)
    parser.add_argument("--name", required=True, help="what the machines' names begin with")
    parser.add_argument("--maker", type=Path, required=True, help="folder of who made the TPMs")
    parser.add_argument("--token", required=True, help="a registration token")
    parser.add_argument("--at-once", type=int, default=32, help="requests at a time")
    chosen = parser.parse_args()
    maker = manufacturer_of(chosen.maker)
    machines = [machine(chosen.origin, f"{chosen.name}-{n:06}", maker) for n in range(chosen.machines)]
    for each in machines:
        each.register_with(chosen.token)
    asyncio.run(_obey(Fleet(machines, HOST, chosen.port, chosen.at_once)))


async def _obey(fleet: Fleet) -> None:
    _say(made=len(fleet.machines))
    loop = asyncio.get_running_loop()
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).split():
        command, *numbers = line
        started, used = time.perf_counter(), _cpu()
        match command:
            case "register":
                await fleet.register()
            case "connect":
                await fleet.connect()
            case "install":
                await fleet.until_installed(int(numbers[0]), float(numbers[1]))
            case _:
                break
        _say(
            did=command,
            seconds=time.perf_counter() - started,
            cpu=_cpu() - used,
            devices={each.device_id: each.name for each in fleet.machines} if command == "register" else {},
            told=asdict(fleet.told),
        )
    await fleet.close()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _say(**what: Any) -> None:
    """One line, by write(2) itself: a profiler that stops the process in the middle of it does it no harm."""
    left = f"{json.dumps(what)}\n".encode()
    while left:
        left = left[os.write(sys.stdout.fileno(), left) :]


if __name__ == "__main__":
    main()

"""A process of simulated agents, told what to do by lines on its standard input; it answers each with a line of JSON.

    python -m tests.load.fleet ORIGIN --port 8001 --machines 5000 --name ward --roots FOLDER --token TOKEN

First it makes the machines, and leaves their manufacturer's root in FOLDER. Then: `register`, `connect`,
`install NUMBER SECONDS`, `end`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.load.fleet.agents import Fleet
from tests.load.fleet.machines import machine, manufacturer

HOST = "127.0.0.1"


def main() -> None:
    """Makes machines, and does what it is told until its standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("origin", help="the server's, as its users see it")
    parser.add_argument("--port", type=int, required=True, help="where it listens on this machine")
    parser.add_argument("--machines", type=int, required=True)
    parser.add_argument("--name", required=True, help="what the machines' names begin with")
    parser.add_argument("--roots", type=Path, required=True)
    parser.add_argument("--token", required=True, help="a registration token")
    parser.add_argument("--at-once", type=int, default=32, help="requests at a time")
    chosen = parser.parse_args()
    maker = manufacturer()
    (chosen.roots / f"{chosen.name}.der").write_bytes(maker.der)
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
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()

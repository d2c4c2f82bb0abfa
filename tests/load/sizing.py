"""How much a fleet needs: from what one device costs (var/bench.json) to processes, connections and rates.

    python -m tests.load.sizing [--write]

`--write` puts the tables into deploy/runbooks/sizing.md, between its marks.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.load.report import between_marks

from keystead_agent.backoff import Backoff
from keystead_enroll.settings import EnrollSettings
from keystead_enroll.web.presence import BEAT_SECONDS
from keystead_kit.db import MOST_CONNECTIONS
from keystead_kit.threads import MOST_WAITING

ROOT = Path(__file__).parents[2]
REPORT, PAGE = ROOT / "var/bench.json", ROOT / "deploy/runbooks/sizing.md"
FLEETS = (10_000, 100_000, 1_000_000)
YEAR = 365 * 86_400.0
ORDERS_A_YEAR, PEAK = 1.5, 5
"""Certificates of a device in a year (each is renewed before its end, and some are lost), and how many times the mean
the busiest hour has."""
BUSY = 0.5
"""The share of a core that a process may use on average: the rest is for peaks."""
CORES = 8
"""Of PostgreSQL, where it matters."""
RETRY_AFTER = (5.0, 15.0)
_DEFAULTS: Mapping[str, Any] = {name: field.default for name, field in EnrollSettings.model_fields.items()}
PATIENCE = MOST_WAITING
"""Sign-ins that wait at a web process; whoever comes then is told to come again."""


@dataclass(frozen=True)
class Constants:
    """What was measured: seconds of a core, and octets."""

    web: Mapping[str, float]
    """Phase of a device's life (register, connect, install) → CPU of enroll's web process."""
    worker: float
    database: Mapping[str, float]
    redis: float
    idle: float
    """CPU of the web process for one idle stream, a second."""
    beat: float
    """CPU of PostgreSQL for each device that is said to be connected still."""
    look: float
    """The same for each device whose jobs are looked for."""
    stream_octets: float
    stored_octets: float
    web_octets: float
    where: str


def constants(report: Mapping[str, Any]) -> Constants:
    """Those of the bench's report. Raises LookupError if it lacks a piece or a figure."""
    pieces = report["pieces"]
    rows = {row["what"]: row for row in pieces["pipeline"]["rows"] if ", postgres: " in row["what"]}
    name = next(iter(rows)).partition(": ")[0]
    devices = int(name.split()[0])
    used = {phase: rows[f"{name}: {phase}"]["detail"]["cpu_seconds"] for phase in ("register", "connect", "install")}
    streams, waiting = pieces["streams"]["rows"], pieces["database"]["rows"]
    connection = _row(streams, "resident memory of a connection")
    agents = int(re.findall(r"\d+", connection["what"])[0])
    machine = pieces["pipeline"]["machine"]
    return Constants(
        web={phase: each["enroll-web"] / devices for phase, each in used.items()},
        worker=used["install"]["enroll-worker"] / devices,
        database={phase: each["postgres"] / devices for phase, each in used.items()},
        redis=sum(each["redis"] for each in used.values()) / devices,
        idle=_row(streams, "CPU of the web process while all idle")["value"] / 100 / agents,
        beat=_row(waiting, "CPU for a waiting device, each beat")["value"] / 1e6,
        look=_row(waiting, "CPU for a waiting device, each look")["value"] / 1e6,
        stream_octets=connection["value"] * 1024,
        stored_octets=rows[f"{name}: database, size for each device"]["value"] * 1024,
        web_octets=rows[f"{name}: enroll-web, memory"]["value"] * 2**20,
        where=f"{machine['processor']}, {machine['cores']} cores, load {machine['load_before']} before, "
        f"{machine['at'][:10]}, commit {machine['commit']}, {devices:,} devices and {agents:,} streams",
    )


def _row(rows: list[dict[str, Any]], beginning: str) -> dict[str, Any]:
    return next(row for row in rows if row["what"].startswith(beginning))


@dataclass(frozen=True)
class Need:
    """What a fleet needs of one thing, per fleet in `FLEETS`; `share` is of what one of it gives."""

    what: str
    values: tuple[str, ...]


def needs(c: Constants) -> Iterator[Need]:
    """The table: all devices connected, day and night."""

    def need(what: str, value: Callable[[int], float], form: str = ",.0f", unit: str = "") -> Need:
        return Need(what, tuple(f"{value(fleet):{form}}{unit}" for fleet in FLEETS))

    life, keep_alive, most = (_DEFAULTS[each] for each in ("stream_life_seconds", "keep_alive_seconds", "most_streams"))

    def enrollments(fleet: int) -> float:
        return fleet * ORDERS_A_YEAR / YEAR * PEAK

    def web(fleet: int) -> float:
        return fleet * (c.web["connect"] / life + c.idle) + enrollments(fleet) * c.web["install"]

    def database(fleet: int) -> float:
        waits = c.database["connect"] / life + c.beat / BEAT_SECONDS + c.look / keep_alive
        return fleet * waits + enrollments(fleet) * c.database["install"]

    def processes(fleet: int) -> float:
        return max(math.ceil(fleet / most), math.ceil(web(fleet) / BUSY))

    def back(fleet: int) -> Return:
        """At each of the processes, none of which may have more of the database than its share."""
        rate = min(1 / c.web["connect"], CORES / c.database["connect"] / processes(fleet))
        return come_back(math.ceil(fleet / processes(fleet)), rate)

    yield need("streams open", lambda fleet: fleet)
    yield need(f"sign-ins and streams that begin, a second (a stream lives {life:g} s)", lambda f: f / life, ",.0f")
    yield need(f"looks that find nothing, devices a second (each {keep_alive:g} s)", lambda f: f / keep_alive)
    yield need(f"beats, rows of devices updated a second (each {BEAT_SECONDS:g} s)", lambda f: f / BEAT_SECONDS)
    yield need(f"enrollments a second at the peak ({ORDERS_A_YEAR:g} a year, {PEAK}-fold)", enrollments, ",.3f")
    yield need("enroll web: cores busy", web, ",.2f")
    yield need(f"enroll web: processes (at most {most:,} streams and {BUSY:.0%} of a core each)", processes)
    yield need(
        "enroll web: memory", lambda f: (processes(f) * c.web_octets + f * c.stream_octets) / 2**30, ",.1f", " GiB"
    )
    yield need("enroll worker: cores busy at the peak", lambda f: enrollments(f) * c.worker, ",.3f")
    yield need("PostgreSQL: cores busy", database, ",.2f")
    yield need(
        f"PostgreSQL: connections at most ({MOST_CONNECTIONS} a process)", lambda f: processes(f) * MOST_CONNECTIONS
    )
    yield need(
        "PostgreSQL: stored in five years", lambda f: f * ORDERS_A_YEAR * 5 * c.stored_octets / 2**30, ",.0f", " GiB"
    )
    yield need("Redis: subscriptions, one a web process", processes)
    yield need("Redis: cores busy at the peak", lambda f: enrollments(f) * c.redis, ",.3f")
    yield need(f"all back after an outage, PostgreSQL on {CORES} cores", lambda f: back(f).within(1.0), ",.0f", " s")
    yield need("onboarding all at once, on two cores", lambda f: f * _whole(c) / 2 / 3600, ",.1f", " h")


def _whole(c: Constants) -> float:
    """CPU of one enrollment from registration on, in all of the server's processes."""
    return sum(c.web.values()) + sum(c.database.values()) + c.worker + c.redis


@dataclass
class Return:
    """How a fleet came back to one web process, in seconds after it was ready again."""

    devices: int
    rate: float
    sent_away: int = 0
    back: list[float] = field(default_factory=list)

    def within(self, share: float) -> float:
        """Until so many of them are back."""
        return sorted(self.back)[math.ceil(share * len(self.back)) - 1]


def come_back(devices: int, rate: float, seed: int = 1) -> Return:
    """Simulates agents that lost their streams at once, at a process that signs in `rate` of them a second.

    Each waits as `keystead_agent.backoff` says, within the window that the server named (a second for each thousand);
    who finds `PATIENCE` before them is sent away with a Retry-After of 5 to 15 s.
    """
    draw = random.Random(seed)
    outcome = Return(devices, rate)
    agents = [Backoff(draw.uniform) for _ in range(devices)]
    for agent in agents:
        agent.spread(devices / 1000)
    coming = [(agent.next(), number) for number, agent in enumerate(agents)]
    heapq.heapify(coming)
    free_at = 0.0
    while coming:
        now, number = heapq.heappop(coming)
        if (free_at - now) * rate > PATIENCE:
            outcome.sent_away += 1
            heapq.heappush(coming, (now + agents[number].next(draw.uniform(*RETRY_AFTER)), number))
            continue
        free_at = max(free_at, now) + 1 / rate
        outcome.back.append(free_at)
    return outcome


def tables(c: Constants) -> str:
    """What the page has between its marks."""
    head = "| | " + " | ".join(f"{fleet:,} devices" for fleet in FLEETS) + " |"
    lines = [f"Measured: {c.where}.", "", head, "|---|" + "---:|" * len(FLEETS)]
    lines += [f"| {need.what} | " + " | ".join(need.values) + " |" for need in needs(c)]
    rate = 1 / c.web["connect"]
    lines += [
        "",
        f"One web process signs in {rate:,.0f} agents a second here. How its streams come back after an outage:",
        "",
        "| streams of the process | half are back | 99 % | all | sent away |",
        "|---:|---:|---:|---:|---:|",
    ]
    for devices in (2_500, 5_000, 10_000):
        back = come_back(devices, rate)
        times = " | ".join(f"{back.within(share):,.0f} s" for share in (0.5, 0.99, 1.0))
        lines.append(f"| {devices:,} | {times} | {back.sent_away:,} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Computes, and prints or writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    text = tables(constants(json.loads(REPORT.read_text())))
    if parser.parse_args().write:
        PAGE.write_text(between_marks(PAGE.read_text(), text))
    else:
        print(text)


if __name__ == "__main__":
    main()

"""What an enrollment costs, against the number of certificates that are stored already.

python -m tests.load.cost [--stored 1000 10000 100000 1000000] [--devices 200] [--runs 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import closing

from tests.load.pipeline import Pipeline
from tests.load.rows import Row
from tests.load.stored import Stored

SHORT, FULL = (1_000, 10_000), (1_000, 10_000, 100_000, 1_000_000)
AIM = 1.15


def cost(stored: Sequence[int], devices: int, runs: int = 3) -> Iterator[Row]:
    """Medians of so many runs, each of so many devices, on PostgreSQL; and how much more than at the first number."""
    first: dict[str, float] = {}
    with Pipeline("postgres") as running, closing(Stored(running.url)) as database:
        running.run(devices)  # it warms up, and leaves what is copied
        for number in stored:
            database.grow_to(number)
            outcomes = [running.run(devices) for _ in range(runs)]
            for what, unit, values in (
                ("CPU of the server for an enrollment", "ms", [each.cpu_ms("fleet") for each in outcomes]),
                ("time for an enrollment", "ms", [each.seconds / devices * 1000 for each in outcomes]),
            ):
                value = statistics.median(values)
                ratio = round(value / first.setdefault(what, value), 3)
                aim = f"ratio under {AIM}" if what.startswith("CPU") and number == FULL[-1] else ""
                detail = {"stored": number, "ratio": ratio, "runs": runs, "devices": devices}
                yield Row("cost", f"{what}, {number:,} stored", round(value, 2), unit, aim, detail)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stored", type=int, nargs="+", default=FULL)
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f}")
    for row in cost(chosen.stored, chosen.devices, chosen.runs):
        print(f"{row.what:<60} {row.value:>9g} {row.unit:<4} {row.detail}", flush=True)


if __name__ == "__main__":
    main()

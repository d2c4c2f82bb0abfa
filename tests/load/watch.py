"""What processes use: proc(5)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in family(int(child)))]


def resident_mib(pid: int) -> float:
    """Resident memory of a process in MiB."""
    return _field(Path(f"/proc/{pid}/status"), "VmRSS")


def memory_mib(pid: int) -> float:
    """Memory of a process and its descendants in MiB; what several share counts once (Pss)."""
    total = 0.0
    for member in family(pid):
        try:
            total += _field(Path(f"/proc/{member}/smaps_rollup"), "Pss:")
        except OSError:
            continue  # it has ended
    return total


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its descendants so far, those that ended included."""
    ticks = 0
    for member in family(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))  # utime, stime, and of the children that were waited for
    return ticks / _TICKS


def _field(path: Path, name: str) -> float:
    found = next((line for line in path.read_text().splitlines() if line.startswith(name)), "none 0")
    return int(found.split()[1]) / 1024


@dataclass
class Watch:
    """The processes of `pids` (name → process id), from now on."""

    pids: Mapping[str, int]

    def __post_init__(self) -> None:
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self.pids.items()}

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU since this was made, or since it was last asked."""
        now = self._now()
        used = {name: round(now[name] - self._before[name], 2) for name in now}
        self._before = now
        return used

    def memory(self) -> dict[str, float]:
        """MiB now."""
        return {name: round(memory_mib(pid), 1) for name, pid in self.pids.items()}

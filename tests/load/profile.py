"""Where Python processes spend their time: py-spy's samples, added up by function."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

RATE = 250
MOST_LINES = 45
_OURS, _LIBRARIES = "/src/", "/site-packages/"


@contextmanager
def profiling(pids: Mapping[str, int], folder: Path) -> Iterator[None]:
    """Samples the processes of `pids` (name → process id) while the block lasts; `summary` reads what is left in
    `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    spy = str(Path(sys.executable).parent / "py-spy")
    running = [
        subprocess.Popen(
            [spy, "record", "--pid", str(pid), "--rate", str(RATE), "--format", "raw", "--full-filenames", "--gil",
             "--output", str(folder / f"{name}.raw"), "--duration", "86400"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for name, pid in pids.items()
    ]  # fmt: skip
    try:
        yield
    finally:
        for each in running:
            each.send_signal(signal.SIGINT)
        for each in running:
            each.wait(60)


def summary(raw: str) -> str:
    """The functions in which most samples are, themselves or with what they call, in percent of all samples."""
    whole = 0
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_name(frame) for frame in stack.split(";")]
        whole += int(count)
        own[frames[-1]] += int(count)
        within.update(dict.fromkeys(frames, int(count)))
    lines = [f"{whole} samples, {RATE} a second of each running thread", "", "with what it calls:"]
    lines += [f"{100 * n / whole:6.1f} %  {name}" for name, n in within.most_common(MOST_LINES * 2)]
    lines += ["", "by itself:"]
    lines += [f"{100 * n / whole:6.1f} %  {name}" for name, n in own.most_common(MOST_LINES)]
    return "\n".join(lines) + "\n"


def _name(frame: str) -> str:
    """`function (module)` of py-spy's `function (/whole/path.py:line)`."""
    function, _, place = frame.partition(" (")
    path = place.rstrip(")").rpartition(":")[0] or place.rstrip(")")
    for cut in (_LIBRARIES, _OURS):
        path = path.rpartition(cut)[2] if cut in path else path
    return f"{function} ({path})"

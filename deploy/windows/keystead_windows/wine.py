"""Runs Windows programs in a Wine prefix of our own: no display, no dialog, nothing of the user's own prefix.

Programs get pipes: to a file that Wine inherits from Linux, CPython's start cannot apply fstat.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from keystead_windows.dlls import make_bcryptprimitives

WINE = Path("/usr/lib/wine/wine64")
WINESERVER = Path("/usr/lib/wine/wineserver64")
Command = Sequence[str | Path]
LONGEST = 900.0
"""Seconds that a program may take."""


class ProgramFailed(Exception):
    """A program ended with an error; the text is its command and what it wrote."""


def windows_path(path: Path) -> str:
    """`path` of this machine as Windows programs see it: Wine has the root folder as drive Z."""
    return "Z:" + str(path.resolve()).replace("/", "\\")


class Wine:
    """A prefix at `prefix`, made when it is first needed. Close it: that ends all that runs in it."""

    def __init__(self, prefix: Path, environment: Mapping[str, str] | None = None) -> None:
        self.prefix = prefix
        self._environment = dict(environment or {})

    @property
    def drive_c(self) -> Path:
        """Windows' drive C on this machine."""
        return self.prefix / "drive_c"

    def environment(self) -> dict[str, str]:
        """The whole environment of what runs in the prefix: nothing of this session's but where programs are."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        own = {
            "WINEPREFIX": str(self.prefix.resolve()),
            "WINELOADER": str(WINE),
            "WINESERVER": str(WINESERVER),
            "WINEDEBUG": "-all",
            "PYTHONUTF8": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=;bcryptprimitives=n",
        }
        return kept | own | self._environment

    def make(self) -> None:
        """Makes the prefix unless it is there."""
        if (self.prefix / "system.reg").exists():
            return
        self.prefix.mkdir(parents=True, exist_ok=True)
        self.run(["wineboot.exe", "-i"])
        self.run(["winecfg.exe", "-v", "win10"])
        self.run(["reg.exe", "add", r"HKCU\Software\Wine\Drivers", "/v", "Graphics", "/d", "null", "/f"])  # no display
        make_bcryptprimitives(self.drive_c / "windows/system32")
        self.wait()

    def start(
        self, command: Command, variables: Mapping[str, str] | None = None, stderr: int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Starts a program; a path names a file of this machine."""
        return subprocess.Popen(
            [str(WINE), *(windows_path(word) if isinstance(word, Path) else word for word in command)],
            env=self.environment() | dict(variables or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
            errors="replace",
        )

    def run(self, command: Command, variables: Mapping[str, str] | None = None, limit: float = LONGEST) -> str:
        """What the program writes to its standard output. Raises ProgramFailed."""
        done = self.attempt(command, variables, limit)
        if done.returncode != 0:
            words = " ".join(str(word) for word in command)
            raise ProgramFailed(f"{words} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def attempt(
        self, command: Command, variables: Mapping[str, str] | None = None, limit: float = LONGEST
    ) -> subprocess.CompletedProcess[str]:
        """How the program ended, well or not."""
        process = self.start(command, variables)
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def show(self, command: Command, variables: Mapping[str, str] | None = None) -> int:
        """The program's exit code; what it writes is shown as it comes."""
        process = self.start(command, variables, subprocess.STDOUT)
        for line in process.stdout or ():
            print(line, end="", flush=True)
        return process.wait()

    def wait(self) -> None:
        """Until nothing runs in the prefix any more, and its registry is on disk."""
        subprocess.run([str(WINESERVER), "-w"], env=self.environment(), check=False)

    def close(self) -> None:
        """Ends all that runs in the prefix."""
        subprocess.run([str(WINESERVER), "-k"], env=self.environment(), check=False, stderr=subprocess.DEVNULL)


@contextmanager
def opened(prefix: Path, environment: Mapping[str, str] | None = None) -> Iterator[Wine]:
    """The prefix, made if need be, and closed afterwards."""
    wine = Wine(prefix, environment)
    try:
        wine.make()
        yield wine
    finally:
        wine.close()

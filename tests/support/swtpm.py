"""A software TPM for tests and scripts: swtpm on free ports of 127.0.0.1, its state in a directory of its own.

As a script's helper: `with Swtpm(directory) as tpm: use(tpm.tcti)`. As a pytest fixture: import `swtpm`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType

import pytest

READY_WITHIN = 10.0


class Swtpm:
    """One TPM. `start` and `stop` may alternate: what the TPM keeps persistent stays, as over a power cycle. Unless
    `started_up`, nobody has sent it TPM2_Startup."""

    def __init__(self, directory: Path, *, started_up: bool = True) -> None:
        self._flags = "not-need-init,startup-clear" if started_up else "not-need-init"
        self.directory = Path(directory).resolve()
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def tcti(self) -> str:
        """The TCTI of tpm2-tss for this TPM; the same over restarts."""
        return f"swtpm:host=127.0.0.1,port={self.port}"

    @property
    def pid(self) -> int:
        """The process id. Raises RuntimeError if it is not running."""
        if self._process is None:
            raise RuntimeError("swtpm is not running")
        return self._process.pid

    def start(self) -> Swtpm:
        """Starts the TPM and waits until it accepts commands. Raises RuntimeError with swtpm's log if it does not."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for _ in range(10):
            if self.port == 0:
                self.port = _two_free_ports()
            if self._try_start():
                return self
            self.port = 0
        raise RuntimeError(f"swtpm does not start:\n{self._log()}")

    def _try_start(self) -> bool:
        command = [
            "swtpm", "socket", "--tpm2",
            "--tpmstate", f"dir={self.directory}",
            "--server", f"type=tcp,port={self.port},bindaddr=127.0.0.1",
            "--ctrl", f"type=tcp,port={self.port + 1},bindaddr=127.0.0.1",
            "--flags", self._flags,
            "--log", f"file={self.directory / 'swtpm.log'},level=1",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self._process.poll() is None:
            if _listens(self.port) and _listens(self.port + 1):
                return True
            time.sleep(0.01)
        self.stop()
        return False

    def stop(self) -> None:
        """Kills the TPM, as a power cut would; nothing happens if it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def restart(self) -> None:
        """A power cycle: what was loaded is gone, what was persistent stays, and so does the address."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Lets the TPM accept connections and answer nothing (SIGSTOP), until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Undoes `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def tool(self, *command: str) -> str:
        """Runs one of tpm2-tools on this TPM and answers its output. Raises CalledProcessError."""
        environment = {**os.environ, "TPM2TOOLS_TCTI": self.tcti, "TSS2_LOG": "all+NONE"}
        done = subprocess.run(
            command, env=environment, cwd=self.directory, check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout

    def fill(self) -> None:
        """Loads objects until there is no room for another; `empty` undoes it."""
        with suppress(subprocess.CalledProcessError):
            for slot in range(16):
                self.tool("tpm2_createprimary", "-C", "n", "-G", "ecc", "-c", f"filler-{slot}.ctx", "-Q")

    def empty(self) -> None:
        """Flushes every loaded object."""
        self.tool("tpm2_flushcontext", "-t")

    def _log(self) -> str:
        log = self.directory / "swtpm.log"
        return log.read_text(errors="replace") if log.exists() else "(no log)"

    def __enter__(self) -> Swtpm:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _listens(port: int) -> bool:
    """Whether somebody listens on `port`, without connecting: swtpm serves the first connection and no other."""
    wanted = f"0100007F:{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == wanted and fields[3] == "0A":
            return True
    return False


def _two_free_ports() -> int:
    """A free port whose successor is free too: the TCTI expects the control channel there."""
    while True:
        with closing(socket.socket()) as first:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            if port > 65000:
                continue
            with closing(socket.socket()) as second:
                try:
                    second.bind(("127.0.0.1", port + 1))
                except OSError:
                    continue
                return port


@pytest.fixture
def swtpm() -> Iterator[Swtpm]:
    """A fresh TPM, gone after the test."""
    with tempfile.TemporaryDirectory(prefix="swtpm-") as directory, Swtpm(Path(directory)) as tpm:
        yield tpm

"""A small supervisor: starts programs, restarts one that died, stops all in order, and leaves no orphan.

Every program runs in its own session (a terminal's Ctrl-C reaches the supervisor only) and dies with the supervisor,
even if that is killed: `setpriv --pdeathsig` sets PR_SET_PDEATHSIG, see prctl(2). That signal is bound to the thread
that started the child, so one thread starts them all and lives until the end.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, TypeVar

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
WELL_AFTER_SECONDS = 10.0
POLL_SECONDS = 0.01

T = TypeVar("T")


class StartFailed(Exception):
    """A program did not become ready in time, or ended again and again. `log` is the end of its log."""

    def __init__(self, program: str, log: str) -> None:
        super().__init__(f"{program} does not start")
        self.program, self.log = program, log


@dataclass(frozen=True)
class Program:
    """One program to run. `ready` answers at once whether it does its work. Programs of a higher `tier` are stopped
    first. `environment` is the whole environment."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], bool]
    tier: int = 0
    stop_signal: signal.Signals = signal.SIGTERM


@dataclass
class _Running:
    program: Program
    log: IO[bytes]
    wanted: bool = False
    process: subprocess.Popen[bytes] | None = None
    pidfd: int = -1
    started_at: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    start_at: float = 0.0
    gone: threading.Event = field(default_factory=threading.Event)


class Supervisor:
    """Runs programs. All methods may be called from any thread; an unknown name raises KeyError."""

    def __init__(self, log_folder: Path, grace_seconds: float = 8.0) -> None:
        self._logs, self._grace = log_folder, grace_seconds
        log_folder.mkdir(parents=True, exist_ok=True)
        self._all: dict[str, _Running] = {}
        self._selector = selectors.DefaultSelector()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector.register(self._bell, selectors.EVENT_READ, None)
        self._commands: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    @property
    def names(self) -> list[str]:
        """The programs, in the order in which they were added."""
        return list(self._all)

    def add(self, *programs: Program) -> None:
        """Starts programs; does not wait until they are ready."""

        def on_thread() -> None:
            for program in programs:
                log = (self._logs / f"{program.name}.log").open("ab", buffering=0)
                self._all[program.name] = running = _Running(program, log)
                running.wanted = True
                self._spawn(running)

        self._do(on_thread)

    def wait_ready(self, names: Iterable[str] | None = None, timeout: float = 30.0) -> None:
        """Waits until the named programs (all by default) are ready. Raises StartFailed after `timeout` seconds, or
        as soon as one of them ended so often that it is restarted at the longest pause."""
        waiting = [self._all[name] for name in (names if names is not None else self.names)]
        deadline = time.monotonic() + timeout
        while waiting := [each for each in waiting if not self._is_ready(each)]:
            hopeless = [each for each in waiting if each.pause >= LONGEST_PAUSE_SECONDS]
            if hopeless or time.monotonic() > deadline:
                name = (hopeless or waiting)[0].program.name
                raise StartFailed(name, self.log(name))
            time.sleep(POLL_SECONDS)

    def pid(self, name: str) -> int | None:
        """The program's process id; None while it is down."""
        process = self._all[name].process
        return process.pid if process else None

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Sends a signal to the program and answers the process id that got it. A program that ends is restarted.
        Raises ProcessLookupError while it is down."""

        def on_thread() -> int:
            running = self._all[name]
            if running.process is None:
                raise ProcessLookupError(name)
            running.pause = FIRST_PAUSE_SECONDS
            os.kill(running.process.pid, number)
            return running.process.pid

        return self._do(on_thread)

    def stop(self, *names: str) -> None:
        """Stops programs and keeps them down; those that do not end within the grace period are killed."""
        chosen = [self._all[name] for name in names]

        def ask() -> list[threading.Event]:
            for running in chosen:
                running.wanted = False
                self._signal(running, running.program.stop_signal)
            return [running.gone for running in chosen if running.process]

        def insist() -> None:
            for running in chosen:
                self._signal(running, signal.SIGKILL)

        waiting = self._do(ask)
        deadline = time.monotonic() + self._grace
        for gone in waiting:
            if not gone.wait(max(0.0, deadline - time.monotonic())):
                self._do(insist)
                gone.wait(5)

    def start(self, *names: str) -> None:
        """Starts programs that were stopped."""

        def on_thread() -> None:
            for running in (self._all[name] for name in names):
                running.wanted, running.pause = True, FIRST_PAUSE_SECONDS
                if running.process is None:
                    self._spawn(running)

        self._do(on_thread)

    def log(self, name: str, lines: int = 25) -> str:
        """The end of the program's log."""
        text = (self._logs / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def close(self) -> None:
        """Stops every program, highest tier first, and the supervisor itself. May be called twice."""
        if self._closed:
            return
        for tier in sorted({each.program.tier for each in self._all.values()}, reverse=True):
            self.stop(*(name for name, each in self._all.items() if each.program.tier == tier))
        self._do(self._end)
        self._thread.join()
        for running in self._all.values():
            running.log.close()
        self._selector.close()
        os.close(self._bell)

    def _is_ready(self, running: _Running) -> bool:
        return running.process is not None and running.program.ready()

    def _do(self, function: Callable[[], T]) -> T:
        future: Future[T] = Future()
        self._commands.put((function, future))
        os.eventfd_write(self._bell, 1)
        return future.result()

    def _end(self) -> None:
        self._closed = True

    def _run(self) -> None:
        while not self._closed:
            now = time.monotonic()
            down = [each for each in self._all.values() if each.wanted and each.process is None]
            for running in down:
                if running.start_at <= now:
                    self._spawn(running)
            pauses = [each.start_at - now for each in down if each.process is None]
            for key, _ in self._selector.select(max(0.0, min(pauses)) if pauses else None):
                if key.data is None:
                    os.eventfd_read(self._bell)
                    self._obey()
                else:
                    self._bury(key.data)

    def _obey(self) -> None:
        while not self._commands.empty():
            function, future = self._commands.get()
            try:
                future.set_result(function())
            except Exception as error:
                future.set_exception(error)

    def _spawn(self, running: _Running) -> None:
        running.gone.clear()
        running.started_at = time.monotonic()
        running.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *running.program.command],
            env=dict(running.program.environment),
            stdin=subprocess.DEVNULL,
            stdout=running.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        running.pidfd = os.pidfd_open(running.process.pid)
        self._selector.register(running.pidfd, selectors.EVENT_READ, running)

    def _bury(self, running: _Running) -> None:
        assert running.process is not None  # noqa: S101 a pidfd is registered only while there is a process
        self._selector.unregister(running.pidfd)
        os.close(running.pidfd)
        self._signal(running, signal.SIGKILL)  # what it started; its own id is not free before wait()
        running.process.wait()
        running.process = None
        if time.monotonic() - running.started_at > WELL_AFTER_SECONDS:
            running.pause = FIRST_PAUSE_SECONDS
        running.start_at = time.monotonic() + running.pause
        running.pause = min(running.pause * 2, LONGEST_PAUSE_SECONDS)
        running.gone.set()

    @staticmethod
    def _signal(running: _Running, number: signal.Signals) -> None:
        if running.process is not None:
            try:
                os.killpg(running.process.pid, number)
            except ProcessLookupError:
                return

"""A process beside this one with which objects are exchanged over its standard input and output. Imports no pydantic:
what waits for days starts others so."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import BinaryIO, cast

ENDED = object()
"""Stands in a queue where the other end has gone."""


class Piped:
    """A process of `command`. What it sends is in `arrived`, ENDED last."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if sys.stderr is None else None,
            creationflags=_flags(),
        )
        self._input = cast(BinaryIO, self._process.stdin)
        self.arrived = arriving(cast(BinaryIO, self._process.stdout))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send(self, message: object) -> None:
        """Sends it. Raises OSError if the process has ended, or was hung up on."""
        if self._input.closed:
            raise BrokenPipeError("hung up")
        pickle.dump(message, self._input)
        self._input.flush()

    def hang_up(self) -> None:
        """Tells it that nothing more will be sent."""
        with suppress(OSError):
            self._input.close()

    def close(self) -> None:
        """Hangs up, and waits until it has finished."""
        self.hang_up()
        self._process.wait()

    def kill(self) -> None:
        """Ends it now."""
        self._process.kill()
        self.close()


def own_command(*words: str) -> list[str]:
    """The command of this program with `words`."""
    if getattr(sys, "frozen", False):
        return [sys.executable, *words]
    return [sys.executable, "-c", "from keystead_agent.cli import main; main()", *words]


def arriving(stream: BinaryIO) -> SimpleQueue[object]:
    """What comes from `stream`, read by another thread: a pipe of Windows cannot be waited for with a limit."""
    queue: SimpleQueue[object] = SimpleQueue()

    def read() -> None:
        with suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
            while True:
                queue.put(pickle.load(stream))  # noqa: S301 from our own parent or child over a pipe of ours
        queue.put(ENDED)

    threading.Thread(target=read, name="piped", daemon=True).start()
    return queue


def _flags() -> int:
    """Without a console: what is typed at the parent's is for the parent."""
    if sys.platform == "win32":
        return subprocess.DETACHED_PROCESS
    return 0

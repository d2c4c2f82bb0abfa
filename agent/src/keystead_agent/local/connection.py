"""One connection between a user's process and the service, whatever carries it: who is there, and frames.

A frame is its length in four octets, big-endian, and that many octets, at most LONGEST_FRAME of them in a request.
Imports no pydantic: this is what waits for days.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from keystead_agent.errors import AgentError

LONGEST_FRAME = 16384
_LENGTH = 4
MOST_CONNECTIONS = 16
REQUEST_LIMIT = 5.0
"""Seconds for the whole request."""
ANSWER_LIMIT = 5.0
"""Seconds until the other end has taken one answer."""


class LocalTrouble(AgentError):
    """The other end of the local connection is gone, slow, or speaks something else."""


class ServiceMissing(AgentError):
    """The agent's service does not run, or who listens in its place is not it."""


@dataclass(frozen=True)
class Peer:
    """Who is at the other end, as the operating system says. `account` is a SID or a user id; `interactive`: logged in
    at this computer, on Windows not over the network; `administrator`: with an administrator's rights now (elevated,
    root)."""

    account: str
    pid: int
    session: int = 0
    administrator: bool = False
    interactive: bool = False


class Connection(Protocol):
    """One user's process at the other end."""

    def receive(self, size: int, seconds: float) -> bytes:
        """Up to `size` octets; none when the other end is gone. Raises LocalTrouble after `seconds`."""

    def send(self, data: bytes, seconds: float) -> None:
        """Sends all of it. Raises LocalTrouble."""

    def peer(self) -> Peer:
        """Who is there; asked after something was received. Raises LocalTrouble."""

    def close(self) -> None:
        """Ends the connection when all that was sent has arrived."""


class Listener(Protocol):
    """Where users' processes connect."""

    def accept(self) -> Connection:
        """The next one. Raises Stopped after `close`."""

    def close(self) -> None:
        """Takes no more; whoever waits in `accept` gets Stopped."""


def framed(body: bytes) -> bytes:
    """`body` as it goes over the connection."""
    return len(body).to_bytes(_LENGTH, "big") + body


class Reader:
    """Puts frames of up to `longest` octets together from the pieces that come. Holds at most one frame."""

    def __init__(self, longest: int = LONGEST_FRAME) -> None:
        self._longest = longest
        self._buffer = b""

    def wanted(self) -> int:
        """How many octets to ask for next: never more than the frame that is being read."""
        if len(self._buffer) < _LENGTH:
            return _LENGTH - len(self._buffer)
        length = int.from_bytes(self._buffer[:_LENGTH], "big")
        if not 0 < length <= self._longest:
            raise LocalTrouble("the other end of the local connection speaks something else")
        return _LENGTH + length - len(self._buffer)

    def add(self, piece: bytes) -> bytes | None:
        """The body of the frame that `piece` ends, None while more is to come. Raises LocalTrouble."""
        if not piece:
            raise LocalTrouble("the other end of the local connection has gone")
        self._buffer += piece
        if self.wanted():
            return None
        body, self._buffer = self._buffer[_LENGTH:], b""
        return body


def received(receive: Callable[[int, float], bytes], until: float, longest: int = LONGEST_FRAME) -> bytes:
    """The body of the next frame, from a connection's `receive`; it is there by `until` of the monotonic clock. Raises
    LocalTrouble."""
    reader = Reader(longest)
    while True:
        body = reader.add(receive(reader.wanted(), max(0.0, until - time.monotonic())))
        if body is not None:
            return body

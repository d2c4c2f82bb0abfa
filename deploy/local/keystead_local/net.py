"""Ports and readiness on this machine."""

from __future__ import annotations

import http.client
import random
import socket
from contextlib import ExitStack
from pathlib import Path

LOOPBACK = "127.0.0.1"
PORTS = range(15_000, 32_000)
"""Below the ephemeral ports (ip(7)): no outgoing connection takes one between its choice and its use."""


def free_ports(count: int) -> list[int]:
    """Different TCP ports on 127.0.0.1 that nobody listens on now. Raises OSError if there are too few."""
    found: list[int] = []
    with ExitStack() as held:
        for port in random.sample(PORTS, len(PORTS)):
            if len(found) == count:
                return found
            probe = held.enter_context(socket.socket())
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            found.append(port)
    raise OSError(f"no {count} free ports on {LOOPBACK}")


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of every loopback address."""
    try:
        with socket.create_server((LOOPBACK, port)):
            return True
    except OSError:
        return False


def has_ipv6() -> bool:
    """Whether `localhost` may mean ::1 here."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def listens(port: int) -> bool:
    """Whether a process listens on `port` of 127.0.0.1, without connecting: swtpm serves one connection at a time."""
    wanted = f"0100007F:{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=4)
        if fields[1] == wanted and fields[3] == "0A":
            return True
    return False


def answers(port: int, path: str) -> bool:
    """Whether a GET of `path` on `port` is answered with 200."""
    return status_of(port, path) == 200


def status_of(port: int, path: str) -> int | None:
    """The status with which a GET of `path` on `port` is answered; None if it is not."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()

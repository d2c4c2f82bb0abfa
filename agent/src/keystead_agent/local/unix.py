"""The local connection on Linux: a socket whose two ends the kernel names (SO_PEERCRED, unix(7))."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from pathlib import Path

from keystead_agent.backoff import Stopped
from keystead_agent.errors import StoreUnwritable
from keystead_agent.local.connection import LocalTrouble, Peer, ServiceMissing

_CREDENTIALS = struct.Struct("3i")
_SESSIONS = Path("/run/systemd/users")
"""One file for each user id that systemd-logind knows: of who is logged in, of who has only just left, and of who never
is but may leave processes behind. See sd_uid_get_state(3)."""
_LOGGED_IN = ("STATE=active", "STATE=online")
CONNECT_LIMIT = 5.0
ACCEPT_PAUSE = 0.2
"""Seconds until a connection that could not be taken, for want of descriptors or memory, is tried again."""


class UnixConnection:
    """One end of a connected socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def receive(self, size: int, seconds: float) -> bytes:
        """See `connection.Connection`."""
        try:
            self._socket.settimeout(max(seconds, 0.001))
            return self._socket.recv(size)
        except OSError as error:
            raise _trouble(error) from error

    def send(self, data: bytes, seconds: float) -> None:
        """See `connection.Connection`."""
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(data)
        except OSError as error:
            raise _trouble(error) from error

    def peer(self) -> Peer:
        """See `connection.Connection`."""
        pid, uid, _ = _CREDENTIALS.unpack(
            self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        return Peer(account=f"uid {uid}", pid=pid, administrator=uid == 0, interactive=_is_logged_in(uid))

    def close(self) -> None:
        """See `connection.Connection`."""
        self._socket.close()


def _is_logged_in(uid: int) -> bool:
    try:
        return not set(_LOGGED_IN).isdisjoint((_SESSIONS / str(uid)).read_text().splitlines())
    except (OSError, UnicodeDecodeError):
        return False


class UnixListener:
    """Listens at `path`, for every user of the computer: who asks is judged by request. Raises StoreUnwritable."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._closed = False
        try:
            path.unlink(missing_ok=True)
            self._socket.bind(str(path))
            path.chmod(0o666)
            self._socket.listen(8)
        except OSError as error:
            self._socket.close()
            raise StoreUnwritable(
                f"{path} cannot be listened at: {error.strerror or error}",
                "The folder has to be there (systemd: RuntimeDirectory=keystead); the setting socket names another.",
            ) from error

    def accept(self) -> UnixConnection:
        """See `connection.Listener`."""
        while True:
            try:
                connected, _ = self._socket.accept()
                return UnixConnection(connected)
            except OSError as error:
                if self._closed:
                    raise Stopped from error
            time.sleep(ACCEPT_PAUSE)

    def close(self) -> None:
        """See `connection.Listener`."""
        self._closed = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def connect(path: Path, *, owner: int = 0) -> UnixConnection:
    """A connection to the service that runs as user id `owner`. Raises ServiceMissing if nobody listens, or somebody
    else does: that one is sent nothing."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connected.settimeout(CONNECT_LIMIT)
    try:
        connected.connect(str(path))
    except OSError as error:
        connected.close()
        raise ServiceMissing(
            f"the agent's service does not answer at {path}: {error.strerror or error}",
            "Start it (systemctl start keystead-agent), or open the link as root: sudo keystead-agent enroll '…'",
        ) from error
    connection = UnixConnection(connected)
    peer = connection.peer()
    if peer.account != f"uid {owner}":
        connection.close()
        raise ServiceMissing(
            f"who listens at {path} is not the agent's service but {peer.account}",
            "Nothing was sent. Tell the administrator of this computer.",
        )
    return connection


def _trouble(error: OSError) -> LocalTrouble:
    if isinstance(error, TimeoutError):
        return LocalTrouble("the other end of the local connection was too slow")
    return LocalTrouble(f"the local connection broke: {error.strerror or error}")

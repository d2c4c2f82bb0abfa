"""Real servers for tests: redis-server and PostgreSQL, on free ports, in a folder of their own, ended by process id."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import redis
from tests.support.scratch import scratch_folder

HOST = "127.0.0.1"
POSTGRES_ROOM = 2 * 1024**3
READY_SECONDS = 20.0


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_until(ready: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Polls `ready` every 20 ms. Raises TimeoutError that names `what`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return
        time.sleep(0.02)
    raise TimeoutError(f"{what} did not happen within {seconds:g} s")


def listening(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:`port`."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=0.5):
        return True
    return False


def end_process(process: subprocess.Popen[bytes], seconds: float = 10.0) -> None:
    """SIGTERM, then SIGKILL after `seconds`. Waits until the process is gone."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class RedisServer:
    """A redis-server without persistence that can be killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://{HOST}:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self._process = subprocess.Popen(
            ["redis-server", "--bind", HOST, "--port", str(self.port), "--dir", str(self._folder),
             "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self._answers, "redis-server")

    def stop(self) -> None:
        """Ends it; everything it held is gone."""
        if self._process:
            end_process(self._process)
            self._process = None

    def flush(self) -> None:
        """FLUSHALL: Redis forgets everything while it runs."""
        with contextlib.closing(redis.Redis.from_url(self.url)) as client:
            client.flushall()

    def _answers(self) -> bool:
        with contextlib.closing(redis.Redis(HOST, self.port, socket_timeout=1)) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A running redis-server, ended with the block."""
    with tempfile.TemporaryDirectory(prefix="keystead-redis-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL server."""

    port: int
    pid: int = 0

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of `database`."""
        return f"postgresql+psycopg://keystead@{HOST}:{self.port}/{database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database that is dropped with the block."""
        name = f"t_{secrets.token_hex(6)}"
        self._run(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def cut(self, url: str) -> None:
        """Ends every connection to the database at `url`, whatever it is at."""
        everyone = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        self._run(everyone, url.rpartition("/")[2])

    def answers(self) -> bool:
        """Whether it accepts connections."""
        try:
            self._run("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, statement: str, *values: str) -> None:
        with psycopg.connect(
            host=HOST, port=self.port, user="keystead", dbname="postgres", autocommit=True, connect_timeout=10
        ) as connection:
            connection.execute(statement.encode(), values or None)


_IN_A_HURRY = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_wal_size=128MB")


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """A PostgreSQL server in a temporary folder, ended with the block. As root it runs as the user `postgres`.
    `durable`: on a disk, with PostgreSQL's own settings for what a power cut leaves."""
    account = pwd.getpwnam("postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name)
    room = sys.maxsize if durable else POSTGRES_ROOM  # more than memory has
    folder = scratch_folder("keystead-postgres-", room)
    os.chown(folder, account.pw_uid, account.pw_gid)
    who: dict[str, Any] = {}
    if os.getuid() == 0:
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    server = PostgresServer(free_port())
    data = folder / "data"
    try:
        subprocess.run(
            [_postgres_binary("initdb"), "-D", data, "-U", "keystead", "-A", "trust", "-E", "UTF8",
             "--locale=C", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, cwd=folder, **who,
        )  # fmt: skip
        process = subprocess.Popen(
            [_postgres_binary("postgres"), "-D", data, "-h", HOST, "-p", str(server.port), "-k", folder,
             "-c", "max_connections=200", *(() if durable else _IN_A_HURRY)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, **who,
        )  # fmt: skip
        try:
            wait_until(server.answers, "PostgreSQL")
            yield replace(server, pid=process.pid)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # fast shutdown: open connections are cut
                process.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_binary(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if found:
        return str(found[-1])
    on_path = shutil.which(name)
    if not on_path:
        raise FileNotFoundError(f"{name} is not installed (Debian: apt-get install postgresql)")
    return on_path

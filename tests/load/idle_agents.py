"""Simulated agents in a process of their own: each has a device key, gets its token with a signed assertion, holds one
job stream, and comes back as the real agent does. They do no jobs: they say when each arrived."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import jwt
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec

from keystead_agent.backoff import Backoff
from keystead_agent.worker import LASTING_SECONDS, RENEW_AT
from keystead_contracts.agent import Routes

ANSWER_LIMIT, SILENCE_LIMIT = 30.0, 45.0


def device_key(number: int) -> ec.EllipticCurvePrivateKey:
    """The key of the `number`th device of every fleet."""
    return ec.derive_private_key(number + 1, ec.SECP256R1())


@dataclass(frozen=True)
class Plan:
    """Who is to connect: device `ids[i]` has `device_key(first + i)`. They begin within `ramp` seconds."""

    host: str
    port: int
    origin: str
    ids: list[str]
    first: int
    ramp: float


@dataclass
class Status:
    """What a fleet has seen since it was last asked to forget. Times are of CLOCK_MONOTONIC, one for all processes."""

    came: int = 0
    """Agents that had a stream since then."""
    last_came: float = 0.0
    """When the last of these first had it."""
    arrived: dict[str, float] = field(default_factory=dict)
    """Job id → when it was first on its agent's socket."""
    answers: Counter[str] = field(default_factory=Counter)
    """How attempts ended that gave no stream: "503", "ConnectionRefusedError", …"""
    tokens: int = 0


class Fleet:
    """A running fleet, seen from the process that started it."""

    def __init__(self, process: Any, pipe: Connection) -> None:
        self._process, self._pipe = process, pipe

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self._process.pid)

    def status(self, *, forget: bool = False) -> Status:
        """What it has seen; with `forget` it begins anew."""
        self._pipe.send("forget" if forget else "status")
        status: Status = self._pipe.recv()
        return status

    def wait_for(self, agents: int, seconds: float) -> Status:
        """The status once so many agents have had a stream. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while (status := self.status()).came < agents:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{status.came} of {agents} agents after {seconds:g} s: {status.answers}")
            time.sleep(0.25)
        return status


@contextmanager
def fleet(plan: Plan) -> Iterator[Fleet]:
    """The agents of `plan`, gone with the block."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_main, args=(plan, theirs), daemon=True)
    process.start()
    try:
        yield Fleet(process, ours)
    finally:
        process.kill()
        process.join(10)


def _main(plan: Plan, pipe: Connection) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_Agents(plan).run(pipe))


class _Agents:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.status = Status()
        self._came: set[str] = set()

    def comes(self, device_id: str, now: float) -> None:
        """The device has a stream."""
        if device_id not in self._came:
            self._came.add(device_id)
            self.status.came, self.status.last_came = len(self._came), now

    async def run(self, pipe: Connection) -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def asked() -> None:
            try:
                command = pipe.recv()
            except EOFError:
                over.set()
                return
            pipe.send(self.status)
            if command == "forget":
                self.status = Status()
                self._came.clear()

        loop.add_reader(pipe.fileno(), asked)
        os.set_blocking(pipe.fileno(), True)  # an answer is sent whole
        agents = [_Agent(self, self._plan, at, id).run() for at, id in enumerate(self._plan.ids, self._plan.first)]
        tasks = [loop.create_task(agent) for agent in agents]
        await over.wait()
        for task in tasks:
            task.cancel()


class _Refused(Exception):
    """An answer that is no stream."""

    def __init__(self, status: int, retry_after: float) -> None:
        super().__init__(str(status))
        self.retry_after = retry_after


class _Agent:
    """One agent. Its order of steps is that of `keystead_agent.worker.Worker.follow`."""

    __slots__ = ("_agents", "_backoff", "_id", "_key", "_last_id", "_plan", "_renew_at", "_token")

    def __init__(self, agents: _Agents, plan: Plan, number: int, device_id: str) -> None:
        self._agents, self._plan, self._id = agents, plan, device_id
        self._key, self._backoff = device_key(number), Backoff()
        self._token, self._renew_at, self._last_id = "", 0.0, ""

    async def run(self) -> None:
        """Connects, and comes back, for ever."""
        await asyncio.sleep(random.uniform(0, self._plan.ramp))
        while True:
            connected, retry_after = time.monotonic() + 1e9, 0.0
            try:
                reader, writer = await asyncio.wait_for(
                    asyncio.open_connection(self._plan.host, self._plan.port, limit=1 << 14), 10
                )
                try:
                    await self._sign_in(reader, writer)
                    await self._begin(reader, writer)
                    connected = time.monotonic()
                    self._agents.comes(self._id, connected)
                    await self._listen(reader)
                finally:
                    writer.close()
            except _Refused as refused:
                retry_after = refused.retry_after
                self._agents.status.answers[str(refused)] += 1
                if str(refused) == "401":
                    self._token = ""
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self._agents.status.answers[type(error).__name__] += 1
            if time.monotonic() - connected > LASTING_SECONDS:
                self._backoff.reset()
            await asyncio.sleep(self._backoff.next(retry_after))

    async def _sign_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._token and time.monotonic() < self._renew_at:
            return
        now = int(time.time())
        claims = {"iss": self._id, "sub": self._id, "aud": self._plan.origin, "iat": now, "exp": now + 55,
                  "jti": f"{random.getrandbits(128):032x}"}  # fmt: skip
        body = json.dumps({"assertion": jwt.encode(claims, self._key, "ES256")})
        headers = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        status, answer = await self._ask(reader, writer, f"POST {Routes.TOKEN}", headers, body)
        content = json.loads(await reader.readexactly(int(answer["content-length"])))
        if status != 200:
            raise _Refused(status, float(answer.get("retry-after", 0)))
        self._token, self._renew_at = content["access_token"], time.monotonic() + content["expires_in"] * RENEW_AT
        self._agents.status.tokens += 1

    async def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = f"accept: text/event-stream\r\ncache-control: no-store\r\nauthorization: Bearer {self._token}\r\n"
        headers += f"last-event-id: {self._last_id}\r\n" if self._last_id else ""
        status, answer = await self._ask(reader, writer, f"GET {Routes.JOBS}", headers)
        if status != 200:
            raise _Refused(status, float(answer.get("retry-after", 0)))

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: str, headers: str, body: str = ""
    ) -> tuple[int, dict[str, str]]:
        head = f"{what} HTTP/1.1\r\nhost: {self._plan.host}\r\nuser-agent: keystead-agent/0.1.0\r\n"
        writer.write(f"{head}accept-encoding: identity\r\nconnection: keep-alive\r\n{headers}\r\n{body}".encode())
        async with asyncio.timeout(ANSWER_LIMIT):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        return int(lines[0].split()[1]), dict(line.lower().split(": ", 1) for line in lines[1:] if line)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while True:
            async with asyncio.timeout(SILENCE_LIMIT):
                size = int(await reader.readuntil(b"\r\n"), 16)  # a chunk (RFC 9112 section 7.1)
                chunk = (await reader.readexactly(size + 2)).decode()
            if size == 0:
                return
            if not chunk.startswith(": keep-alive"):
                self._take(chunk)

    def _take(self, chunk: str) -> None:
        now = time.monotonic()
        for line in chunk.splitlines():
            if line.startswith("id: "):
                self._last_id = line[4:]
            elif line.startswith("retry: "):
                self._backoff.spread(int(line[7:]) / 1000)
            elif line.startswith("data: "):
                self._agents.status.arrived.setdefault(json.loads(line[6:])["job_id"], now)
                self._backoff.reset()

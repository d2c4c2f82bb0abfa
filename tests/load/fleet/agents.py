"""What each machine of the fleet does with a server, and when it got how far."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.load.fleet.machines import Machine
from tests.load.fleet.wire import Answer, Broken, EventStream, Requests

from keystead_contracts.agent import AgentToken, DeviceJob, Install, RegistrationReply, Routes, TokenRequest
from keystead_contracts.attestation import AttestationResult

PATIENCE = 20
"""How often an agent comes again after it could not be served."""
SHORTEST_PAUSE = 0.2


class Refused(Exception):
    """The server refused what a simulated agent is sure was right."""


@dataclass
class Told:
    """What became of the fleet. Times are seconds of the system's clock; lists are in the order of what happened."""

    levels: dict[str, int] = field(default_factory=dict)
    requests: dict[str, list[float]] = field(default_factory=dict)
    """Seconds of each request, by kind."""
    came_again: int = 0
    installed: dict[str, float] = field(default_factory=dict)
    """Order → when its certificate was reported to be installed, and the server had taken it."""
    problems: list[str] = field(default_factory=list)


class Fleet:
    """Machines at one server. `most` requests are sent at a time."""

    def __init__(self, machines: Sequence[Machine], host: str, port: int, most: int) -> None:
        self.machines, self.told = machines, Told()
        self._host, self._port = host, port
        self._most = most
        self._requests = Requests(host, port, most)
        self._streams: dict[str, EventStream] = {}
        self._tokens: dict[str, str] = {}
        self._seen: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def register(self) -> None:
        """Every machine registers and answers its challenge."""
        await self._each(self._register)

    async def connect(self) -> None:
        """Every machine signs in and opens its stream; jobs that come are done from then on."""
        await self._each(self._connect)

    async def until_installed(self, number: int, seconds: float) -> None:
        """Waits until so many orders are installed, or something went wrong. Raises TimeoutError."""
        ends = time.monotonic() + seconds
        while len(self.told.installed) < number and not self.told.problems:
            if time.monotonic() > ends:
                raise TimeoutError(f"{len(self.told.installed)} of {number} are installed after {seconds:g} s")
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Ends every stream."""
        self._closing = True
        for stream in self._streams.values():
            stream.close()
        self._requests.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _each(self, step: Callable[[Machine], Awaitable[None]]) -> None:
        waiting = iter(self.machines)

        async def one_after_another() -> None:
            for machine in waiting:
                await step(machine)

        await asyncio.gather(*(one_after_another() for _ in range(self._most)))

    async def _register(self, machine: Machine) -> None:
        reply = RegistrationReply.model_validate_json(
            (await self._post("register", Routes.DEVICES, machine.registration)).body
        )
        machine.device_id = reply.device_id
        if reply.challenge is None:
            raise Refused("the server does not challenge")
        answer = await self._post("attest", Routes.ATTESTATION, machine.answer(reply.challenge))
        level = AttestationResult.model_validate_json(answer.body).level.value
        self.told.levels[level] = self.told.levels.get(level, 0) + 1

    async def _connect(self, machine: Machine) -> None:
        body = TokenRequest(assertion=machine.assertion()).model_dump_json().encode()
        token = AgentToken.model_validate_json((await self._post("sign in", Routes.TOKEN, body)).body)
        self._tokens[machine.device_id] = f"authorization: Bearer {token.access_token}\r\n"
        for _ in range(PATIENCE):
            started = time.perf_counter()
            try:
                stream, opened = await EventStream.open(
                    self._host,
                    self._port,
                    self._tokens[machine.device_id],
                    Routes.JOBS,
                    lambda data: self._take(machine, data),
                    lambda: self._ended(machine),
                )
            except (Broken, OSError, TimeoutError):
                opened = Answer(0, b"", 0.0)
            if opened.status == 200:
                self._time("stream", time.perf_counter() - started)
                self._streams[machine.device_id] = stream
                return
            await self._pause(opened)
        raise Refused(f"no stream: {opened.status}")

    def _ended(self, machine: Machine) -> None:
        """As an agent, it comes again."""
        if self._streams.pop(machine.device_id, None) and not self._closing:
            self._begin(self._connect(machine))

    def _take(self, machine: Machine, data: bytes) -> None:
        job = DeviceJob.model_validate_json(data)
        if job.job_id not in self._seen:  # an agent's journal
            self._seen.add(job.job_id)
            self._begin(self._do(machine, job))

    async def _do(self, machine: Machine, job: DeviceJob) -> None:
        path = Routes.REPORT.format(job_id=job.job_id)
        await self._post(job.payload.kind, path, machine.report(job), self._tokens[machine.device_id])
        if isinstance(job.payload, Install):
            self.told.installed[job.order_id] = time.time()

    def _begin(self, work: Awaitable[None]) -> None:
        async def reporting() -> None:
            try:
                await work
            except Exception as error:
                if not self._closing:
                    self.told.problems.append(f"{type(error).__name__}: {error}")

        task = asyncio.get_running_loop().create_task(reporting())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, kind: str, path: str, body: bytes, authorization: str = "") -> Answer:
        """The answer, 200. As an agent, it comes again where the server is too busy. Raises Refused."""
        answer = Answer(0, b"", 0.0)
        for _ in range(PATIENCE):
            try:
                answer = await self._requests.post(path, body, authorization)
            except (Broken, OSError, TimeoutError) as error:
                answer = Answer(0, str(error).encode(), 0.0)
            if answer.status == 200:
                self._time(kind, answer.seconds)
                return answer
            if answer.status not in (0, 429, 502, 503):
                break
            await self._pause(answer)
        raise Refused(f"{path}: {answer.status} {answer.body.decode(errors='replace')[:300]}")

    async def _pause(self, answer: Answer) -> None:
        self.told.came_again += 1
        await asyncio.sleep(max(answer.retry_after, SHORTEST_PAUSE))

    def _time(self, kind: str, seconds: float) -> None:
        self.told.requests.setdefault(kind, []).append(round(seconds, 6))

"""Processes that serve enroll, or work off bulk jobs and nothing else, to be killed and watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from pydantic import SecretStr

from keystead_enroll.bootstrap import build
from keystead_enroll.settings import EnrollSettings
from keystead_enroll.web.app import create_app
from keystead_kit.logs import configure_logging
from keystead_kit.worker import Duty, Rounds

HEARTBEAT_SECONDS = 0.05


class BulkWorker:
    """Starts and kills such a process: a worker that rests for `slowly` seconds after each batch, or with `port` a web
    server there."""

    def __init__(self, chosen: EnrollSettings, *, slowly: float = 0.0, port: int = 0) -> None:
        self._settings, self._slowly, self._port = chosen, slowly, port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """One more, which works until it is killed."""
        told = {name: _told(value) for name, value in self._settings.model_dump().items() if value is not None}
        command = [sys.executable, "-m", "tests.support.bulk_worker", json.dumps(told), str(self._slowly)]
        command += [str(self._port)] if self._port else []
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())}
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.kill()


def _told(value: object) -> object:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value if isinstance(value, int | float | dict | list) else str(value)


def main() -> None:
    """Works until it is killed."""
    configure_logging("enroll", "worker")
    enroll, slowly = build(EnrollSettings(**json.loads(sys.argv[1]))), float(sys.argv[2])
    if len(sys.argv) > 3:
        uvicorn.run(create_app(enroll), host="127.0.0.1", port=int(sys.argv[3]), log_config=None)
        return

    def rested(duty: Duty) -> Duty:
        def work() -> int:
            time.sleep(slowly)
            return duty()

        return work

    bulk = enroll.bulk
    duties = {"order": bulk.order, "read": bulk.read, "end": bulk.end, "finish": bulk.finish}
    rounds = Rounds({name: rested(duty) for name, duty in duties.items()})  # as a worker, it outlives what fails
    while True:
        rounds.run()
        time.sleep(HEARTBEAT_SECONDS)


if __name__ == "__main__":
    main()

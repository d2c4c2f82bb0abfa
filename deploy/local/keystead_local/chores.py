"""The product's commands that prepare an installation, run one after another in one interpreter.

Each of them would spend a second on starting; a stack needs seven. `python -m keystead_local.chores` reads a JSON line
`{"environment": …, "command": […]}` and answers with a line `{"code": …, "output": …}`, until its input ends.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import click

COMMANDS = {
    "keystead": ("keystead_enroll.cli", "main"),
    "keystead-auth": ("keystead_auth.cli", "main"),
    "keystead-enroll": ("keystead_enroll.cli_server", "service"),
    "keystead-notify": ("keystead_notify.cli", "main"),
}


class ChoreFailed(Exception):
    """A command failed. `program` is the command, `log` what it printed."""

    def __init__(self, command: Sequence[str], log: str) -> None:
        super().__init__(f"{' '.join(command[:3])} failed")
        self.program, self.log = " ".join(command[:3]), log.strip()


class Chores:
    """The interpreter that runs the commands, while the block lasts."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "keystead_local.chores"],
            env={**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, environment: Mapping[str, str], command: Sequence[str]) -> str:
        """What `command` printed. Raises ChoreFailed."""
        assert self._process.stdin and self._process.stdout  # noqa: S101 both are pipes
        self._process.stdin.write(json.dumps({"environment": dict(environment), "command": list(command)}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"code": 1, "output": "the interpreter ended"}
        if answer["code"]:
            raise ChoreFailed(command, answer["output"])
        return str(answer["output"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin and self._process.stdout  # noqa: S101 both are pipes
        self._process.stdin.close()
        if kind is not None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()


def run_command(command: Sequence[str]) -> int:
    """Runs one of the product's commands in this process; its exit code."""
    module, name = COMMANDS[command[0]]
    group: click.Group = getattr(importlib.import_module(module), name)
    try:
        group(list(command[1:]), prog_name=command[0], standalone_mode=False)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Serves standard input."""
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        chore = json.loads(line)
        os.environ.clear()
        os.environ.update(chore["environment"])
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = run_command(chore["command"])
        answers.write(json.dumps({"code": code, "output": printed.getvalue()}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

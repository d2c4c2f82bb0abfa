"""`make up`: the whole product kept running on this machine for a person with a browser, until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from keystead_local.administration import MASTER, import_persons, secret_ids, set_password, token_file
from keystead_local.chores import ChoreFailed
from keystead_local.material import write_secret
from keystead_local.net import is_free
from keystead_local.once import FolderInUse, holding
from keystead_local.processes import Program, StartFailed
from keystead_local.stack import SEED, Stack, executable
from keystead_local.steps import StepFailed, Steps

REGISTRATION_TOKEN = "example-hospital-laptops"  # noqa: S105 of the example in seed.yaml
MAILBOX_PORT = 8025
OWNER = "ada.lovelace@example.org"
INVITED = "katherine.johnson@example.org"
MOST_PORT = 65535


@dataclass
class Started:
    """What there is to tell. What could not be had, because somebody changed it in the console, is a reason."""

    password: str = ""
    token: Path | None = None
    agent: bool = False
    reasons: tuple[str, ...] = ()


def up(folder: Path, port: str, with_agent: bool) -> int:
    """Runs it in `folder` until SIGINT or SIGTERM; the exit code."""
    steps = Steps()
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= MOST_PORT):
        steps.say(f"error: PORT is {port!r}, and a port is a number from 1 to {MOST_PORT}")
        steps.say("hint: make up PORT=8090")
        return 2
    try:
        with holding(folder, f"{os.getpid()} http://localhost:{int(port)}"):
            return _run(steps, folder, int(port), with_agent)
    except FolderInUse as holder:
        pid, _, origin = str(holder).partition(" ")
        steps.say(f"error: `make up` runs in {folder}/ already, as process {pid} at {origin}")
        steps.say(f"hint: use that one, or end it first: Ctrl-C where it runs, or kill {pid}")
        return 1


def _run(steps: Steps, folder: Path, port: int, with_agent: bool) -> int:
    if not is_free(port):
        steps.say(f"error: port {port} is in use")
        steps.say("hint: end what uses it, or choose another: make up PORT=8090")
        return 1
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stack = Stack(folder, port=port, mailbox_port=MAILBOX_PORT if is_free(MAILBOX_PORT) else 0, seed=SEED, tpm=True)
    try:
        started = Started()
        with stack.one_interpreter():
            with steps.step("Start services, Redis, nginx, mailbox, TPM") as step:
                stack.start_all()
                step.note = f"{len(stack.supervisor.names)} processes"
            if not stop.is_set():
                with steps.step("Let the administrator in"):
                    _let_in(stack, started)
        if with_agent and not stop.is_set():
            with steps.step("Register this computer and start its agent"):
                _start_agent(stack, started)
        _tell(steps, stack, started)
        stop.wait()
        print()
        with steps.step("Stop everything"):
            stack.close()
    except (StartFailed, ChoreFailed, StepFailed) as error:
        steps.say(f"\nerror: {error}")
        steps.say("\n".join(f"  | {line}" for line in error.log.splitlines()[-25:]))
        steps.say(f"hint: the logs are in {stack.folder / 'log'}/")
        return 1
    finally:
        stack.close()
    return 0


def _let_in(stack: Stack, started: Started) -> None:
    try:
        started.password = set_password(stack)
    except ChoreFailed as refused:
        started.reasons += (f"{refused}: {refused.log}",)
    try:
        started.token = token_file(stack)
    except ChoreFailed as refused:
        started.reasons += (f"{refused}: {refused.log}",)
    if started.token:
        import_persons(stack, started.token)


def _start_agent(stack: Stack, started: Started) -> None:
    environment = stack.agent_environment(stack.folder / "agent")
    done = subprocess.run(
        [executable("keystead-agent"), "register", "--replace", "--token-file", "-", stack.origin],
        env=environment,
        input=REGISTRATION_TOKEN,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        started.reasons += (f"keystead-agent register failed: {done.stderr}",)
        return
    program = Program(
        "agent", [executable("keystead-agent"), "run"], environment, lambda: True, tier=3, stop_signal=signal.SIGTERM
    )
    stack.supervisor.add(program)
    started.agent = True


def _tell(steps: Steps, stack: Stack, started: Started) -> None:
    codes = {form["name"]: form["accounts"][0]["access_code"] for form in yaml.safe_load(SEED.read_text())["forms"]}
    steps.say("\nForms, and the access code that each asks for", "1")
    for name, address in stack.forms.items():
        steps.say(f"   {name:<20} {address}  {codes.get(name, '')}")
    steps.say("   Sign in by e-mail as anybody at example.org, or to the staff's form with a Secret ID:")
    for email, secret_id in secret_ids():
        steps.say(f"     {email:<34} {secret_id}")
    steps.say(f"\nConsole    {stack.origin}/console", "1")
    if started.password:
        steps.say(f"   {MASTER:<36} {started.password}")
        steps.say("   No authenticator app is asked for: this stack is for development. In production it always is.")
    steps.say(f"\nMailbox    {stack.mailbox_url}", "1")
    steps.say(f"   Everybody's letters, {INVITED}'s invitation to the console among them.")
    steps.say("\nAgent", "1")
    if started.agent:
        steps.say(f"   This computer is registered for {OWNER}: choose it in a request, and nothing is left to click.")
    steps.say("   Or, in a second terminal, with the link that a request's page shows:")
    steps.say(f"     . {_agent_shell(stack)}")
    steps.say("     keystead-agent enroll 'keystead://…'")
    steps.say("\nAdministrator's shell", "1")
    steps.say(f"   . {_administrator_shell(stack, started)}")
    steps.say("   keystead cert list     keystead order approve ORDER     keystead apply -f FILE     keystead --help")
    steps.say(f"\nLogs       {stack.folder / 'log'}/", "1")
    if started.reasons:
        steps.say("\nNot all is as in the example. Perhaps it was changed in the console:", "33")
    for reason in started.reasons:
        steps.say("\n".join(f"  | {line}" for line in reason.splitlines()))
    steps.say("Ctrl-C stops everything; what was issued or changed is there again next time.")


def _agent_shell(stack: Stack) -> Path:
    environment = stack.agent_environment(stack.folder / "agent")
    settings = {name: value for name, value in environment.items() if name.startswith("KEYSTEAD_AGENT_")}
    return _shell(stack.folder / "agent.env", settings)


def _administrator_shell(stack: Stack, started: Started) -> Path:
    settings = {k: v for k, v in stack.environment("enroll").items() if k.startswith("KEYSTEAD_ENROLL_")}
    if started.token:
        settings |= {"KEYSTEAD_URL": stack.origin, "KEYSTEAD_TOKEN_FILE": str(started.token)}
    return _shell(stack.folder / "admin.env", settings)


def _shell(file: Path, settings: Mapping[str, str]) -> Path:
    """A file for a shell to read, readable by its owner only: the product's commands on its path, and settings."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in settings.items()]
    lines.append(f'export PATH={shlex.quote(str(Path(executable("keystead")).parent))}:"$PATH"')
    write_secret(file, "\n".join(lines) + "\n")
    return file


def main(folder: Path, port: str, with_agent: bool) -> None:
    """The command."""
    sys.exit(up(folder, port, with_agent))

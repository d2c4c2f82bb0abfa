"""`make up`: the whole product kept running on this machine for a person with a browser, until Ctrl-C."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import yaml

from keystead_local.chores import ChoreFailed
from keystead_local.net import is_free
from keystead_local.processes import Program, StartFailed
from keystead_local.stack import SEED, Stack, executable
from keystead_local.steps import StepFailed, Steps

REGISTRATION_TOKEN = "example-hospital-laptops"  # noqa: S105 of the example in seed.yaml
MAILBOX_PORT = 8025
OWNER = "ada.lovelace@example.org"


def up(folder: Path, port: int, with_agent: bool) -> int:
    """Runs it in `folder` until SIGINT or SIGTERM; the exit code."""
    steps = Steps()
    if not is_free(port):
        steps.say(f"error: port {port} is in use")
        steps.say("hint: end what uses it, or choose another: make up PORT=8090")
        return 1
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stack = Stack(folder, port=port, mailbox_port=MAILBOX_PORT if is_free(MAILBOX_PORT) else 0, seed=SEED, tpm=True)
    try:
        with steps.step("Start services, Redis, nginx, mailbox, TPM") as step:
            stack.start_all()
            step.note = f"{len(stack.supervisor.names)} processes"
        if with_agent and not stop.is_set():
            with steps.step("Register this computer and start its agent"):
                _start_agent(stack)
        _tell(steps, stack, with_agent)
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


def _start_agent(stack: Stack) -> None:
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
        raise StepFailed("keystead-agent register failed", log=done.stderr)
    program = Program(
        "agent", [executable("keystead-agent"), "run"], environment, lambda: True, tier=3, stop_signal=signal.SIGTERM
    )
    stack.supervisor.add(program)


def _tell(steps: Steps, stack: Stack, with_agent: bool) -> None:
    steps.say("\nForms, and the access code that each asks for", "1")
    for form in yaml.safe_load(SEED.read_text())["forms"]:
        steps.say(f"   {form['name']:<20} {stack.forms[form['name']]}  {form['accounts'][0]['access_code']}")
    steps.say(f"\nMailbox    {stack.mailbox_url}", "1")
    steps.say(f"   Sign in as anybody at example.org, for example {OWNER}; the letters are there.")
    steps.say("\nAgent", "1")
    if with_agent:
        steps.say(f"   This computer is registered for {OWNER}: choose it in a request, and nothing is left to click.")
    steps.say("   Or, with the link that a request's page shows:")
    variables = ("KEYSTEAD_AGENT_TCTI", "KEYSTEAD_AGENT_STATE_DIR")
    environment = stack.agent_environment(stack.folder / "agent")
    settings = " \\\n     ".join(f"{name}='{environment[name]}'" for name in variables)
    steps.say(f"     {settings} \\\n     {executable('keystead-agent')} enroll 'keystead://…'")
    steps.say("\nAdministrator", "1")
    steps.say(f"   . {_administrator(stack)}")
    steps.say("   keystead apply -f FILE     keystead order approve ORDER     keystead --help")
    steps.say(f"\nLogs       {stack.folder / 'log'}/", "1")
    steps.say("Ctrl-C stops everything; what was issued is there again next time.")


def _administrator(stack: Stack) -> Path:
    """A file for a shell to read, readable by its owner only: the command `keystead` on its path, and its settings."""
    file = stack.folder / "admin.env"
    settings = {k: v for k, v in stack.environment("enroll").items() if k.startswith("KEYSTEAD_ENROLL_")}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in settings.items()]
    lines.append(f'export PATH={shlex.quote(str(Path(executable("keystead")).parent))}:"$PATH"')
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n")
    return file


def main(folder: Path, port: int, with_agent: bool) -> None:
    """The command."""
    sys.exit(up(folder, port, with_agent))

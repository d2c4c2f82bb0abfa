"""One enrollment through a running compose stack (profile `demo`): a person's browser here, the agent in its container.

    docker compose --profile demo up --build --detach
    PYTHONPATH=deploy/local .venv/bin/python deploy/docker/smoke.py [--compose "docker compose"]

Needs only what the stack gives to everybody: its origin, `compose run` and `compose exec`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from keystead_local.browser import Browser, PageUnexpected
from keystead_local.demo import ACCESS_CODE, EMAIL, FORM, openssl_verify
from keystead_local.journey import Journey, Person
from keystead_local.steps import StepFailed, Steps

ROOT = Path(__file__).parents[2]
READ_MAILBOX = "from urllib.request import urlopen as u; print(u('http://127.0.0.1:8025/messages').read().decode())"
READY_SECONDS = 120.0


class Compose:
    """Commands in the stack's containers."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = [*command, "--profile", "demo"]

    def run(self, *arguments: str) -> str:
        """What the command printed. Raises StepFailed with its errors."""
        done = subprocess.run(
            [*self._command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            raise StepFailed(f"{' '.join(arguments[:4])} ended with {done.returncode}", log=done.stdout + done.stderr)
        return done.stdout

    def letters(self) -> list[dict[str, Any]]:
        """Every letter in the mailbox."""
        found: list[dict[str, Any]] = json.loads(self.run("exec", "-T", "mailbox", "python", "-c", READ_MAILBOX))
        return [letter for letter in found if EMAIL in letter["to"]]


def main() -> int:
    """Runs it; the exit code."""
    parser = argparse.ArgumentParser(description="One enrollment through a running compose stack.")
    parser.add_argument("--compose", default="docker compose", help="the command, such as podman-compose")
    parser.add_argument(
        "--ca", type=Path, default=ROOT / "var/compose/secrets/tls-ca.pem", help="whom to trust for TLS"
    )
    arguments = parser.parse_args()
    steps, compose = Steps(), Compose(shlex.split(arguments.compose))
    try:
        _enroll(steps, compose, arguments.ca)
    except (StepFailed, PageUnexpected, httpx.HTTPError) as error:
        steps.say(f"\nerror: {error}")
        steps.say("\n".join(f"  | {line}" for line in getattr(error, "log", "").splitlines()[-25:]))
        return 1
    return 0


def _enroll(steps: Steps, compose: Compose, ca: Path) -> None:
    with steps.step("Apply the example data"):
        printed = compose.run("run", "--rm", "-T", "seed")
        forms = next(json.loads(line)["forms"] for line in printed.splitlines() if line.startswith("{"))
        address = httpx.URL(forms[FORM])
        origin = str(address.copy_with(path="/")).rstrip("/")
    browser = Browser(origin, verify=str(ca))
    with steps.step("Wait until the form can be used") as step:
        _wait_for(browser, str(address))
        step.note = origin
    journey = Journey(steps, browser, Person(str(address), EMAIL, ACCESS_CODE), compose.letters)
    link = journey.ask(journey.enter_access_code(journey.sign_in()))
    command = ("exec", "-T", "agent", "keystead-agent", "enroll", "--yes", "--json", link)
    journey.run_agent(link, lambda _link: compose.run(*command))
    journey.collect()
    with steps.step("openssl verify, to the root"), tempfile.TemporaryDirectory() as folder:
        for name in ("certificate", "chain", "root"):
            (Path(folder) / f"{name}.pem").write_bytes(getattr(journey.outcome, name))
        openssl_verify(Path(folder))
    journey.confirmation()


def _wait_for(browser: Browser, address: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            page = browser.get(address)
            if page.status == 200:
                return
            state = page.unexpected("sign-in form")
        except httpx.TransportError as error:
            state = PageUnexpected(str(error))
        if time.monotonic() > deadline:
            raise state
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())

"""What the example's first administrator has on a local stack: a password, an API token, and persons to look after."""

from __future__ import annotations

import csv
import json
import secrets
import time
from pathlib import Path

import httpx

from keystead_local.chores import ChoreFailed
from keystead_local.material import write_secret
from keystead_local.once import Once
from keystead_local.stack import PUBLISHED_SECONDS, Stack
from keystead_local.steps import StepFailed

MASTER = "grace.hopper@example.org"
"""In seed.yaml."""
PERSONS = Path(__file__).parent.parent / "persons.csv"
TOKEN_DAYS = 90
RETRY_SECONDS = 0.2


def set_password(stack: Stack) -> str:
    """Sets the master's password to the one that the folder keeps, and answers it. Waits for auth to hear of them if
    they have just been declared. Raises ChoreFailed, as when somebody took them away."""
    file = stack.folder / "secrets/administrator-password"
    news = stack.seed_applied or not file.exists()
    if not file.exists():
        write_secret(file, secrets.token_hex(10))
    deadline = time.monotonic() + (PUBLISHED_SECONDS if news else 0)
    while True:
        try:
            stack.run("keystead-auth", "administrator", "set-password", MASTER, "--password-file", str(file))
            return file.read_text()
        except ChoreFailed:
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)


def token_file(stack: Stack) -> Path:
    """The file with an API token of the master's that works; a new one if the last expired or was revoked. Raises
    ChoreFailed."""
    file = stack.folder / "secrets/api-token"
    if not file.exists() or _asked(stack, file).status_code == httpx.codes.UNAUTHORIZED:
        command = ("keystead", "bootstrap", "token", "--administrator", MASTER, "--name", "make up")
        made = stack.run(*command, "--days", str(TOKEN_DAYS), "--json").splitlines()[-1]
        write_secret(file, json.loads(made)["token"])
    return file


def import_persons(stack: Stack, token: Path) -> None:
    """Brings the example's persons through the API, once. Raises StepFailed."""
    once = Once(stack.folder / "data/persons.applied", PERSONS)
    if not once.is_due:
        return
    answer = httpx.post(
        f"{stack.origin}/api/v1/persons/import",
        content=PERSONS.read_bytes(),
        headers={"content-type": "text/csv", **bearer(token)},
        timeout=60,
    )
    if answer.status_code != httpx.codes.OK or answer.json()["refused"]:
        raise StepFailed(f"{PERSONS.name} was not taken", log=answer.text)
    once.done()


def secret_ids() -> list[tuple[str, str]]:
    """E-mail and Secret ID of the example's persons who have one."""
    with PERSONS.open(newline="") as file:
        return [(row["email"], row["secret_id"]) for row in csv.DictReader(file) if row["secret_id"]]


def bearer(token: Path) -> dict[str, str]:
    """The header with the token."""
    return {"authorization": f"Bearer {token.read_text()}"}


def _asked(stack: Stack, token: Path) -> httpx.Response:
    return httpx.get(f"{stack.origin}/api/v1/organizations", params={"limit": 1}, headers=bearer(token), timeout=20)

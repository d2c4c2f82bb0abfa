"""`make up`: what it prints works, what it leaves is private, what was changed stays, and a second one says why not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from tests.support.servers import free_port, wait_until

from keystead_kit.db import Database
from keystead_local.browser import Browser
from keystead_local.net import status_of
from keystead_local.once import FolderInUse, Once, holding
from keystead_local.stack import Stack
from keystead_local.up import up

ROOT = Path(__file__).parents[2]
READY_SECONDS = 120.0


class Up:
    """`make up` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.origin = f"http://localhost:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder.with_suffix(".log")

    def start(self) -> None:
        """Starts it and waits until it has told all there is to tell."""
        command = [sys.executable, "-m", "keystead_local", "up", "--no-agent", "--port", str(self.port)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "deploy/local")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--folder", str(self.folder)], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        wait_until(lambda: "Ctrl-C stops" in self.printed or self.process_ended, "make up", READY_SECONDS)
        assert not self.process_ended, self.printed

    def stop(self) -> int:
        """Ends it as Ctrl-C does; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    @property
    def process_ended(self) -> bool:
        """Whether it has ended by itself."""
        return self.process is not None and self.process.poll() is not None

    @property
    def printed(self) -> str:
        """What it has printed since it was started."""
        return self.log.read_text()

    def after(self, words: str) -> str:
        """The word behind `words`."""
        found = re.search(rf"{re.escape(words)} +(\S+)", self.printed)
        assert found, self.printed
        return found[1]

    def shell(self, file: str, command: str) -> str:
        """What a shell that read `file` prints on `command`."""
        script = f". {self.folder / file} && {command}"
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}
        return subprocess.run(
            ["bash", "-ec", script], env=environment, capture_output=True, text=True, check=True
        ).stdout

    def api(self, method: str, path: str, **kwargs: object) -> httpx.Response:
        """An answer of the API to the token that `admin.env` names."""
        url, token = self.shell("admin.env", 'echo "$KEYSTEAD_URL"; cat "$KEYSTEAD_TOKEN_FILE"').split()
        headers = {"authorization": f"Bearer {token}"}
        return httpx.request(method, f"{url}/api/v1{path}", headers=headers, timeout=20, **kwargs)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One, for the tests that only use it."""
    made = Up(tmp_path_factory.mktemp("up") / "stack")
    made.start()
    yield made
    assert made.stop() == 0, made.printed


def test_the_printed_password_opens_the_console(running: Up) -> None:
    browser = Browser(running.origin)
    page = browser.get("/console/organizations")
    password = running.after("grace.hopper@example.org")
    page = browser.submit(page.form_with("password"), email="grace.hopper@example.org", password=password)
    assert httpx.URL(page.url).path == "/console/organizations"
    assert "Example Hospital" in page.text


def test_the_printed_secret_id_signs_in_at_the_staffs_form(running: Up) -> None:
    browser = Browser(running.origin)
    form = browser.get(running.after("Staff certificates")).form_with("secret_id")
    page = browser.submit(form, secret_email="florence.nightingale@example.org", secret_id="lamp-1854")
    assert "access_code" in page.form_with("access_code").names


def test_the_administrators_shell_has_a_token_for_the_api(running: Up) -> None:
    names = {person["name"] for person in running.api("GET", "/persons").json()["items"]}
    assert {"Ada Lovelace", "Florence Nightingale"} <= names
    assert "Grace Hopper" in running.shell("admin.env", "keystead me")


def test_the_agents_shell_names_the_tpm(running: Up) -> None:
    assert running.shell("agent.env", "command -v keystead-agent").strip() == str(
        Path(sys.executable).parent / "keystead-agent"
    )
    assert running.shell("agent.env", "keystead-agent list --json").strip() == "[]"


def test_what_opens_something_is_for_its_owner_only(running: Up) -> None:
    files = ("admin.env", "agent.env", "lock", "secrets/administrator-password", "secrets/api-token")
    assert {(running.folder / name).stat().st_mode & 0o777 for name in files} == {0o600}
    assert running.folder.stat().st_mode & 0o777 == 0o700


def test_a_second_one_says_who_runs_the_first(running: Up, capsys: pytest.CaptureFixture[str]) -> None:
    assert up(running.folder, str(free_port()), False) == 1
    assert running.process is not None
    told = capsys.readouterr().out
    assert f"process {running.process.pid} at {running.origin}" in told
    assert f"hint: use that one, or end it first: Ctrl-C where it runs, or kill {running.process.pid}" in told


@pytest.mark.parametrize("port", ["99999", "abc", "0", "-1", "", "80.5", "٣"])
def test_a_port_that_is_none_is_a_mistake_in_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    assert up(tmp_path / "up", port, False) == 2
    assert capsys.readouterr().out == (
        f"error: PORT is {port!r}, and a port is a number from 1 to 65535\nhint: make up PORT=8090\n"
    )
    assert not (tmp_path / "up").exists()


def test_what_was_changed_stays_and_a_revoked_token_is_replaced(running: Up) -> None:
    """Stops and starts the stack of the other tests."""
    hospital = running.api("GET", "/organizations").json()["items"][0]
    domains = ["example.org", "example.net"]
    changed = running.api("PATCH", f"/organizations/{hospital['id']}", json={"email_domains": domains})
    assert changed.status_code == 200, changed.text
    person = next(p for p in running.api("GET", "/persons").json()["items"] if p["name"] == "John Snow")
    assert running.api("DELETE", f"/persons/{person['id']}").status_code == 204
    token = (running.folder / "secrets/api-token").read_text()
    password = running.after("grace.hopper@example.org")
    assert running.stop() == 0
    database = Database(f"sqlite:///{running.folder}/data/enroll.db")
    with database.write() as session:
        session.execute(text("UPDATE enrollment_forms SET uri_extension = 'moved' WHERE name = 'Staff certificates'"))
        session.execute(text("UPDATE enrollment_forms SET active = false WHERE name = 'Device certificates'"))
        session.execute(text("UPDATE api_tokens SET revoked_at = created_at"))
    database.close()

    running.start()

    assert running.after("Staff certificates") == f"{running.origin}/e/moved"
    assert "Device certificates" not in running.printed
    assert running.after("grace.hopper@example.org") == password
    assert (running.folder / "secrets/api-token").read_text() != token
    assert running.api("GET", f"/organizations/{hospital['id']}").json()["email_domains"] == domains
    assert "John Snow" not in running.api("GET", "/persons").text


def test_a_stack_starts_with_a_form_that_nobody_can_sign_in_to_yet(tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text(
        """
organizations: [{name: Example, email_domains: [example.org]}]
forms: [{name: Vouched, type: client, methods: [idp]}]
"""
    )
    with Stack(tmp_path / "stack", seed=seed) as stack:
        uri = stack.forms["Vouched"].rsplit("/", 1)[-1]
        assert status_of(stack.ports["auth-web"], f"/auth/sign-in/{uri}") == 403


def test_a_file_is_due_again_when_it_has_changed(tmp_path: Path) -> None:
    file, marker = tmp_path / "seed.yaml", tmp_path / "applied"
    file.write_text("forms: []")
    assert Once(marker, file).is_due
    Once(marker, file).done()
    assert not Once(marker, file).is_due
    file.write_text("forms: [] # changed")
    assert Once(marker, file).is_due


def test_a_folder_is_free_again_after_its_holder(tmp_path: Path) -> None:
    with holding(tmp_path, "1 http://localhost:8080"), pytest.raises(FolderInUse, match=r"^1 http://localhost:8080$"):
        with holding(tmp_path, "2 http://localhost:8081"):
            pass
    with holding(tmp_path, "3"):
        pass

"""`keystead bulk` against a served API: files sent, jobs watched on a terminal and off it, results fetched."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.support.administrators import administrator, api_token
from tests.support.bulk_rows import Rows
from tests.support.enroll_app import EnrollApp, served
from tests.support.servers import wait_until

from keystead_enroll.cli import main
from keystead_enroll.domain.bulk_jobs import BulkState
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.remote import watching
from keystead_enroll.remote.client import NotReachable, Refused, Remote, RemoteError

Keystead = Callable[..., Result]
OWNER = "ada@example.org"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, _redis: Any) -> Iterator[EnrollApp]:
    with served(f"sqlite:///{tmp_path_factory.mktemp('bulk')}/test.db", _redis.url) as app:
        yield app


@pytest.fixture(scope="module")
def around(app: EnrollApp, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a master administrator's shell."""
    token = api_token(app, administrator(app))
    home = str(tmp_path_factory.mktemp("home"))
    return {"KEYSTEAD_URL": app.origin, "KEYSTEAD_TOKEN": token, "XDG_CONFIG_HOME": home}


@pytest.fixture
def keystead(around: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Keystead:
    monkeypatch.setattr(watching, "EVERY_SECONDS", 0.05)
    return lambda *arguments: CliRunner().invoke(main, ["bulk", *arguments], env=around)


@pytest.fixture
def file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file of four machines, another one for each test."""
    made = tmp_path / "devices.csv"
    owner = f"{request.node.name[-40:].strip('_')}@example.org"
    made.write_text("device_name,owner\n" + "".join(f"laptop-{n},{owner}\n" for n in range(1, 5)))
    return made


def submitted(keystead: Keystead, file: Path) -> str:
    done = keystead("submit", str(file), "--profile", "Machine")
    assert done.exit_code == 0, done.output
    return str(re.search(r"[0-9a-f]{32}", done.stdout)[0])  # type: ignore[index]


def during(*work: Callable[[], None]) -> threading.Thread:
    """Has something happen while a job is watched."""

    def later() -> None:
        time.sleep(0.3)
        for each in work:
            each()

    thread = threading.Thread(target=later)
    thread.start()
    return thread


def test_a_file_is_sent_once_however_often(keystead: Keystead, file: Path) -> None:
    job = submitted(keystead, file)
    again = keystead("submit", str(file), "--profile", "Machine", "--organization", "Example Hospital")
    assert again.exit_code == 0 and f"came before; its job is {job}" in again.stdout
    assert f"keystead bulk watch {job}" in again.stderr
    listed = json.loads(keystead("list", "--search", "devices.csv", "--json").stdout)
    assert job in [each["id"] for each in listed]
    assert "devices.csv" in keystead("show", job).stdout


def test_lines_of_json_are_known_by_the_file_s_name(keystead: Keystead, tmp_path: Path) -> None:
    file = tmp_path / "devices.jsonl"
    file.write_text('{"device_name": "laptop-9"}\n')
    job = json.loads(keystead("submit", str(file), "--json").stdout)
    assert (job["format"], job["name"]) == ("jsonl", "devices.jsonl")


def test_a_file_that_is_refused_says_why(keystead: Keystead, file: Path) -> None:
    refused = keystead("submit", str(file), "--profile", "No such")
    assert refused.exit_code == 3 and "There is no profile “No such”" in refused.stderr


def test_watching_off_a_terminal_writes_lines_and_ends_with_the_job(
    app: EnrollApp, keystead: Keystead, file: Path
) -> None:
    job = submitted(keystead, file)
    rows = Rows(app, job)
    rows.read(4)
    rows.order(4)
    thread = during(rows.end)
    watched = keystead("watch", job)
    thread.join()
    assert watched.exit_code == 0, watched.output
    lines = watched.stdout.splitlines()
    assert "UTC running: 4 of 4 rows, 4 installed" in lines[0]
    assert "UTC finished: 4 of 4 rows, 4 installed" in lines[-1]


def test_refused_and_failed_rows_end_with_an_exit_code_of_their_own(
    app: EnrollApp, keystead: Keystead, file: Path, tmp_path: Path
) -> None:
    job = submitted(keystead, file)
    rows = Rows(app, job)
    rows.read(4, {3: (["bad\x1b[2Jname", "ada"], "device_name", "has a control character\x1b[31m")})
    rows.order(1)
    rows.order(1, OrderState.FAILED, "The TPM is locked.")
    rows.order(1, OrderState.CANCELLED)
    rows.end()
    watched = keystead("watch", job)
    assert watched.exit_code == 5
    assert "1 installed, 1 refused, 1 failed, 1 cancelled" in watched.stdout
    assert f"keystead bulk refused {job}" in watched.stderr and f"keystead bulk retry {job}" in watched.stderr
    told = keystead("rows", job)
    assert "device_name: has a control character" in told.stdout and "The TPM is locked." in told.stdout
    assert "\x1b" not in told.stdout
    assert len(json.loads(keystead("rows", job, "--state", "refused", "--json").stdout)) == 1
    to_correct, results = tmp_path / "refused.csv", tmp_path / "results.csv"
    assert keystead("refused", job, "-o", str(to_correct)).exit_code == 0
    assert to_correct.read_text(encoding="utf-8-sig").startswith('"device_name","owner","line","field","reason"')
    assert keystead("results", job, "-o", str(results)).exit_code == 0
    assert len(results.read_text().splitlines()) == 5
    assert "1 row is tried again." in keystead("retry", job).stdout


def test_a_job_is_paused_goes_on_and_is_ended_after_a_question(keystead: Keystead, file: Path) -> None:
    job = submitted(keystead, file)
    assert keystead("pause", job).stdout == "Paused.\n"
    assert "paused" in keystead("show", job).stdout
    assert keystead("resume", job).exit_code == 0
    assert keystead("cancel", job).exit_code == 2
    assert keystead("cancel", job, "--yes").exit_code == 0
    assert keystead("resume", job).exit_code == 3


def test_a_file_that_cannot_be_read_ends_watching_with_its_reason(
    app: EnrollApp, keystead: Keystead, file: Path
) -> None:
    job = submitted(keystead, file)
    with app.enroll.transactions.write() as tx:
        found = tx.bulk_job(job)
        assert found is not None
        found.refuse("The file has no column device_name.", "Name it in the first line.", app.clock.now())
    watched = keystead("watch", job)
    assert watched.exit_code == 2
    assert "error: The file has no column device_name." in watched.stderr
    assert "hint: Name it in the first line." in watched.stderr


def test_programs_get_a_line_of_json_for_each_change(app: EnrollApp, keystead: Keystead, file: Path) -> None:
    job = submitted(keystead, file)
    rows = Rows(app, job)
    rows.read(4)
    thread = during(lambda: rows.order(4), rows.end)
    watched = keystead("watch", job, "--json")
    thread.join()
    told = [json.loads(line) for line in watched.stdout.splitlines()]
    assert 2 <= len(told) <= 4 and told[0]["state"] == "running" and told[-1]["state"] == "finished"


class Silent(Remote):
    """A server that does not answer some of the time."""

    def __init__(self, *answers: dict[str, Any] | RemoteError) -> None:
        self._answers = list(answers)

    def fresh(self, path: str, etag: str) -> tuple[Any, str]:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, RemoteError):
            raise answer
        return answer, etag


STAGES = dict.fromkeys(
    ("refused", "waiting", "ready", "offered", "csr_accepted", "signing", "issued", "installed", "failed", "cancelled"),
    0,
)
DONE: dict[str, Any] = {
    "name": "devices.csv", "state": "finished",
    "progress": {"rows": 0, "done": 0, "stages": STAGES, "rate": 0.0, "seconds_left": None, "read_octets": 0,
                 "octets": 0, "reading": False},
}  # fmt: skip


def test_a_server_that_is_started_again_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    silence = NotReachable("It cannot be reached.")
    remote = Silent(silence, Refused(503, "Busy.", "", {}), DONE)
    assert watching.watch(remote, "1", watching.Lines(), sleep=lambda _: None) == DONE
    assert "Asking again." in capsys.readouterr().err


def test_a_server_that_stays_silent_is_not_waited_for_for_ever() -> None:
    clock = iter(range(0, 10_000, 50))
    with pytest.raises(NotReachable):
        watching.watch(
            Silent(NotReachable("Gone.")), "1", watching.JsonLines(), sleep=lambda _: None, now=lambda: next(clock)
        )
    with pytest.raises(Refused):
        watching.watch(Silent(Refused(404, "Gone.", "", {})), "1", watching.JsonLines(), sleep=lambda _: None)


@pytest.mark.parametrize(
    ("seconds", "told"), [(21, "0:00:21"), (3_725, "1:02:05"), (183_845, "2 d 3:04:05")], ids=["s", "h", "d"]
)
def test_a_duration_is_told_in_full(seconds: int, told: str) -> None:
    assert watching.duration(seconds) == told


def test_a_terminal_shows_a_bar_and_ctrl_c_leaves_the_job_to_itself(
    app: EnrollApp, keystead: Keystead, around: dict[str, str], file: Path
) -> None:
    job = submitted(keystead, file)
    rows = Rows(app, job)
    rows.read(4, {5: (["x", "y"], "owner", "is no address")})
    rows.order(2)
    screen = Screen(["bulk", "watch", job], around)
    wait_until(lambda: "3 of 4" in screen.text(), "the bar")
    assert "75 %" in screen.text() and "2 installed · 1 at work · 1 refused" in screen.text()
    screen.type("\x03")
    assert screen.ended() == 130
    assert f"The job goes on. To watch it again: keystead bulk watch {job}" in screen.text()
    with app.enroll.transactions.read() as tx:
        assert tx.get(type(tx.bulk_job(job)), job).state is BulkState.RUNNING  # type: ignore[union-attr,arg-type]


class Screen:
    """The command on a terminal of 100 columns."""

    def __init__(self, arguments: list[str], around: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        environment = {**os.environ, **around, "TERM": "xterm-256color"}
        command = [str(Path(sys.executable).with_name("keystead")), *arguments]
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self._seen = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while part := os.read(self._master, 4096):
                self._seen += part
        except OSError:  # its other end is closed
            pass

    def raw(self) -> str:
        return self._seen.decode(errors="replace")

    def text(self) -> str:
        """All that was written, without colours and movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw())

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def ended(self) -> int:
        code = self._process.wait(20)
        self._reader.join(5)
        return code

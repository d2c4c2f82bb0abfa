"""Any one process may be killed, Redis emptied, or the agent cut off, at any step: the order still ends well.

Each test enrolls one person on a stack of real processes and does its harm at one step of the flow; afterwards there
is exactly one certificate, the order is installed, and one letter of each kind has come.
"""

from __future__ import annotations

import itertools
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import redis
from _pytest.mark.structures import ParameterSet
from tests.support.person import UNHURRIED, Person, StepFailed

from keystead_local.stack import Stack, executable

pytestmark = [pytest.mark.e2e, pytest.mark.tpm]

SEED = Path(__file__).parents[2] / "deploy/local/seed.yaml"
CODE = "HEART2026"
HARMS = [
    ("auth-web", "ask"), ("redis", "confirm"), ("enroll-web", "submit"), ("nginx", "start_agent"),
    ("enroll-worker", "see_key"), ("notify-worker", "see_key"), ("tpm", "see_key"),
]  # fmt: skip
"""(process, step): who is killed right after which step."""
MORE_HARMS = [
    ("auth-worker", "ask"), ("notify-worker", "ask"), ("mailbox", "ask"), ("redis", "ask"),
    ("auth-web", "confirm"), ("enroll-web", "confirm"), ("nginx", "confirm"),
    ("redis", "submit"), ("tpm", "submit"),
    ("enroll-web", "start_agent"), ("enroll-worker", "start_agent"),
    ("redis", "see_key"), ("notify-web", "see_key"), ("mailbox", "see_key"),
]  # fmt: skip
"""The same, for `make chaos`."""
_people = itertools.count(1)


def chaos(*cases: str | tuple[str, str]) -> list[ParameterSet]:
    """Cases that only `make chaos` tries."""
    return [pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.chaos) for case in cases]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("kill"), seed=SEED, tpm=True, heartbeat=0.5, environment=UNHURRIED) as running:
        yield running


@pytest.fixture
def person(stack: Stack) -> Iterator[Person]:
    stack.wait_ready()
    with Person(stack.origin, stack.mailbox_url, f"person{next(_people)}@example.org", timeout=60) as someone:
        yield someone


class Enrollment:
    """One enrollment, step by step; `harm` is done right after the step named `at`."""

    STEPS = ("ask", "confirm", "submit", "start_agent", "see_key")

    def __init__(self, stack: Stack, person: Person, folder: Path) -> None:
        self.stack, self.person, self.state = stack, person, folder / "agent"
        self.form = next(url for name, url in stack.forms.items() if "Staff" in name).rsplit("/", 1)[1]
        self.link = ""
        self.agent: subprocess.Popen[bytes] | None = None

    def run(self, at: str, harm: Callable[[], object]) -> None:
        for step in self.STEPS:
            self._insist(getattr(self, step))
            if step == at:
                harm()
        self.finish()

    def ask(self) -> None:
        self.person.ask_for_link(self.form)

    def confirm(self) -> None:
        self.person.confirm(self.person.wait_for_link())
        self.person.give_access_code(self.form, CODE)

    def submit(self) -> None:
        self.person.submit(self.form)

    def start_agent(self) -> None:
        self.link = self.person.link()
        self.run_agent()

    def run_agent(self) -> None:
        """What the person does with the copied command, and does again if it ended badly."""
        command = [executable("keystead-agent"), "enroll", self.link, "--yes"]
        self.agent = subprocess.Popen(
            command, env=self.stack.agent_environment(self.state), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def see_key(self) -> None:
        """Waits until the agent has begun: the middle of its work."""
        wait_until(lambda: any((self.state / "claims").glob("*.json")), "the agent began")

    def finish(self) -> None:
        for _ in range(10):
            assert self.agent is not None
            if self.agent.wait(timeout=60) == 0:
                return
            self.run_agent()
        raise AssertionError("the agent does not get through")

    @staticmethod
    def _insist(step: Callable[[], object]) -> None:
        """A person reloads a page that answered 502 for a moment."""
        ends = time.monotonic() + 30
        while True:
            try:
                step()
            except (httpx.HTTPError, StepFailed):
                if time.monotonic() > ends:
                    raise
                time.sleep(0.2)
            else:
                return


def wait_until(true: Callable[[], bool], what: str, seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, f"not in time: {what}"
        time.sleep(0.005)


def assert_ended_well(stack: Stack, person: Person, enrollment: Enrollment) -> None:
    assert person.wait_until_over()["state"] == "installed"
    order_id = person.order_path.rsplit("/", 1)[1]
    with sqlite3.connect(f"file:{stack.folder}/data/enroll.db?mode=ro", uri=True) as database:
        certificates = database.execute("SELECT count(*) FROM certificates WHERE owner = ?", [person.email]).fetchone()
        assert certificates == (1,)
        signed = database.execute("SELECT state FROM issuance_intents WHERE order_id = ?", [order_id]).fetchall()
        assert signed == [("signed",)]
    person.wait_for_letter("certificate is installed")
    time.sleep(1.5)  # a second letter would come with the next heartbeats
    subjects = [letter["subject"] for letter in person.letters()]
    assert sum("sign-in link" in subject for subject in subjects) == 1, subjects
    assert sum("is installed" in subject for subject in subjects) == 1, subjects
    assert len(list((enrollment.state / "certificates").iterdir())) == 1
    assert not list((enrollment.state / "pending").glob("*"))


@pytest.mark.parametrize(("process", "step"), [*HARMS, *chaos(*MORE_HARMS)], ids=lambda value: value)
def test_an_enrollment_survives_the_death_of(
    process: str, step: str, stack: Stack, person: Person, tmp_path: Path
) -> None:
    enrollment = Enrollment(stack, person, tmp_path)
    enrollment.run(step, lambda: stack.kill(process))
    assert_ended_well(stack, person, enrollment)


@pytest.mark.parametrize("step", ["see_key", *chaos("ask", "confirm", "submit", "start_agent")])
def test_an_enrollment_survives_redis_being_emptied(step: str, stack: Stack, person: Person, tmp_path: Path) -> None:
    def empty() -> None:
        with redis.Redis.from_url(stack.redis_url) as client:
            client.flushall()

    enrollment = Enrollment(stack, person, tmp_path)
    enrollment.run(step, empty)
    assert_ended_well(stack, person, enrollment)


@pytest.mark.parametrize("traces", ["pending/*", "certificates/*", *chaos("claims/*.json", "jobs/*.json")])
def test_an_enrollment_survives_the_death_of_the_agent(
    traces: str, stack: Stack, person: Person, tmp_path: Path
) -> None:
    enrollment = Enrollment(stack, person, tmp_path)

    def kill_agent() -> None:
        agent = enrollment.agent
        assert agent is not None
        wait_until(lambda: agent.poll() is not None or any(enrollment.state.glob(traces)), f"{traces} appeared")
        agent.send_signal(signal.SIGKILL)

    enrollment.run("start_agent", kill_agent)
    assert_ended_well(stack, person, enrollment)


def test_an_enrollment_survives_the_agents_network_being_cut(stack: Stack, person: Person, tmp_path: Path) -> None:
    enrollment = Enrollment(stack, person, tmp_path)

    def cut() -> None:
        stack.stop("nginx")
        time.sleep(2)
        stack.start("nginx")

    enrollment.run("see_key", cut)
    assert_ended_well(stack, person, enrollment)

"""Letters are sent once, retried with back-off, and end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from tests.unit.notify.fakes import FakeClock, FakeMailer, FakeTransactions, Row, envelope, installed, login

from keystead_contracts.base import CertificateType
from keystead_contracts.events import FormPublished
from keystead_contracts.identity import SignInMethod
from keystead_notify.domain.errors import LetterPostponed, LetterRefused, MailServerAway, Refusal
from keystead_notify.domain.letter import Letter, LetterFact, LetterState, RetryPolicy
from keystead_notify.usecases.claim_letter import claim_letter
from keystead_notify.usecases.deliver_letters import BATCH, deliver_letters
from keystead_notify.usecases.queue_letter import queue_letter
from keystead_notify.usecases.record_outcome import Outcome, record_outcome

POLICY = RetryPolicy()


@dataclass
class World:
    transactions: FakeTransactions = field(default_factory=FakeTransactions)
    mailer: FakeMailer = field(default_factory=FakeMailer)
    clock: FakeClock = field(default_factory=FakeClock)
    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)

    def queue(self, fact: LetterFact, message_id: str = "1") -> Row:
        queue_letter(self.transactions.letters, fact, envelope(fact, message_id), self.clock.now(), POLICY)
        return self.transactions.letters.rows[message_id]

    def deliver(self) -> int:
        return deliver_letters(
            self.transactions, self.mailer, self.clock, POLICY,
            lambda letter, outcome: self.outcomes.append((letter.message_id, outcome)),
        )  # fmt: skip


@pytest.fixture
def world() -> World:
    return World()


def failing(failure: Refusal, only: str | None = None) -> FakeMailer:
    def answer(letter: Letter) -> None:
        if only in (None, letter.message_id):
            raise failure

    return FakeMailer(answer)


def test_a_letter_is_sent_once(world: World) -> None:
    row = world.queue(installed())
    assert world.deliver() == 1
    assert world.deliver() == 0
    assert world.mailer.sent == ["1"]
    assert row.state is LetterState.SENT
    assert world.outcomes == [("1", Outcome.SENT)]


def test_a_fact_that_nobody_is_written_about_makes_no_letter(world: World) -> None:
    fact = FormPublished(
        form="f", version=1, name="n", organization="o", certificate_type=CertificateType.CLIENT,
        methods=[SignInMethod.EMAIL], email_domains=[],
    )  # fmt: skip
    message = envelope(login(), "1")
    assert not queue_letter(world.transactions.letters, fact, message, world.clock.now(), POLICY)
    assert not world.transactions.letters.rows


def test_one_connection_carries_a_batch(world: World) -> None:
    for number in range(BATCH + 5):
        world.queue(installed(), str(number))
    assert world.deliver() == BATCH
    assert world.mailer.connections == 1
    assert world.deliver() == 5


def test_no_connection_is_opened_for_nothing(world: World) -> None:
    assert world.deliver() == 0
    assert world.mailer.connections == 0


def test_a_permanent_refusal_is_recorded_and_final(world: World) -> None:
    world.mailer = failing(LetterRefused(550, "no such user"))
    row = world.queue(installed())
    world.deliver()
    assert (row.state, row.code, row.reason) == (LetterState.REFUSED, 550, "no such user")
    world.clock.pass_by(hours=1)
    assert world.deliver() == 0


def test_a_refused_letter_does_not_hold_up_the_next(world: World) -> None:
    world.mailer = failing(LetterRefused(550, "no such user"), only="1")
    world.queue(installed(), "1")
    world.queue(installed(), "2")
    world.deliver()
    assert world.mailer.sent == ["2"]
    assert world.mailer.connections == 1


def test_a_letter_that_cannot_be_written_waits_and_does_not_hold_up_the_next(world: World) -> None:
    def answer(letter: Letter) -> None:
        if letter.message_id == "1":
            raise KeyError("template")

    world.mailer = FakeMailer(answer)
    first = world.queue(installed(), "1")
    world.queue(installed(), "2")
    world.deliver()
    assert world.mailer.sent == ["2"]
    assert first.state is LetterState.QUEUED and "KeyError" in first.reason


def test_the_waits_double_up_to_the_longest(world: World) -> None:
    world.mailer = failing(LetterPostponed("451 later"))
    row = world.queue(installed())
    waits = []
    for _ in range(10):
        world.deliver()
        assert row.due_at
        waits.append((row.due_at - world.clock.now()).total_seconds())
        world.clock.time = row.due_at
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_sign_in_link_is_tried_more_often(world: World) -> None:
    world.mailer = failing(LetterPostponed("451 later"))
    row = world.queue(login())
    waits = []
    for _ in range(7):
        world.deliver()
        assert row.due_at
        waits.append((row.due_at - world.clock.now()).total_seconds())
        world.clock.time = row.due_at
    assert waits == [2, 4, 8, 16, 30, 30, 30]


def test_a_sign_in_link_past_its_time_is_not_sent(world: World) -> None:
    row = world.queue(login())
    world.clock.pass_by(minutes=15)
    assert world.deliver() == 1
    assert world.mailer.sent == []
    assert world.mailer.connections == 0
    assert row.state is LetterState.EXPIRED
    assert world.outcomes == [("1", Outcome.EXPIRED)]


def test_a_postponed_sign_in_link_expires_when_its_time_is_over(world: World) -> None:
    world.mailer = failing(LetterPostponed("451 later"))
    row = world.queue(login())
    while row.due_at is not None:
        world.clock.time = row.due_at
        world.deliver()
    assert row.state is LetterState.EXPIRED
    assert world.clock.now() == row.letter.deadline_at


def test_an_hour_without_the_mail_server_loses_nothing(world: World) -> None:
    world.mailer.away = True
    rows = [world.queue(installed(), str(number)) for number in range(3)]
    for _ in range(1800):
        world.deliver()
        world.clock.pass_by(seconds=2)
    assert {row.state for row in rows} == {LetterState.QUEUED}
    world.mailer.away = False
    world.clock.pass_by(minutes=5)
    world.deliver()
    assert sorted(world.mailer.sent) == ["0", "1", "2"]


def test_every_other_letter_is_given_up_after_a_day(world: World) -> None:
    world.mailer.away = True
    row = world.queue(installed())
    world.clock.pass_by(hours=24)
    world.deliver()
    assert row.state is LetterState.EXPIRED


def test_a_lost_connection_postpones_all_and_opens_no_other_at_once(world: World) -> None:
    world.mailer = failing(MailServerAway("421 shutting down"))
    rows = [world.queue(installed(), str(number)) for number in range(3)]
    assert world.deliver() == 3
    assert world.mailer.connections == 1
    assert world.deliver() == 0
    assert world.mailer.connections == 1
    assert {row.state for row in rows} == {LetterState.QUEUED}


def test_a_letter_in_a_lost_worker_is_sent_after_its_lease(world: World) -> None:
    world.queue(installed())
    assert claim_letter(world.transactions, world.clock, POLICY)
    world.clock.pass_by(seconds=119)
    assert world.deliver() == 0
    world.clock.pass_by(seconds=1)
    assert world.deliver() == 1
    assert world.mailer.sent == ["1"]


def test_a_slow_worker_does_not_put_back_what_another_took_over(world: World) -> None:
    row = world.queue(installed())
    slow = claim_letter(world.transactions, world.clock, POLICY)
    world.clock.pass_by(minutes=2)
    fast = claim_letter(world.transactions, world.clock, POLICY)
    assert slow and fast
    record_outcome(world.transactions, world.clock, POLICY, slow, LetterPostponed("451"))
    states = [row.state]
    record_outcome(world.transactions, world.clock, POLICY, fast, None)
    record_outcome(world.transactions, world.clock, POLICY, slow, LetterRefused(550, "late"))
    assert [*states, row.state] == [LetterState.SENDING, LetterState.SENT]


def test_no_wait_passes_the_deadline() -> None:
    letter = Letter(
        "1", "login_requested", "a@b.c", {}, "a" * 32, FakeClock().now(), FakeClock().now() + timedelta(seconds=1)
    )
    assert POLICY.next_attempt(letter, FakeClock().now()) == letter.deadline_at

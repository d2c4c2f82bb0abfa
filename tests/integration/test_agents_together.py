"""To be asked together changes no answer: what is refused takes nobody with it, and what comes twice counts once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from tests.load.fleet.machines import machine, manufacturer
from tests.support.attesting_machine import AttestingMachine
from tests.support.enroll_app import REGISTRATION_TOKEN, Agent, EnrollApp, started

from keystead_contracts.agent import RegistrationReply, RegistrationRequest, ReportReceipt
from keystead_contracts.attestation import AttestationResult, ChallengeAnswer
from keystead_enroll.adapters import tables as t
from keystead_enroll.domain.errors import ChallengeRefused
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.domain.refusals import AssertionInvalid, JobNotYours, RegistrationRefused
from keystead_enroll.usecases.answer_challenges import Answering, answer_challenges
from keystead_enroll.usecases.exchange_assertions import SigningIn, exchange_assertions
from keystead_enroll.usecases.register_devices import Registering, register_devices
from keystead_enroll.usecases.take_reports import Reporting, take_reports

TRACES = [f"{number:032x}" for number in range(1, 9)]


def _register(app: EnrollApp, *requests: dict[str, Any]) -> list[RegistrationReply | Exception]:
    e = app.enroll
    asked = [Registering(RegistrationRequest(**each), trace) for each, trace in zip(requests, TRACES, strict=False)]
    return register_devices(e.transactions, e.clock, e.secrets, e.ek_roots, app.origin, asked)


def _answer(app: EnrollApp, *answers: ChallengeAnswer) -> list[AttestationResult | Exception]:
    e = app.enroll
    asked = [Answering(each, trace) for each, trace in zip(answers, TRACES, strict=False)]
    return answer_challenges(e.transactions, e.clock, e.ek_roots, e.settings.same_machine, app.origin, asked)


def _report(app: EnrollApp, *reports: Reporting) -> list[ReportReceipt | Exception]:
    e = app.enroll
    return take_reports(e.transactions, e.clock, e.ek_roots, app.origin, reports)


def _reporting(agent: Agent, trace: str) -> Reporting:
    return Reporting(agent.recipient, agent.csr_report(agent.jobs()[0]), trace)


def test_a_registration_that_is_refused_takes_no_other_with_it(app: EnrollApp) -> None:
    machines = [AttestingMachine(app) for _ in range(3)]
    wrong = machines[1].registration(proof="AAAA")
    stranger = machines[2].registration(registration_token="not-a-token-of-anybody")
    first, second, third = _register(app, machines[0].registration(), wrong, stranger)
    assert isinstance(first, RegistrationReply)
    assert first.challenge is not None
    assert isinstance(second, RegistrationRefused)
    assert isinstance(third, RegistrationRefused)


def test_one_machine_twice_in_a_group_is_one_device(app: EnrollApp) -> None:
    body = AttestingMachine(app).registration()
    first, second = _register(app, body, body)
    assert isinstance(first, RegistrationReply)
    assert isinstance(second, RegistrationReply)
    assert first.device_id == second.device_id


def test_a_token_for_one_device_registers_one_of_a_group(app: EnrollApp) -> None:
    with app.enroll.transactions.write() as tx:
        token = tx.registration_token(app.enroll.secrets.registration_digest(REGISTRATION_TOKEN))
        assert token is not None
        token.most_devices = 1
    said = _register(app, *(AttestingMachine(app).registration() for _ in range(3)))
    assert [isinstance(each, RegistrationReply) for each in said] == [True, False, False]
    with app.enroll.database.read() as session:
        assert session.scalar(select(func.count()).select_from(t.devices)) == 1


def test_a_wrong_answer_uses_up_its_own_challenge_alone(app: EnrollApp) -> None:
    machines = [AttestingMachine(app) for _ in range(2)]
    challenges = [each.register() for each in machines]
    right, wrong = (each.answer(challenge) for each, challenge in zip(machines, challenges, strict=True))
    liar = wrong.model_copy(update={"certification": right.certification})
    first, second = _answer(app, right, liar)
    assert isinstance(first, AttestationResult)
    assert isinstance(second, Exception)
    again, honest = _answer(app, right, wrong)
    assert again == first
    assert isinstance(honest, ChallengeRefused)


def test_two_registrations_of_one_tpm_answer_at_once_and_one_of_them_waits(app: EnrollApp) -> None:
    first = AttestingMachine(app)
    second = AttestingMachine(app, tpm=first.tpm)
    answers = [each.answer(each.register()) for each in (first, second)]
    results = _answer(app, *answers)
    assert sorted(each.level for each in results if isinstance(each, AttestationResult)) == ["attested", "claimed"]


def test_an_assertion_twice_in_a_group_is_good_once(app: EnrollApp) -> None:
    maker = manufacturer()
    mine = machine(app.origin, "laptop", maker)
    mine.register_with(AttestingMachine(app).token)
    (reply,) = _register(app, RegistrationRequest.model_validate_json(mine.registration).model_dump())
    assert isinstance(reply, RegistrationReply)
    mine.device_id = reply.device_id
    once, other = mine.assertion(), mine.assertion()
    e = app.enroll
    asked = [SigningIn(each, trace) for each, trace in zip((once, once, other, "no.jwt.here"), TRACES, strict=False)]
    said = exchange_assertions(e.transactions, e.clock, e.secrets, app.origin, asked)
    assert [isinstance(each, AssertionInvalid) for each in said] == [False, True, False, True]


def test_a_report_on_anothers_job_is_refused_and_the_others_are_taken_each_in_its_trace(app: EnrollApp) -> None:
    people = [started(app, email=email) for email in ("ada@example.org", "bob@example.org", "cy@example.org")]
    one, two, three = (agent for _, _, agent, _ in people)
    foreign = Reporting(one.recipient, three.csr_report(three.jobs()[0]), TRACES[0])
    said = _report(app, _reporting(one, TRACES[1]), foreign, _reporting(two, TRACES[2]))
    assert [isinstance(each, ReportReceipt) for each in said] == [True, False, True]
    assert isinstance(said[1], JobNotYours)
    assert [app.order(order_id).state for _, order_id, _, _ in people] == [
        OrderState.CSR_ACCEPTED, OrderState.CSR_ACCEPTED, OrderState.OFFERED,
    ]  # fmt: skip
    assert app.work() == 2


def test_a_report_twice_in_a_group_counts_once(app: EnrollApp) -> None:
    _, order_id, agent, _ = started(app)
    report = _reporting(agent, TRACES[0])
    said = _report(app, report, report)
    assert [isinstance(each, ReportReceipt) for each in said] == [True, True]
    assert [entry.target for entry in app.order(order_id).log].count(OrderState.CSR_ACCEPTED) == 1


def test_two_orders_with_one_key_in_a_group_give_one_certificate(app: EnrollApp) -> None:
    _, _, one, _ = started(app, email="ada@example.org")
    _, _, two, _ = started(app, email="bob@example.org")
    two.key = one.key
    said = _report(app, _reporting(one, TRACES[0]), _reporting(two, TRACES[1]))
    assert [isinstance(each, ReportReceipt) for each in said] == [True, False]
    assert app.work() == 1
    with app.enroll.database.read() as session:
        assert session.scalar(select(func.count()).select_from(t.certificates)) == 1

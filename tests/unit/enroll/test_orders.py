"""An order's states, the lines a waiting person sees, and what can be said of a certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from keystead_contracts.agent import FailureCode
from keystead_contracts.base import AssuranceLevel, CertificateType, KeyAlgorithm
from keystead_enroll.domain.agent_failures import AGENT_FAILURES, agent_failure
from keystead_enroll.domain.certificate_record import Certificate, certificate_state, renewal_time
from keystead_enroll.domain.enrollment import CsrGenerationMethod
from keystead_enroll.domain.orders import Order, OrderState
from keystead_enroll.domain.progress import progress_of
from keystead_enroll.domain.refusals import OrderClosed

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
S = OrderState
ALLOWED = {
    (S.SUBMITTED, S.AWAITING_APPROVAL),
    (S.SUBMITTED, S.OFFERED),
    (S.AWAITING_APPROVAL, S.OFFERED),
    (S.AWAITING_APPROVAL, S.REJECTED),
    (S.AWAITING_APPROVAL, S.CANCELLED),
    (S.OFFERED, S.CSR_ACCEPTED),
    (S.OFFERED, S.FAILED),
    (S.OFFERED, S.CANCELLED),
    (S.CSR_ACCEPTED, S.SIGNING),
    (S.CSR_ACCEPTED, S.FAILED),
    (S.CSR_ACCEPTED, S.CANCELLED),
    (S.SIGNING, S.ISSUED),
    (S.SIGNING, S.FAILED),
    (S.ISSUED, S.INSTALLED),
    (S.ISSUED, S.FAILED),
    (S.ISSUED, S.CANCELLED),
}
PROVIDED = {
    (S.SUBMITTED, S.AWAITING_APPROVAL),
    (S.SUBMITTED, S.CSR_ACCEPTED),
    (S.AWAITING_APPROVAL, S.CSR_ACCEPTED),
    (S.AWAITING_APPROVAL, S.REJECTED),
    (S.AWAITING_APPROVAL, S.CANCELLED),
    (S.CSR_ACCEPTED, S.SIGNING),
    (S.CSR_ACCEPTED, S.FAILED),
    (S.CSR_ACCEPTED, S.CANCELLED),
    (S.SIGNING, S.ISSUED),
    (S.SIGNING, S.FAILED),
}
PATHS = {
    S.SUBMITTED: [],
    S.AWAITING_APPROVAL: [S.AWAITING_APPROVAL],
    S.OFFERED: [S.OFFERED],
    S.CSR_ACCEPTED: [S.OFFERED, S.CSR_ACCEPTED],
    S.SIGNING: [S.OFFERED, S.CSR_ACCEPTED, S.SIGNING],
    S.ISSUED: [S.OFFERED, S.CSR_ACCEPTED, S.SIGNING, S.ISSUED],
    S.INSTALLED: [S.OFFERED, S.CSR_ACCEPTED, S.SIGNING, S.ISSUED, S.INSTALLED],
    S.REJECTED: [S.AWAITING_APPROVAL, S.REJECTED],
    S.FAILED: [S.OFFERED, S.FAILED],
    S.CANCELLED: [S.OFFERED, S.CANCELLED],
}


def order_in(state: OrderState, *, seen: bool = False) -> Order:
    order = Order(
        id="1" * 32,
        form_id="f",
        account_id="a",
        organization_id="o",
        profile_id="p",
        certificate_type=CertificateType.CLIENT,
        person_email="ada@example.org",
        person_name=None,
        key_algorithm=KeyAlgorithm.EC_P256,
        term_days=365,
        names={},
        recipient="claim:1",
        trace_id="4" * 32,
        created_at=AT,
        licence_version=None,
    )
    if seen:
        order.agent_seen_at = AT
    for minute, step in enumerate(PATHS[state], 1):
        if step is S.FAILED:
            order.fail("tpm_full", "The TPM is full.", "Restart.", AT + timedelta(minutes=minute))
        else:
            order.advance(step, AT + timedelta(minutes=minute))
    return order


@pytest.mark.parametrize(("source", "target"), list(product(S, S)), ids=lambda state: state.value)
def test_an_order_takes_exactly_the_steps_of_the_table(source: OrderState, target: OrderState) -> None:
    order = order_in(source)
    before = len(order.log)
    if (source, target) in ALLOWED:
        order.advance(target, AT + timedelta(hours=1), "why")
        assert (order.state, order.state_at) == (target, AT + timedelta(hours=1))
        last = order.log[-1]
        assert (last.source, last.target, last.position, last.note) == (source, target, before, "why")
    else:
        with pytest.raises(OrderClosed):
            order.advance(target, AT + timedelta(hours=1))
        assert (order.state, len(order.log)) == (source, before)


@pytest.mark.parametrize(("source", "target"), list(product(S, S)), ids=lambda state: state.value)
def test_an_order_with_its_own_request_takes_exactly_the_steps_of_its_table(
    source: OrderState, target: OrderState
) -> None:
    order = order_in(S.SUBMITTED)
    order.csr_method, order.state = CsrGenerationMethod.PROVIDED, source
    assert order.over == (not any(before is source for before, _ in PROVIDED))
    if (source, target) in PROVIDED:
        order.advance(target, AT)
        assert order.state is target
    else:
        with pytest.raises(OrderClosed):
            order.advance(target, AT)


@pytest.mark.parametrize(("state", "lines"), [(S.CSR_ACCEPTED, "done active"), (S.ISSUED, "done done")])
def test_an_order_with_its_own_request_has_two_lines(state: OrderState, lines: str) -> None:
    order = order_in(S.SUBMITTED)
    order.csr_method = CsrGenerationMethod.PROVIDED
    for step in (S.CSR_ACCEPTED, S.SIGNING, S.ISSUED):
        if order.state is not state:
            order.advance(step, AT)
    progress = progress_of(order)
    assert [line.key for line in progress.lines] == ["request", "issued"]
    assert " ".join(line.state for line in progress.lines) == lines
    assert progress.terminal == (state is S.ISSUED)


@pytest.mark.parametrize("state", list(S), ids=lambda state: state.value)
def test_only_states_without_a_way_on_are_terminal(state: OrderState) -> None:
    assert state.terminal == (not any(source is state for source, _ in ALLOWED))


@pytest.mark.parametrize("state", list(S), ids=lambda state: state.value)
def test_failing_is_a_step_like_any_other(state: OrderState) -> None:
    order = order_in(state)
    reason = order.failure_reason
    if (state, S.FAILED) in ALLOWED:
        order.fail("code", "Because.", "Do this.", AT)
        assert (order.failure_code, order.failure_reason, order.failure_advice) == ("code", "Because.", "Do this.")
        return
    with pytest.raises(OrderClosed):
        order.fail("code", "Because.", "Do this.", AT)
    assert order.failure_reason == reason


def test_reached_is_the_time_of_the_step_or_none() -> None:
    order = order_in(S.CSR_ACCEPTED)
    assert order.reached(S.CSR_ACCEPTED) == AT + timedelta(minutes=2)
    assert order.reached(S.ISSUED) is None


LINES = {
    S.SUBMITTED: "active waiting waiting waiting waiting",
    S.AWAITING_APPROVAL: "active waiting waiting waiting waiting waiting",
    S.OFFERED: "active waiting waiting waiting waiting",
    S.CSR_ACCEPTED: "done done done active waiting",
    S.SIGNING: "done done done active waiting",
    S.ISSUED: "done done done done active",
    S.INSTALLED: "done done done done done",
    S.REJECTED: "failed skipped skipped skipped skipped skipped",
    S.FAILED: "failed skipped skipped skipped skipped",
    S.CANCELLED: "skipped skipped skipped skipped skipped",
}


@pytest.mark.parametrize("state", list(S), ids=lambda state: state.value)
def test_the_lines_follow_from_the_order(state: OrderState) -> None:
    progress = progress_of(order_in(state))
    assert " ".join(line.state for line in progress.lines) == LINES[state]
    approval = ["approval"] if state in (S.AWAITING_APPROVAL, S.REJECTED) else []
    assert [line.key for line in progress.lines] == [*approval, "agent", "key", "request", "issued", "installed"]
    assert progress.state == state.value
    assert progress.terminal == state.terminal
    assert (progress.failure is not None) == (state in (S.FAILED, S.REJECTED))


def test_a_line_that_is_done_has_its_time() -> None:
    lines = progress_of(order_in(S.INSTALLED)).lines
    assert [line.at for line in lines] == [
        "2026-11-23T12:02:00.000Z",
        "2026-11-23T12:02:00.000Z",
        "2026-11-23T12:02:00.000Z",
        "2026-11-23T12:04:00.000Z",
        "2026-11-23T12:05:00.000Z",
    ]


def test_an_agent_that_answered_is_one_done_line() -> None:
    assert [line.state for line in progress_of(order_in(S.OFFERED, seen=True)).lines][:3] == [
        "done",
        "active",
        "waiting",
    ]


def test_a_failure_says_why_what_to_do_and_the_reference() -> None:
    progress = progress_of(order_in(S.FAILED, seen=True))
    assert progress.lines[1].state == "failed"
    assert progress.lines[1].text == "The TPM is full."
    assert progress.failure is not None
    assert (progress.failure.title, progress.failure.advice, progress.failure.reference) == (
        "The TPM is full.",
        "Restart.",
        "4" * 32,
    )


def test_an_approval_is_a_step_of_its_own() -> None:
    order = order_in(S.AWAITING_APPROVAL)
    order.advance(S.OFFERED, AT)
    assert [(line.key, line.state) for line in progress_of(order).lines][:2] == [
        ("approval", "done"),
        ("agent", "active"),
    ]


def test_what_the_agent_said_is_kept_apart_and_on_one_line() -> None:
    order = order_in(S.OFFERED)
    order.fail("tpm_full", "No room.", "Restart.", AT, "TPM says:\n\n0x902")
    failure = progress_of(order).failure
    assert failure is not None
    assert (failure.title, failure.said) == ("No room.", "TPM says: 0x902")


def test_every_failure_of_an_agent_has_words_of_ours() -> None:
    assert set(AGENT_FAILURES) == set(FailureCode)
    assert all(words.reason and words.advice for words in AGENT_FAILURES.values())
    assert agent_failure("made_up_by_a_newer_agent")[0] is FailureCode.INTERNAL


def test_a_key_in_a_file_is_called_so() -> None:
    order = order_in(S.CSR_ACCEPTED)
    order.assurance = AssuranceLevel.SOFTWARE
    assert progress_of(order).lines[1].label == "Key made in a file"
    order.assurance = AssuranceLevel.CLAIMED
    assert progress_of(order).lines[1].label is None


def certificate(**changes: object) -> Certificate:
    values: dict[str, object] = dict.fromkeys(Certificate.__dataclass_fields__) | {
        "not_after": AT + timedelta(days=10),
        "renews_at": AT + timedelta(days=5),
    }
    return Certificate(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("days", "state"),
    [(0, "valid"), (4.999, "valid"), (5, "expiring"), (9.999, "expiring"), (10, "expired"), (100, "expired")],
)
def test_a_certificates_state_follows_from_the_time(days: float, state: str) -> None:
    assert certificate_state(certificate(), AT + timedelta(days=days)) == state


@pytest.mark.parametrize("days", [0, 5, 10])
def test_a_revoked_certificate_is_revoked_whatever_the_time(days: int) -> None:
    assert certificate_state(certificate(revoked_at=AT), AT + timedelta(days=days)) == "revoked"


def test_renewal_is_due_a_window_before_the_end_but_not_in_the_first_half() -> None:
    end = AT + timedelta(days=100)
    assert renewal_time(AT, end, timedelta(days=30)) == AT + timedelta(days=70)
    assert renewal_time(AT, end, timedelta(days=90)) == AT + timedelta(days=50)

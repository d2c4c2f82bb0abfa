"""What a waiting person sees: five lines, or two where they provided the request, and one more where somebody approves;
derived from the order and nothing else."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from keystead_contracts.base import AssuranceLevel
from keystead_contracts.words import Words, from_plain
from keystead_enroll.domain.enrollment import CsrGenerationMethod
from keystead_enroll.domain.orders import Order, OrderState

_S = OrderState
_HAPPY = (_S.OFFERED, _S.CSR_ACCEPTED, _S.SIGNING, _S.ISSUED, _S.INSTALLED)


@dataclass(frozen=True)
class ProgressLine:
    """One of the lines. `state`: waiting, active, done, failed or skipped; `at`: ISO 8601 UTC."""

    key: str
    state: str
    at: str | None
    text: str
    label: str | None = None


@dataclass(frozen=True)
class Failure:
    """Why the order ended without a certificate that works."""

    title: str
    advice: str
    reference: str
    said: str = ""
    """The agent's own words, to be shown as such."""


@dataclass(frozen=True)
class Progress:
    """The whole state of the live page; sent at each change."""

    state: str
    lines: tuple[ProgressLine, ...]
    failure: Failure | None
    terminal: bool

    def to_json(self) -> dict[str, object]:
        """As the page's event stream carries it."""
        return asdict(self)


def progress_of(order: Order) -> Progress:
    """The lines for `order`."""
    times = _provided_times(order) if order.csr_method is CsrGenerationMethod.PROVIDED else _agent_times(order)
    lines = []
    active_given = False
    for key, at in times:
        state, text = "done" if at else "waiting", ""
        if at is None and not active_given:
            active_given = True
            state, text, at = _active(order, key)
        elif at is None and order.over:
            state = "skipped"
        lines.append(ProgressLine(key, state, _iso(at), text, _label(order, key)))
    return Progress(order.state.value, tuple(lines), _failure(order), order.over)


def _agent_times(order: Order) -> list[tuple[str, datetime | None]]:
    accepted = order.reached(_S.CSR_ACCEPTED)
    approval = [("approval", order.reached(_S.OFFERED))] if order.reached(_S.AWAITING_APPROVAL) else []
    return [
        *approval,
        ("agent", order.agent_seen_at or accepted),
        ("key", accepted),
        ("request", accepted),
        ("issued", order.reached(_S.ISSUED)),
        ("installed", order.reached(_S.INSTALLED)),
    ]


def _provided_times(order: Order) -> list[tuple[str, datetime | None]]:
    """The request was checked before it was taken."""
    approval = [("approval", order.reached(_S.CSR_ACCEPTED))] if order.reached(_S.AWAITING_APPROVAL) else []
    return [("request", order.created_at), *approval, ("issued", order.reached(_S.ISSUED))]


def _failure(order: Order) -> Failure | None:
    if order.state is _S.FAILED or (order.state is _S.CANCELLED and order.failure_reason):
        said = order.failure_reason.partition("\n")[2]
        return Failure(*_why(order), order.trace_id, said)
    if order.state is _S.REJECTED:
        note = order.log[-1].note
        reason = Words("The reason given: {reason}", reason=note) if note else Words("No reason was given.")
        return Failure(reason, Words("Ask your administrator if you do not agree."), order.trace_id)
    return None


def _why(order: Order) -> tuple[str, str]:
    """The reason and the advice, which can be said in another language if they were stored so."""
    words = order.failure_words or {"reason": order.failure_reason.partition("\n")[0], "advice": order.failure_advice}
    return from_plain(words["reason"]), from_plain(words["advice"])


def _active(order: Order, key: str) -> tuple[str, str, datetime | None]:
    if order.state in (_S.FAILED, _S.REJECTED):
        return "failed", _why(order)[0], order.state_at
    if order.state is _S.CANCELLED:
        return "skipped", "", None
    if key == "agent" and order.machine:
        return "active", Words("Keystead on {machine} has not answered yet.", machine=order.machine), None
    return "active", _DOING[key], None


_DOING = {
    "approval": Words("Somebody at your organization looks at this request."),
    "agent": Words("Keystead on this computer has not answered yet."),
    "key": Words("The computer is making a key in its TPM."),
    "request": Words("The request is being checked."),
    "issued": Words("The certificate is being signed."),
    "installed": Words("The computer is storing the certificate and trying it out."),
}


def _label(order: Order, key: str) -> str | None:
    if key == "key" and order.assurance is AssuranceLevel.SOFTWARE:
        return Words("Key made in a file")
    return None


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None

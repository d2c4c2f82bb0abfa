"""Bulk jobs: one file, thousands of machines. A job's life, its rows, and the figures by which it is watched."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from keystead_contracts.base import CertificateType, KeyAlgorithm
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words, from_plain, to_plain
from keystead_enroll.domain.orders import OrderState


class BulkFormat(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSONL = "jsonl"


class BulkState(StrEnum):
    """Where a job stands."""

    RECEIVING = "receiving"
    """Its file is being sent; nobody sees it yet."""
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    """Its rows are being ended, a batch at a time."""
    CANCELLED = "cancelled"
    FINISHED = "finished"
    REFUSED = "refused"
    """The file as a whole cannot be read."""


_B = BulkState
TRANSITIONS: Mapping[BulkState, frozenset[BulkState]] = MappingProxyType(
    {
        _B.RECEIVING: frozenset({_B.RUNNING}),
        _B.RUNNING: frozenset({_B.PAUSED, _B.CANCELLING, _B.FINISHED, _B.REFUSED}),
        _B.PAUSED: frozenset({_B.RUNNING, _B.CANCELLING}),
        _B.CANCELLING: frozenset({_B.CANCELLED}),
        _B.FINISHED: frozenset({_B.RUNNING}),
        _B.CANCELLED: frozenset(),
        _B.REFUSED: frozenset(),
    }
)
"""Every step that a job may take. A finished one runs again when rows that failed are tried again."""


class JobNotNow(Refusal):
    """It cannot be done to a bulk job in this state."""

    code = "conflict"
    default_advice = Words("Look at the job: it shows where it stands.")


class RowState(StrEnum):
    """Where a row stands until there is a request for it; from then on the request says it."""

    WAITING = "waiting"
    """For its machine."""
    READY = "ready"
    """Its machine is known."""
    ORDERED = "ordered"
    REFUSED = "refused"
    """Something in it is wrong."""
    VOID = "void"
    """The job was cancelled before there was a request."""


class RowStage(StrEnum):
    """How far a row has come, as people see it."""

    REFUSED = "refused"
    WAITING = "waiting"
    READY = "ready"
    OFFERED = "offered"
    CSR_ACCEPTED = "csr_accepted"
    SIGNING = "signing"
    ISSUED = "issued"
    INSTALLED = "installed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing follows."""
        return self in _OVER


_OVER = frozenset({RowStage.REFUSED, RowStage.INSTALLED, RowStage.FAILED, RowStage.CANCELLED})
UNDER_WAY = (OrderState.OFFERED, OrderState.CSR_ACCEPTED, OrderState.SIGNING, OrderState.ISSUED)
"""The states of a row's request that has not ended."""


def stage_of(state: RowState, order_state: OrderState | None) -> RowStage:
    """How far a row has come, of its own state and its request's."""
    if state is RowState.VOID:
        return RowStage.CANCELLED
    if state is not RowState.ORDERED or order_state is None:
        return RowStage(state.value)
    return RowStage(order_state.value)


@dataclass(eq=False)
class BulkJob:
    """A file of machines (or their servers, or their owners) that are to have certificates of one type.

    What a row does not say itself is as the job says: profile, key algorithm, term, owner. The certificate type and,
    if it has one, the department are the same for all rows: they say whose the job is.
    """

    id: str
    name: str
    """Of the file."""
    format: BulkFormat
    organization_id: str
    department_id: str | None
    certificate_type: CertificateType
    profile_id: str | None
    key_algorithm: KeyAlgorithm | None
    term_days: int | None
    owner: str | None
    lists_tpms: bool
    """Whether the endorsement keys of its rows become known as the organization's."""
    created_by: str
    actor_kind: str
    actor_id: str
    created_at: datetime
    trace_id: str
    state: BulkState = BulkState.RECEIVING
    state_at: datetime | None = None
    digest: str | None = None
    """Of the file and what was said with it; None once it may be sent again."""
    octets: int = 0
    chunks: int = 0
    reading: dict[str, Any] | None = None
    """Where the next row begins, as `bulk_reading.Place.to_plain`; None before the first."""
    read_octets: int = 0
    rows: int = 0
    """That were read."""
    tpms_listed: int = 0
    read_at: datetime | None = None
    """When the last row was read."""
    started_at: datetime | None = None
    """When its file was there."""
    finished_at: datetime | None = None
    columns: list[str] = field(default_factory=list)
    """Those of the file, as it names them."""
    refusal: dict[str, object] | None = None
    """Why the file as a whole cannot be read: `to_plain` of detail and advice."""

    def __post_init__(self) -> None:
        self.state_at = self.state_at or self.created_at

    def advance(self, target: BulkState, now: datetime) -> None:
        """Takes the job to `target`. Raises JobNotNow if the table has no such step."""
        if target not in TRANSITIONS[self.state]:
            raise JobNotNow(Words("The job is {state}; it cannot become {target}.",
                                  state=self.state.value, target=target.value))  # fmt: skip
        self.state, self.state_at = target, now
        self.finished_at = now if target in ENDED else None

    def refuse(self, detail: str, advice: str, now: datetime) -> None:
        """Ends the job: its file as a whole cannot be read. The same file may be sent again."""
        self.advance(BulkState.REFUSED, now)
        self.refusal = {"detail": to_plain(detail), "advice": to_plain(advice)}
        self.digest = None

    @property
    def refusal_words(self) -> tuple[str, str]:
        """Why the file cannot be read, and what to do; both "" if it can."""
        plain = self.refusal or {}
        return from_plain(plain.get("detail", "")), from_plain(plain.get("advice", ""))


ENDED = frozenset({BulkState.CANCELLED, BulkState.FINISHED, BulkState.REFUSED})


@dataclass(eq=False)
class BulkChunk:
    """A part of a job's file, until it was read."""

    job_id: str
    position: int
    octets: bytes


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a row: in which column ("" for the row as a whole), and why."""

    field: str
    reason: str

    def to_plain(self) -> dict[str, object]:
        """As JSON, with words that can be said in another language."""
        return {"field": self.field, "reason": to_plain(self.reason)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Mistake:
        """The inverse."""
        return cls(str(plain["field"]), from_plain(plain["reason"]))


@dataclass(eq=False)
class FreshRow:
    """A row of a job that was read. `line` is the line of the file on which it begins."""

    job_id: str
    line: int
    organization_id: str
    state: RowState
    cells: list[str | None] | None = None
    """As they came, of a row that was refused."""
    mistakes: list[dict[str, object]] | None = None
    row_key: str | None = None
    """Who may be asked for once at a time; None if it holds nobody back."""
    device_name: str = ""
    ek_sha256: str | None = None
    device_id: str | None = None
    """The machine, once it is known."""
    named_device_id: str | None = None
    """The machine that the row itself names."""
    by_name: bool = False
    """Whether a machine is known by its name alone, which is in lower case then."""
    profile_id: str | None = None
    department_id: str | None = None
    key_algorithm: KeyAlgorithm | None = None
    term_days: int | None = None
    owner: str = ""
    owner_name: str | None = None
    names: dict[str, object] | None = None
    """`CertificateNames.to_plain`."""
    order_id: str | None = None


class BulkRow(FreshRow):
    """A row of a job that is stored."""

    @property
    def told_mistakes(self) -> list[Mistake]:
        """What is wrong with it, if it was refused."""
        return [Mistake.from_plain(plain) for plain in self.mistakes or ()]


@dataclass(eq=False)
class EarlierOrder:
    """A request of a row that came to nothing and was tried again."""

    order_id: str
    job_id: str
    line: int


def row_key(organization_id: str, profile_id: str, machine: str) -> str:
    """What makes two rows ask for the same: SHA-256, hex, of the organization, the profile and the machine."""
    return hashlib.sha256(f"{organization_id}\n{profile_id}\n{machine}".encode()).hexdigest()


@dataclass(frozen=True)
class BulkFigures:
    """How many rows stand where; `recent` ended with a certificate in the last `over`: `RATE_OVER`, or as long as there
    is the job."""

    stages: Mapping[RowStage, int]
    recent: int = 0
    over: timedelta = timedelta(seconds=60)

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(self.stages.values())

    @property
    def done(self) -> int:
        """How many are over."""
        return sum(count for stage, count in self.stages.items() if stage.over)

    @property
    def waiting(self) -> int:
        """How many wait for a machine that nobody has seen."""
        return self.stages.get(RowStage.WAITING, 0)

    @property
    def rate(self) -> float:
        """Certificates installed a second."""
        return self.recent / max(1.0, self.over.total_seconds())

    @property
    def seconds_left(self) -> int | None:
        """Until all machines that are known have theirs at this rate; None if nothing moves or nothing is left."""
        left = self.rows - self.done - self.waiting
        return round(left / self.rate) if left and self.recent else None


RATE_OVER = timedelta(seconds=60)

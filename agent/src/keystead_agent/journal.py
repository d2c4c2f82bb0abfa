"""What the agent must remember over a crash: claims that it opens, jobs that it was given and how it answered.

One JSON file each, replaced whole and durable before the next step, so that a job is answered once and the same way
for ever, and a claim is always redeemed with the secret that it was first redeemed with.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from keystead_agent.errors import StoreUnwritable
from keystead_agent.files import (
    TEMPORARY_PREFIX,
    locked,
    private_directory,
    safe_name,
    unwritable,
    write_file,
)
from keystead_contracts.agent import DeviceJob, EnrollLink, Installed, Report, ReportBody
from keystead_contracts.base import CertificateScope

KEEP = timedelta(days=90)
"""How long finished entries are kept. No server sends a job again after so long a time."""
RESUMABLE = timedelta(hours=24, minutes=15)
"""How long a server can go on with a claim: a link lives 15 minutes, and 24 hours from its first use."""
INSTALLED = "installed"
"""The state of an order whose certificate works: the server has the agent's test signature and found it right."""
DEVICE = "device"
"""The recipient of jobs that came for the registered device; other recipients are claim ids."""

Entry = TypeVar("Entry", bound=BaseModel)
Clock = Callable[[], datetime]


class JournalDamaged(StoreUnwritable):
    """A journal file does not hold what the agent writes."""


class JobEntry(BaseModel):
    """A job and its answer. `settled` means that the server has the answer, or refused it for good: then `refusal`
    says why."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    order_id: str
    server: str
    recipient: str
    kind: str
    trace_id: str
    answered_at: datetime
    body: ReportBody
    settled: bool = False
    order_state: str = ""
    refusal: str = ""
    refusal_advice: str = ""

    @property
    def report(self) -> Report:
        """The answer as it goes to the server, always the same."""
        return Report(job_id=self.job_id, body=self.body)


class ClaimEntry(BaseModel):
    """A claim and the secret that redeems it. `state` is open until its order is installed or cannot be."""

    model_config = ConfigDict(frozen=True)

    claim_id: str
    server: str
    claim: str
    agent_secret: str
    opened_at: datetime
    state: Literal["open", "done", "failed"] = "open"
    scope: CertificateScope = CertificateScope.USER
    """What the link said of itself."""


class Journal:
    """The journal below `state_dir`. `now` tells the time."""

    def __init__(self, state_dir: Path, now: Clock) -> None:
        self._jobs = state_dir / "jobs"
        self._claims = state_dir / "claims"
        self._now = now

    def recover(self) -> None:
        """Makes the directories, removes unfinished files and entries older than KEEP; closes the hopeless claims.
        Raises StoreUnwritable."""
        oldest = self._now() - KEEP
        for directory in (private_directory(self._jobs), private_directory(self._claims)):
            with unwritable(directory):
                for unfinished in directory.glob(f"{TEMPORARY_PREFIX}*"):
                    unfinished.unlink(missing_ok=True)
        for job in self._read_all(self._jobs, JobEntry):
            if job.settled and job.answered_at < oldest:
                self._job_path(job.server, job.job_id).unlink(missing_ok=True)
        for claim in self._read_all(self._claims, ClaimEntry):
            if claim.state != "open" and claim.opened_at < oldest:
                self._claim_path(claim.claim_id).unlink(missing_ok=True)
                self._claim_path(claim.claim_id).with_suffix(".lock").unlink(missing_ok=True)
        for claim in self.hopeless_claims():
            self.close_claim(claim, "failed")

    def answered(self, server: str, job_id: str) -> JobEntry | None:
        """The entry of a job that was answered before. An entry that cannot be read is as good as none: whoever does
        the job again finds the key of before."""
        path = self._job_path(server, job_id)
        return self._read_or_set_aside(path, JobEntry) if path.exists() else None

    def answer(self, server: str, recipient: str, job: DeviceJob, body: ReportBody) -> JobEntry:
        """Remembers the answer to `job`, durable on return. Raises StoreUnwritable."""
        entry = JobEntry(
            job_id=job.job_id,
            order_id=job.order_id,
            server=server,
            recipient=recipient,
            kind=job.payload.kind,
            trace_id=job.trace_id,
            answered_at=self._now(),
            body=body,
        )
        self._save_job(entry)
        return entry

    def settle(self, entry: JobEntry, order_state: str, refusal: str = "", refusal_advice: str = "") -> JobEntry:
        """Remembers that the server needs no further report of `entry`. Raises StoreUnwritable."""
        settled = entry.model_copy(
            update={
                "settled": True,
                "order_state": order_state,
                "refusal": refusal,
                "refusal_advice": refusal_advice,
            }
        )
        self._save_job(settled)
        return settled

    def entries(self, server: str, recipient: str) -> list[JobEntry]:
        """The answered jobs of one recipient, oldest first."""
        found = (
            entry
            for entry in self._read_all(self._jobs, JobEntry)
            if entry.server == server and entry.recipient == recipient
        )
        return sorted(found, key=lambda entry: entry.answered_at)

    def proved(self) -> set[tuple[str, str]]:
        """Servers and orders whose certificate was installed and, as the server agreed, works."""
        return {
            (entry.server, entry.order_id)
            for entry in self._read_all(self._jobs, JobEntry)
            if entry.settled and isinstance(entry.body, Installed) and entry.order_state == INSTALLED
        }

    def open_claim(self, link: EnrollLink) -> ClaimEntry:
        """The entry of the link's claim, made with a fresh secret if there is none. Raises StoreUnwritable."""
        claim_id = _claim_id(link)
        path = self._claim_path(claim_id)
        if path.exists():
            return self._read(path, ClaimEntry)
        entry = ClaimEntry(
            claim_id=claim_id,
            server=link.server,
            claim=link.claim,
            agent_secret=secrets.token_hex(32),
            opened_at=self._now(),
            scope=CertificateScope(link.scope),
        )
        self._save_claim(entry)
        return entry

    def worked_on(self, link: EnrollLink) -> bool:
        """Whether a process works on the link's claim now."""
        if not self._claim_path(_claim_id(link)).exists():
            return False
        with self.holding_claim(_claim_id(link)) as free:
            return not free

    def close_claim(self, entry: ClaimEntry, state: Literal["done", "failed"]) -> None:
        """Remembers how the claim ended. Raises StoreUnwritable."""
        self._save_claim(entry.model_copy(update={"state": state}))

    def useful_seconds(self, entry: ClaimEntry) -> float:
        """For how long from now a server can go on with the claim."""
        return (entry.opened_at + RESUMABLE - self._now()).total_seconds()

    def open_claims(self) -> list[ClaimEntry]:
        """Claims whose order is neither installed nor failed, oldest first."""
        found = (entry for entry in self._read_all(self._claims, ClaimEntry) if entry.state == "open")
        return sorted(found, key=lambda entry: entry.opened_at)

    def hopeless_claims(self) -> list[ClaimEntry]:
        """Open claims that no server can go on with."""
        return [claim for claim in self.open_claims() if self.useful_seconds(claim) <= 0]

    @contextmanager
    def holding_claim(self, claim_id: str) -> Iterator[bool]:
        """Whether this process alone now works on the claim; another one may be at it."""
        with locked(self._claim_path(claim_id).with_suffix(".lock"), patience=0) as lock:
            yield lock is not None

    def _save_job(self, entry: JobEntry) -> None:
        write_file(self._job_path(entry.server, entry.job_id), entry.model_dump_json(indent=2).encode())

    def _save_claim(self, entry: ClaimEntry) -> None:
        write_file(self._claim_path(entry.claim_id), entry.model_dump_json(indent=2).encode())

    def _job_path(self, server: str, job_id: str) -> Path:
        origin = hashlib.sha256(server.encode()).hexdigest()[:8]
        return self._jobs / f"{origin}-{safe_name(job_id)}.json"

    def _claim_path(self, claim_id: str) -> Path:
        return self._claims / f"{safe_name(claim_id)}.json"

    @staticmethod
    def _read(path: Path, kind: type[Entry]) -> Entry:
        with unwritable(path):
            content = path.read_bytes()
        try:
            return kind.model_validate_json(content)
        except ValidationError as error:
            raise JournalDamaged(f"{path} is damaged", "Restore it from a backup, or remove it.") from error

    def _read_all(self, directory: Path, kind: type[Entry]) -> list[Entry]:
        """Every entry that can be read; the others do not stop these."""
        read = (self._read_or_set_aside(path, kind) for path in sorted(directory.glob("*.json")))
        return [entry for entry in read if entry is not None]

    def _read_or_set_aside(self, path: Path, kind: type[Entry]) -> Entry | None:
        """The entry, or None: one that is damaged, or in the words of a newer agent, is kept under another name."""
        try:
            return self._read(path, kind)
        except JournalDamaged:
            with unwritable(path):
                path.replace(path.with_suffix(".damaged"))
            return None


def _claim_id(link: EnrollLink) -> str:
    return hashlib.sha256(f"{link.server}\n{link.claim}".encode()).hexdigest()[:32]

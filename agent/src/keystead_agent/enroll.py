"""Enrolling from a `keystead://` link: redeem its claim, do its jobs, end when its order does."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from keystead_agent.backoff import Stop, noticing
from keystead_agent.errors import (
    AgentError,
    LinkUnusable,
    ServerRefused,
    ServerUnreachable,
)
from keystead_agent.journal import ClaimEntry, JobEntry
from keystead_agent.machine import Machine
from keystead_agent.telling import Tell
from keystead_agent.worker import Tokens, Worker
from keystead_contracts.agent import ClaimRequest, CsrReady, DeviceJob, EnrollLink, Failed, Installed, MachineInfo
from keystead_contracts.attestation import AttestationKey, CredentialChallenge
from keystead_contracts.problems import ProblemCode

ENDED_EARLY = ("cancelled", "failed")
"""States of an order whose certificate is not to be used; the server has the agent remove it."""


@dataclass(frozen=True)
class Enrolled:
    """How an enrollment ended well."""

    server: str
    order_id: str
    location: str
    provider: str
    order_state: str


class EnrollmentFailed(AgentError):
    """The order of the link cannot be finished on this machine."""


class ClaimHeld(AgentError):
    """Another process of the agent works on this link already."""


class Keeper(Protocol):
    """Who has the keys: the machine itself, or a helper process that works for it."""

    def info(self) -> MachineInfo:
        """See `Machine.info`."""

    def attestation(self) -> AttestationKey | None:
        """See `Machine.attestation`."""

    def perform(
        self, server: str, recipient: str, job: DeviceJob, challenge: CredentialChallenge | None = None
    ) -> JobEntry:
        """See `Machine.perform`."""

    def retire(self) -> list[str]:
        """See `Machine.retire`."""


def enroll(
    machine: Machine,
    link: EnrollLink,
    *,
    stop: Stop,
    tell: Tell,
    patience: float,
    keeper: Keeper | None = None,
) -> Enrolled:
    """Opens the link's claim and works until its order is installed. A link that was interrupted goes on where it
    was. Asks the key store first: without one that works the server hears nothing, and the link stays good. `keeper`
    has the keys if not the machine itself. Raises PolicyRefused, KeyStoreError's kinds, LinkUnusable, ClaimHeld,
    EnrollmentFailed; ServerUnreachable if the server was not reached once within `patience` seconds."""
    machine.settings.require_allowed(link.server)
    with noticing(lambda: tell("tpm_slow")):
        machine.require_keys()
    entry = machine.journal.open_claim(link)
    return resume(machine, keeper or machine, entry, stop=stop, tell=tell, patience=patience)


def resume(
    machine: Machine, keeper: Keeper, claim: ClaimEntry, *, stop: Stop, tell: Tell, patience: float | None
) -> Enrolled:
    """Works on a journaled claim until its order ends. Raises like `enroll`; `patience` None tries an unreachable
    server for as long as it can go on with the claim."""
    with machine.journal.holding_claim(claim.claim_id) as held, machine.connect(claim.server) as client:
        if not held:
            raise ClaimHeld(
                "another keystead-agent works on this link already", "Wait for it, or end the other process."
            )
        tokens = Tokens(lambda: client.redeem(_claim_request(keeper, claim)))
        worker = Worker(
            machine.journal,
            keeper.perform,
            client,
            tokens,
            recipient=claim.claim_id,
            discard_key=machine.discard_key,
            retire=keeper.retire,
            stop=stop,
            tell=tell,
            patience=patience,
            useful=machine.journal.useful_seconds(claim),
        )
        try:
            return _until_ended(machine, claim, worker)
        except ServerUnreachable:
            if machine.journal.useful_seconds(claim) <= 0:
                machine.give_up(claim)
            raise
        except ServerRefused as error:
            machine.give_up(claim)
            if error.problem in (ProblemCode.CLAIM_INVALID, ProblemCode.NOT_FOUND, ProblemCode.UNAUTHENTICATED):
                raise LinkUnusable(
                    error.detail, error.advice or "Open the enrollment page again for a new link."
                ) from error
            raise


def _claim_request(keeper: Keeper, claim: ClaimEntry) -> ClaimRequest:
    return ClaimRequest(
        claim=claim.claim, agent_secret=claim.agent_secret, machine=keeper.info(), attestation=keeper.attestation()
    )


def _until_ended(machine: Machine, claim: ClaimEntry, worker: Worker) -> Enrolled:
    with closing(worker.follow()) as stream:
        for job in chain(worker.finish_reports(), stream):
            if not _goes_on(job):
                return _ended(machine, claim, job)
    raise AssertionError("the stream is followed for ever")


def _goes_on(job: JobEntry) -> bool:
    """Whether another job follows: to install, or to remove what was made for an order that had ended meanwhile."""
    if job.refusal:
        return False
    return isinstance(job.body, CsrReady) or (isinstance(job.body, Installed) and job.order_state in ENDED_EARLY)


def _ended(machine: Machine, claim: ClaimEntry, job: JobEntry) -> Enrolled:
    if isinstance(job.body, Installed) and not job.refusal:
        machine.journal.close_claim(claim, "done")
        return Enrolled(
            server=claim.server,
            order_id=job.order_id,
            location=job.body.location,
            provider=job.body.provider,
            order_state=job.order_state,
        )
    machine.give_up(claim)
    match job.body:
        case _ if job.refusal:
            raise EnrollmentFailed(f"the server refused: {job.refusal}", job.refusal_advice)
        case Failed():
            raise EnrollmentFailed(job.body.detail, job.body.advice)
        case _:
            raise EnrollmentFailed("the server withdrew the order", "Open the enrollment page to see why.")

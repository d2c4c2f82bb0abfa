"""Take a bulk job's file in, part by part; the same file with the same options again is the same job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from keystead_contracts.base import CertificateType
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused, NotAllowed, ThingUnknown
from keystead_enroll.domain.bulk_inputs import BulkOptions
from keystead_enroll.domain.bulk_jobs import BulkChunk, BulkFormat, BulkJob, BulkState
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.enrollment_rules import computers_mistake
from keystead_enroll.domain.lists import DEPARTMENTS, ORGANIZATIONS, PROFILES
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Once, Target, note, reach
from keystead_kit.secrets import new_id
from keystead_kit.trace import current_trace_id

UNFINISHED_KEPT = timedelta(hours=1)
"""After which a file of which nothing more came is forgotten."""


@dataclass(frozen=True)
class Received:
    """Which job a file became; `created`: it was not there before."""

    job_id: str
    created: bool


def begin_job(transactions: Transactions, clock: Clock, actor: Actor, wanted: BulkOptions, format: BulkFormat) -> str:
    """A job whose file is to come; its id. Nobody sees it until `finish_job`.

    Raises ThingUnknown, NotAllowed, InputRefused.
    """
    now = clock.now()
    with transactions.write() as tx:
        kind, profile = _place(tx, actor, wanted)
        job = BulkJob(
            id=new_id(),
            name=wanted.name or f"{now:%Y-%m-%d %H:%M}",
            format=format,
            organization_id=wanted.organization_id,
            department_id=wanted.department_id,
            certificate_type=kind,
            profile_id=profile.id if profile else None,
            key_algorithm=wanted.key_algorithm,
            term_days=wanted.term_days,
            owner=wanted.owner,
            lists_tpms=actor.scope.rules_organization(wanted.organization_id),
            created_by=actor.name[:256],
            actor_kind=actor.kind.value,
            actor_id=actor.id,
            created_at=now,
            trace_id=current_trace_id(),
        )
        tx.add(job)
    return job.id


def store_parts(transactions: Transactions, clock: Clock, job_id: str, position: int, parts: Sequence[bytes]) -> None:
    """Stores parts of the file, the first of them at `position`. Raises ThingUnknown if the job was given up."""
    with transactions.write() as tx:
        job = _still_coming(tx, job_id)
        job.state_at = clock.now()
        for number, part in enumerate(parts, position):
            tx.add(BulkChunk(job_id, number, part))
        job.chunks, job.octets = position + len(parts), job.octets + sum(map(len, parts))


def finish_job(
    transactions: Transactions, clock: Clock, actor: Actor, job_id: str, file_sha256: str, once: Once | None = None
) -> Received:
    """The file is there: the job runs. If it came before with the same options, it is the job of then and this one is
    forgotten. Raises KeyReused, ThingUnknown."""
    now = clock.now()
    with transactions.write() as tx:
        job = _still_coming(tx, job_id)
        digest = _digest(job, file_sha256)
        earlier_id = tx.earlier(actor.id, once.key, once.request_digest, job.id, now) if once else None
        earlier = None if earlier_id else tx.bulk_job_with(digest)
        started = {"digest": digest, "started_at": now, "state_at": now}
        if earlier_id is None and earlier is None and not tx.set_first(job, started):
            earlier = tx.bulk_job_with(digest)  # it came twice at this very moment
        if earlier_id or earlier is not None:
            tx.forget_bulk_job(job.id)
            return Received(earlier_id or (earlier.id if earlier else ""), False)
        job.advance(BulkState.RUNNING, now)
        details = {"organization_id": job.organization_id, "octets": job.octets, "format": job.format.value}
        note(tx, actor, now, "bulk_job.create", job_target(job), details)
        tx.ring()
    return Received(job_id, True)


def give_up(transactions: Transactions, job_id: str) -> None:
    """Forgets a job whose file did not come whole; one whose file did stays."""
    with transactions.write() as tx:
        job = tx.bulk_job(job_id)
        if job is not None and job.state is BulkState.RECEIVING:
            tx.forget_bulk_job(job_id)


def job_target(job: BulkJob) -> Target:
    """The job in the audit log."""
    return Target(job.id, job.name, job.organization_id, job.department_id, job.certificate_type)


def _still_coming(tx: Transaction, job_id: str) -> BulkJob:
    job = tx.bulk_job(job_id)
    if job is None or job.state is not BulkState.RECEIVING:
        raise ThingUnknown(Words("bulk job"))
    return job


def _digest(job: BulkJob, file_sha256: str) -> str:
    said = (job.organization_id, job.department_id, job.certificate_type, job.profile_id, job.key_algorithm,
            job.term_days, job.owner, job.format)  # fmt: skip
    return hashlib.sha256(json.dumps([*said, file_sha256]).encode()).hexdigest()


def _place(tx: Transaction, actor: Actor, wanted: BulkOptions) -> tuple[CertificateType, CertificateProfile | None]:
    """The job's certificate type and the profile of rows that name none."""
    organization = reach(tx, ORGANIZATIONS, actor, wanted.organization_id, Words("organization"))
    if wanted.department_id is not None:
        department = reach(tx, DEPARTMENTS, actor, wanted.department_id, Words("department"))
        if department.organization_id != organization.id:
            raise InputRefused({"department_id": Words("{name} has no such department.", name=organization.name)})
    profile = None
    if wanted.profile_id is not None:
        profile = reach(tx, PROFILES, actor, wanted.profile_id, Words("certificate profile"))
    kind = wanted.certificate_type or (profile.certificate_type if profile else CertificateType.DEVICE)
    if not actor.scope.has(organization.id, wanted.department_id, kind):
        raise NotAllowed(
            Words("Your role does not cover {type} certificates there.", type=kind.value),
            Words("An administrator of a department names it: department_id."),
        )
    mistakes = _at_odds(wanted, kind, profile)
    if profile is not None and profile.organization_ids and organization.id not in profile.organization_ids:
        mistakes["profile_id"] = Words("“{name}” is not delegated to {organization}.",
                                       name=profile.name, organization=organization.name)  # fmt: skip
    if wanted.owner is not None and not organization.owns_email(wanted.owner):
        mistakes["owner"] = Words("The address is in no e-mail domain of the organization.")
    if mistakes:
        raise InputRefused(mistakes)
    return kind, profile


def _at_odds(wanted: BulkOptions, kind: CertificateType, profile: CertificateProfile | None) -> dict[str, str]:
    told: dict[str, str] = {}
    if profile is None:
        return told
    if profile.certificate_type is not kind:
        told["certificate_type"] = Words("“{name}” is for {type} certificates.",
                                         name=profile.name, type=profile.certificate_type.value)  # fmt: skip
    elif not profile.active:
        told["profile_id"] = Words("“{name}” is withdrawn.", name=profile.name)
    elif unfit := computers_mistake(profile):
        told["profile_id"] = unfit
    if wanted.key_algorithm is not None and wanted.key_algorithm not in profile.key_algorithms:
        told["key_algorithm"] = Words("“{name}” does not have it.", name=profile.name)
    if wanted.term_days is not None and wanted.term_days not in profile.term_days:
        told["term_days"] = Words("“{name}” does not have it.", name=profile.name)
    return told

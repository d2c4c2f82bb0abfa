"""Read a job's file and check its rows, a batch at a time. Rows, and where reading goes on, are one commit: whoever is
killed leaves no row half done, and none is done twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from keystead_contracts.words import Words
from keystead_enroll.bulk_file import CHUNK_OCTETS, BulkReader, FileRow, Place
from keystead_enroll.csv_text import CsvRefused
from keystead_enroll.domain.administration import NOTHING, Actor, ActorKind
from keystead_enroll.domain.bulk_checks import Book, CheckedRow, check_row, usable
from keystead_enroll.domain.bulk_jobs import BulkJob, BulkState, FreshRow, Mistake, RowState
from keystead_enroll.domain.endorsement_keys import EndorsementKey, Ruling
from keystead_enroll.domain.orders import Device, spellings
from keystead_enroll.domain.requested_names import Mistakes
from keystead_enroll.metrics import count_rows_read
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.ports_bulk import BulkTurn, BulkWork
from keystead_enroll.usecases.admin.common import note
from keystead_enroll.usecases.bulk.receive_file import job_target
from keystead_enroll.usecases.bulk.turns import Turns
from keystead_kit.logs import get_logger
from keystead_kit.secrets import new_id

BATCH = 250
TRIES = 5
"""How often a batch is stored of which another worker stores a row at the same moment."""
_log = get_logger()


def read_rows(transactions: Transactions, clock: Clock, turns: Turns) -> int:
    """One batch of one job; how many rows and ends of files that was. The number of statements does not depend on the
    batch's size. Safe for several workers at once."""
    with transactions.read() as tx:
        waiting = turns.in_order(tx.bulk_turns(BulkWork.READ))
    for turn in waiting:
        done = _read_one(transactions, clock, turn)
        if done:
            turns.served(turn)
            return done
    return 0


def job_actor(job: BulkJob) -> Actor:
    """Who sent the job, for the audit log."""
    return Actor(ActorKind(job.actor_kind), job.actor_id, job.created_by, NOTHING)


def _read_one(transactions: Transactions, clock: Clock, turn: BulkTurn) -> int:
    now = clock.now()
    with transactions.write() as tx:
        job = tx.claim_bulk_job(turn.job_id)
        if job is None or job.state is not BulkState.RUNNING or job.read_at is not None:
            return 0
        place = Place.from_plain(job.reading)
        reader = BulkReader(job.format, lambda position: tx.chunk(job.id, position), place)
        try:
            found = list(reader.rows(BATCH))
        except CsvRefused as refusal:
            job.refuse(refusal.detail, refusal.advice, now)
            tx.drop_chunks(job.id)
            _log.info("bulk file refused", job_id=job.id)
            return 1
        if reader.named:
            job.columns = reader.named
        if found:
            _Batch(tx, job, now, found).store()
        place = reader.place
        job.reading, job.read_octets = place.to_plain(), place.octet
        job.rows += len(found)
        if len(found) < BATCH:
            job.read_at, job.read_octets = now, job.octets
            tx.drop_chunks(job.id)
            if job.tpms_listed:
                note(tx, job_actor(job), now, "bulk_job.list-tpms", job_target(job), {"tpms": job.tpms_listed})
            _log.info("bulk file read", job_id=job.id, rows=job.rows)
        else:
            tx.drop_chunks(job.id, before=place.octet // CHUNK_OCTETS)
        tx.ring()
    return len(found) or 1


@dataclass
class _Judged:
    """A row of the file with what is found wrong with it."""

    came: FileRow
    checked: CheckedRow | None
    mistakes: Mistakes = field(default_factory=Mistakes)

    @property
    def good(self) -> CheckedRow | None:
        return None if self.mistakes.fields else self.checked


class _Batch:
    """Rows of one job that are checked and stored together."""

    def __init__(self, tx: Transaction, job: BulkJob, now: datetime, found: list[FileRow]) -> None:
        self._tx, self._job, self._now = tx, job, now
        book = _book(tx, job, found)
        self._judged = [_judge(book, row) for row in found]
        self._find_machines()
        self._rulings = dict[str, set[Ruling]]()
        self._denied()

    def store(self) -> None:
        """Stores them, and what is known of TPMs from now on."""
        for _ in range(TRIES):
            fresh = [each for each in self._judged if each.good is not None]
            self._refuse_twins(fresh)
            rows = [self._row(each) for each in self._judged]
            known = self._known()
            if self._tx.add_bulk_rows(rows, known):
                self._job.tpms_listed += len(known)
                count_rows_read(accepted=sum(row.state is not RowState.REFUSED for row in rows), of=len(rows))
                return
            self._denied()  # another worker, or somebody at the console, was first
        raise RuntimeError(f"a batch of job {self._job.id} is stored by others again and again")

    # Machines

    def _find_machines(self) -> None:
        """Where the machine of a row is registered, the row need not wait for it."""
        rows = [each.good.row for each in self._judged if each.good is not None]
        place = self._job.organization_id
        eks = {row.ek_sha256 for row in rows if row.ek_sha256}
        ids = {row.named_device_id for row in rows if row.named_device_id}
        names = {said for row in rows if row.by_name for said in spellings(row.device_name)}
        by_ek = {device.ek_sha256: device for device in self._tx.devices_with_tpms(place, eks)} if eks else {}
        by_id = {device.id: device for device in self._tx.devices_with_ids(ids)} if ids else {}
        by_name: dict[str, list[Device]] = {}
        for device in self._tx.devices_called(place, names) if names else ():
            by_name.setdefault(device.name.lower(), []).append(device)
        for each in self._judged:
            if each.good is None:
                continue
            row = each.good.row
            named = by_id.get(row.named_device_id or "")
            called = by_name.get(row.device_name.lower(), []) if row.by_name else []
            if row.named_device_id and (named is None or named.organization_id != place):
                each.mistakes.add("device_id", Words("There is no such device."))
            elif named is not None and row.ek_sha256 and named.ek_sha256 != row.ek_sha256:
                each.mistakes.add("ek_sha256", Words("The device has shown another TPM, or none."))
            elif len(called) > 1:
                told = Words(
                    "{number} devices have this name. Give the TPM, or the id of a device.", number=len(called)
                )
                each.mistakes.add("device_name", told)
            machine = named or by_ek.get(row.ek_sha256) or (called[0] if len(called) == 1 else None)
            if machine is not None:
                row.device_id, row.state = machine.id, RowState.READY

    def _denied(self) -> None:
        eks = {each.good.row.ek_sha256 for each in self._judged if each.good and each.good.row.ek_sha256}
        self._rulings = {}
        for sha256, ruling in self._tx.endorsement_rulings(self._job.organization_id, eks) if eks else ():
            self._rulings.setdefault(sha256, set()).add(ruling)
        for each in self._judged:
            if each.good and Ruling.DENY in self._rulings.get(each.good.row.ek_sha256 or "", ()):
                each.mistakes.add("ek_sha256", Words("This TPM is on the list of those that are refused."))

    def _known(self) -> list[EndorsementKey]:
        """Entries for the TPMs of which nothing is said yet."""
        if not self._job.lists_tpms:
            return []
        known: dict[str, EndorsementKey] = {}
        for each in self._judged:
            sha256 = each.good.row.ek_sha256 if each.good else None
            if each.good is None or sha256 is None or sha256 in known or sha256 in self._rulings:
                continue
            known[sha256] = EndorsementKey(
                id=new_id(),
                organization_id=self._job.organization_id,
                sha256=sha256,
                ruling=Ruling.ALLOW,
                label=each.good.label,
                serial_number=each.good.serial_number,
                created_at=self._now,
                created_by=self._job.created_by,
            )
        return list(known.values())

    # Twins

    def _refuse_twins(self, fresh: list[_Judged]) -> None:
        """Refuses rows that ask for what an earlier row asks for, in this file or in another."""
        keys = {each.good.row.row_key for each in fresh if each.good}
        living = {found.row_key: found for found in self._tx.living_rows([key for key in keys if key])}
        spent = [key for key, found in living.items() if found.spent]
        if spent:
            self._tx.release_row_keys(spent)
        lines: dict[str, int] = {}
        for each in fresh:
            key = each.good.row.row_key if each.good else None
            if key is None:
                continue
            found = living.get(key)
            if found is not None and not found.spent:
                each.mistakes.add("", _twin(self._job, found.job_id, found.job_name, found.line))
            elif key in lines:
                each.mistakes.add("", _twin(self._job, self._job.id, self._job.name, lines[key]))
            else:
                lines[key] = each.came.line

    def _row(self, each: _Judged) -> FreshRow:
        if each.good is not None:
            return each.good.row
        found = each.mistakes.fields.items()
        told = [*each.came.mistakes, *(Mistake("" if name == "form" else name, why) for name, why in found)]
        row = FreshRow(self._job.id, each.came.line, self._job.organization_id, RowState.REFUSED)
        row.cells, row.mistakes = list(each.came.came), [mistake.to_plain() for mistake in told]
        row.device_name = each.checked.row.device_name if each.checked else ""
        return row


def _twin(job: BulkJob, other_id: str, name: str, line: int) -> Words:
    if other_id == job.id:
        return Words("Line {line} asks for the same machine and profile already.", line=line)
    return Words("Line {line} of “{name}” asks for the same machine and profile already.", line=line, name=name)


def _judge(book: Book, row: FileRow) -> _Judged:
    if row.mistakes:
        return _Judged(row, None)
    mistakes = Mistakes()
    return _Judged(row, check_row(book, row.line, row.cells, mistakes), mistakes)


def _book(tx: Transaction, job: BulkJob, found: Iterable[FileRow]) -> Book:
    emails = {address for row in found if (address := (row.cells.get("owner", "") or job.owner or "").lower())}
    persons = tx.persons_with(job.organization_id, emails) if emails else ()
    departments = {each.name: each for each in tx.departments() if each.organization_id == job.organization_id}
    return Book(
        job,
        tx.organization(job.organization_id),
        departments,
        {each.name: each for each in tx.profiles() if usable(each, job)},
        {person.email.lower(): person for person in persons},
    )

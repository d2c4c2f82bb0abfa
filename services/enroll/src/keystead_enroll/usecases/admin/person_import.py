"""Persons from a CSV file: every row is checked, good ones are created or change what is there, bad ones are told.

Safe to send again: what is as the file says stays untouched, a Secret ID that verifies included. Rows are stored in
batches; the slow hashing of Secret IDs happens between transactions. A column that is not in the file, and an empty
Secret ID, leave things as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from keystead_contracts.words import Words
from keystead_enroll.csv_text import CsvRow, read_csv
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.enrollment import Department, Organization
from keystead_enroll.domain.people_inputs import PersonInput
from keystead_enroll.domain.persons import Person
from keystead_enroll.ports import Clock, PasswordHasher, Transaction, Transactions
from keystead_enroll.usecases.admin import persons as one
from keystead_enroll.usecases.admin.checked import checked
from keystead_enroll.usecases.admin.common import note, put
from keystead_kit.secrets import new_id

COLUMNS = ("email", "name", "organization", "department", "upn", "secret_id")
REQUIRED = ("email", "name", "organization")
IGNORED = ("id", "has_secret_id", "created_at", "invited_at")
"""What an export has besides."""
MOST_OCTETS = 5 * 1024 * 1024
BATCH = 200
MOST_MISTAKES = 1000
_FIELDS = {"organization_id": "organization", "department_id": "department"}


@dataclass(frozen=True)
class RowMistake:
    """Why a row was left out: the line it begins on, its column ("" for the row as a whole), what is wrong."""

    line: int
    field: str
    reason: str


@dataclass
class Imported:
    """What was done, or with `dry_run` would be: how many rows each, and the first `MOST_MISTAKES` mistakes."""

    dry_run: bool
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    mistakes: list[RowMistake] = field(default_factory=list)


@dataclass(frozen=True)
class _Good:
    """A row that is well-formed."""

    line: int
    wanted: PersonInput
    given: frozenset[str]
    """The columns that the file has."""


@dataclass(frozen=True)
class _Secret:
    """What a row's Secret ID comes to: the stored hash it was compared with, and a new one if it differs."""

    compared: str | None
    fresh: str | None


class _Import:
    def __init__(
        self, transactions: Transactions, clock: Clock, actor: Actor, passwords: PasswordHasher, dry_run: bool
    ) -> None:
        self.transactions, self.clock, self.actor, self.passwords = transactions, clock, actor, passwords
        self.done = Imported(dry_run)
        with transactions.read() as tx:
            scope = actor.scope
            self.organizations = {o.name: o for o in tx.organizations() if scope.sees_organization(o.id)}
            self.departments = {
                (d.organization_id, d.name): d
                for d in tx.departments()
                if scope.sees_department(d.organization_id, d.id)
            }
        self.seen: dict[tuple[str, str], int] = {}

    def refuse(self, line: int, mistakes: Mapping[str, str]) -> None:
        self.done.refused += 1
        for name, reason in mistakes.items():
            if len(self.done.mistakes) < MOST_MISTAKES:
                self.done.mistakes.append(RowMistake(line, _FIELDS.get(name, name), reason))

    def good(self, row: CsvRow) -> _Good | None:
        """The row, if it is well-formed and of a place and no earlier row's."""
        try:
            if row.mistake:
                raise InputRefused({"": row.mistake})
            wanted = checked(PersonInput, self._values(row))
            first = self.seen.setdefault((wanted.organization_id, wanted.email), row.line)
            if first != row.line:
                raise InputRefused({"email": Words("The same person stands on line {line} already.", line=first)})
        except InputRefused as refusal:
            self.refuse(row.line, {("" if name == "form" else name): why for name, why in refusal.fields.items()})
            return None
        return _Good(row.line, wanted, frozenset(row.cells))

    def _values(self, row: CsvRow) -> dict[str, object]:
        cells = {name: cell.strip() for name, cell in row.cells.items()} | {"secret_id": row.cells.get("secret_id", "")}
        organization = self._organization(cells.get("organization", ""))
        department = self._department(organization, cells.get("department", ""))
        values: dict[str, object] = {
            "organization_id": organization.id,
            "department_id": department.id if department else None,
            "email": cells.get("email", ""),
            "name": cells.get("name", ""),
            "upn": cells.get("upn") or None,
        }
        return values | ({"secret_id": cells["secret_id"]} if cells["secret_id"] else {})

    def _organization(self, name: str) -> Organization:
        if name not in self.organizations:
            raise InputRefused({"organization": one.NO_ORGANIZATION})
        return self.organizations[name]

    def _department(self, organization: Organization, name: str) -> Department | None:
        if name and (organization.id, name) not in self.departments:
            raise InputRefused({"department": one.NO_DEPARTMENT})
        return self.departments[organization.id, name] if name else None

    def batch(self, rows: list[_Good]) -> None:
        """Stores rows, in one transaction."""
        with self.transactions.read() as tx:
            hashes = {key: person.secret_id_hash for key, person in _existing(tx, rows).items()}
        secrets = {row.line: self._secret(row, hashes) for row in rows}
        if self.done.dry_run:
            with self.transactions.read() as tx:
                self._rows(tx, rows, secrets)
        else:
            with self.transactions.write() as tx:
                self._rows(tx, rows, secrets)

    def _secret(self, row: _Good, hashes: Mapping[tuple[str, str], str | None]) -> _Secret | None:
        secret_id = row.wanted.secret_id
        if secret_id is None:
            return None
        stored = hashes.get((row.wanted.organization_id, row.wanted.email))
        if stored is not None and self.passwords.verify(secret_id, stored):
            return _Secret(stored, None)
        return _Secret(stored, "to be hashed" if self.done.dry_run else self.passwords.hash(secret_id))

    def _rows(self, tx: Transaction, rows: list[_Good], secrets: Mapping[int, _Secret | None]) -> None:
        existing = _existing(tx, rows)
        for row in rows:
            person = existing.get((row.wanted.organization_id, row.wanted.email))
            try:
                if person is None:
                    self._create(tx, row, secrets[row.line])
                else:
                    self._change(tx, row, person, secrets[row.line])
            except InputRefused as refusal:
                self.refuse(row.line, refusal.fields)

    def _create(self, tx: Transaction, row: _Good, secret: _Secret | None) -> None:
        one.check_place(tx, self.actor, row.wanted)
        if not self.done.dry_run:
            now = self.clock.now()
            plain = row.wanted.model_dump(exclude={"secret_id"})
            fresh = Person(new_id(), **plain, secret_id_hash=secret.fresh if secret else None, created_at=now)
            if not tx.add_first(fresh):
                raise InputRefused({"email": one.ADDRESS_TAKEN})
            details = plain | {"secret_id": secret is not None, "import": True}
            note(tx, self.actor, now, "person.create", one.target(fresh), details)
            one.publish(tx, fresh)
        self.done.created += 1

    def _change(self, tx: Transaction, row: _Good, person: Person, secret: _Secret | None) -> None:
        if not one.may_manage(self.actor, person.organization_id, person.department_id):
            raise InputRefused({"email": one.ADDRESS_TAKEN})
        if secret is not None and secret.compared != person.secret_id_hash:
            raise InputRefused({"": Words("Somebody else has just changed this person. Send the file again.")})
        wanted = row.wanted.model_dump(exclude={"secret_id"})
        if "department" not in row.given:
            wanted["department_id"] = person.department_id
        if "upn" not in row.given:
            wanted["upn"] = person.upn
        one.check_place(tx, self.actor, PersonInput.model_validate(wanted), person)
        changed = {name: value for name, value in wanted.items() if getattr(person, name) != value}
        fresh = secret.fresh if secret else None
        if not changed and fresh is None:
            self.done.unchanged += 1
            return
        if not self.done.dry_run:
            put(person, changed)
            told = changed | {"import": True}
            if fresh is not None:
                person.secret_id_hash = fresh
                told["secret_id"] = True
            one.settle(tx, self.actor, self.clock.now(), person, told)
        self.done.changed += 1


def import_persons(
    transactions: Transactions,
    clock: Clock,
    actor: Actor,
    content: bytes,
    *,
    passwords: PasswordHasher,
    dry_run: bool = False,
) -> Imported:
    """Brings persons to what the file says. With `dry_run` nothing is changed.

    Raises CsvRefused if the file as a whole cannot be read; then nothing of it is done.
    """
    rows = list(read_csv(content, columns=COLUMNS, required=REQUIRED, ignored=IGNORED))
    work = _Import(transactions, clock, actor, passwords, dry_run)
    good = iter([found for row in rows if (found := work.good(row))])
    while batch := list(islice(good, BATCH)):
        work.batch(batch)
    work.done.mistakes.sort(key=lambda mistake: mistake.line)
    return work.done


def _existing(tx: Transaction, rows: Iterable[_Good]) -> dict[tuple[str, str], Person]:
    emails: dict[str, list[str]] = {}
    for row in rows:
        emails.setdefault(row.wanted.organization_id, []).append(row.wanted.email)
    return {
        (organization_id, person.email): person
        for organization_id, asked in emails.items()
        for person in tx.persons_with(organization_id, asked)
    }

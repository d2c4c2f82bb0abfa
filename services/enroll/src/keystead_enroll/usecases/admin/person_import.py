"""Persons from a CSV file: every row is checked, good ones are created or change what is there, bad ones are told.

Safe to send again: what is as the file says stays untouched, a Secret ID that verifies included. Rows are stored in
batches; the slow hashing of Secret IDs happens between transactions. A column that is not in the file, and an empty
Secret ID, leave things as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from keystead_contracts.words import Words
from keystead_enroll.csv_text import CsvRow
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.enrollment import Department, Organization
from keystead_enroll.domain.people_inputs import PersonInput
from keystead_enroll.domain.persons import Person
from keystead_enroll.ports import Clock, PasswordHasher, Transaction, Transactions
from keystead_enroll.usecases.admin import persons as one
from keystead_enroll.usecases.admin.checked import checked
from keystead_enroll.usecases.admin.common import note, put
from keystead_enroll.usecases.admin.csv_import import CsvImport, FileColumns, Imported
from keystead_kit.secrets import new_id

COLUMNS = FileColumns(
    all=("email", "name", "organization", "department", "upn", "secret_id"),
    required=("email", "name", "organization"),
    ignored=("id", "has_secret_id", "created_at", "invited_at"),
    names={"organization_id": "organization", "department_id": "department"},
)


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


class _Import(CsvImport[_Good]):
    columns = COLUMNS

    def __init__(
        self, transactions: Transactions, clock: Clock, actor: Actor, passwords: PasswordHasher, dry_run: bool
    ) -> None:
        super().__init__(transactions, clock, actor, dry_run)
        self.passwords = passwords
        self.secrets: Mapping[int, _Secret | None] = {}
        with transactions.read() as tx:
            scope = actor.scope
            self.organizations = {o.name: o for o in tx.organizations() if scope.sees_organization(o.id)}
            self.departments = {
                (d.organization_id, d.name): d
                for d in tx.departments()
                if scope.sees_department(d.organization_id, d.id)
            }

    def read(self, row: CsvRow) -> _Good:
        wanted = checked(PersonInput, self._values(row))
        same = (wanted.organization_id, wanted.email)
        self.first(row, same, "email", Words("The same person stands on line {line} already."))
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
        with self.transactions.read() as tx:
            hashes = {key: person.secret_id_hash for key, person in _existing(tx, rows).items()}
        self.secrets = {row.line: self._secret(row, hashes) for row in rows}
        super().batch(rows)

    def _secret(self, row: _Good, hashes: Mapping[tuple[str, str], str | None]) -> _Secret | None:
        secret_id = row.wanted.secret_id
        if secret_id is None:
            return None
        stored = hashes.get((row.wanted.organization_id, row.wanted.email))
        if stored is not None and self.passwords.verify(secret_id, stored):
            return _Secret(stored, None)
        return _Secret(stored, "to be hashed" if self.done.dry_run else self.passwords.hash(secret_id))

    def rows(self, tx: Transaction, rows: Sequence[_Good]) -> None:
        existing = _existing(tx, rows)
        for row in rows:
            person = existing.get((row.wanted.organization_id, row.wanted.email))
            try:
                if person is None:
                    self._create(tx, row, self.secrets[row.line])
                else:
                    self._change(tx, row, person, self.secrets[row.line])
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
    return _Import(transactions, clock, actor, passwords, dry_run).run(content)


def _existing(tx: Transaction, rows: Iterable[_Good]) -> dict[tuple[str, str], Person]:
    emails: dict[str, list[str]] = {}
    for row in rows:
        emails.setdefault(row.wanted.organization_id, []).append(row.wanted.email)
    return {
        (organization_id, person.email): person
        for organization_id, asked in emails.items()
        for person in tx.persons_with(organization_id, asked)
    }

"""Known TPMs from a CSV file; see `csv_import`. A column that is not in the file leaves things as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keystead_contracts.words import Words
from keystead_enroll.csv_text import CsvRow
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.endorsement_inputs import EndorsementKeyInput
from keystead_enroll.domain.endorsement_keys import EndorsementKey
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin import endorsement_keys as one
from keystead_enroll.usecases.admin.checked import checked
from keystead_enroll.usecases.admin.common import note, put
from keystead_enroll.usecases.admin.csv_import import CsvImport, FileColumns, Imported

COLUMNS = FileColumns(
    all=("sha256", "organization", "ruling", "label", "serial_number", "model", "note"),
    required=("sha256", "organization"),
    ignored=("id", "created_at", "created_by"),
    names={"organization_id": "organization"},
)
NO_ORGANIZATION = Words("There is no such organization, or you may not say which TPMs are its own.")


@dataclass(frozen=True)
class _Good:
    """A row that is well-formed."""

    line: int
    wanted: EndorsementKeyInput
    given: frozenset[str]
    """The columns that the file has."""


class _Import(CsvImport[_Good]):
    columns = COLUMNS

    def __init__(self, transactions: Transactions, clock: Clock, actor: Actor, dry_run: bool) -> None:
        super().__init__(transactions, clock, actor, dry_run)
        with transactions.read() as tx:
            self.organizations = {o.name: o.id for o in tx.organizations() if one.may_manage(actor, o.id)}

    def read(self, row: CsvRow) -> _Good:
        cells = {name: cell.strip() for name, cell in row.cells.items()}
        organization = self._organization(cells.pop("organization", ""))
        if ruling := cells.pop("ruling", ""):
            cells["ruling"] = ruling.lower()
        wanted = checked(EndorsementKeyInput, {"sha256": "", **cells, "organization_id": organization})
        told = Words("The same TPM stands on line {line} already.")
        self.first(row, (wanted.organization_id, wanted.sha256), "sha256", told)
        return _Good(row.line, wanted, frozenset(cells))

    def _organization(self, name: str) -> str | None:
        if not name and not one.may_manage(self.actor, None):
            raise InputRefused({"organization": one.MASTERS_SAY})
        if name and name not in self.organizations:
            raise InputRefused({"organization": NO_ORGANIZATION})
        return self.organizations[name] if name else None

    def rows(self, tx: Transaction, rows: Sequence[_Good]) -> None:
        found = tx.endorsement_keys_with({row.wanted.sha256 for row in rows})
        existing = {(entry.organization_id, entry.sha256): entry for entry in found}
        for row in rows:
            entry = existing.get((row.wanted.organization_id, row.wanted.sha256))
            try:
                self._create(tx, row) if entry is None else self._change(tx, row, entry)
            except InputRefused as refusal:
                self.refuse(row.line, refusal.fields)

    def _create(self, tx: Transaction, row: _Good) -> None:
        if not self.done.dry_run:
            now, fresh = self.clock.now(), one.new_entry(self.actor, row.wanted)
            fresh.created_at = now
            if not tx.add_first(fresh):
                raise InputRefused({"sha256": one.KNOWN})
            details = row.wanted.model_dump() | {"import": True}
            note(tx, self.actor, now, "endorsement_key.create", one.target(fresh), details)
        self.done.created += 1

    def _change(self, tx: Transaction, row: _Good, entry: EndorsementKey) -> None:
        wanted = {name: value for name, value in row.wanted.model_dump().items() if name in row.given}
        changed = {name: value for name, value in wanted.items() if getattr(entry, name) != value}
        if not changed:
            self.done.unchanged += 1
            return
        if not self.done.dry_run:
            put(entry, changed)
            details = changed | {"import": True}
            note(tx, self.actor, self.clock.now(), "endorsement_key.change", one.target(entry), details)
        self.done.changed += 1


def import_endorsement_keys(
    transactions: Transactions, clock: Clock, actor: Actor, content: bytes, *, dry_run: bool = False
) -> Imported:
    """Brings the known TPMs to what the file says. With `dry_run` nothing is changed.

    Raises CsvRefused if the file as a whole cannot be read; then nothing of it is done.
    """
    return _Import(transactions, clock, actor, dry_run).run(content)

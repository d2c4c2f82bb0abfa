"""Things from a CSV file: every row is checked, good ones are stored in batches, bad ones are told.

Safe to send again: what is as the file says stays untouched.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar, Generic, TypeVar

from keystead_contracts.words import Words
from keystead_enroll.csv_text import CsvRow, read_csv
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.ports import Clock, Transaction, Transactions

MOST_OCTETS = 5 * 1024 * 1024
BATCH = 200
MOST_MISTAKES = 1000

G = TypeVar("G")


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
class FileColumns:
    """The columns of a file: those that may be there, those that must, and those that an export has besides."""

    all: Sequence[str]
    required: Sequence[str]
    ignored: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    """Field of the input → its column, where that has another name."""


class CsvImport(ABC, Generic[G]):
    """One import of one kind of thing. `G` is a row that is well-formed."""

    columns: ClassVar[FileColumns]

    def __init__(self, transactions: Transactions, clock: Clock, actor: Actor, dry_run: bool) -> None:
        self.transactions, self.clock, self.actor = transactions, clock, actor
        self.done = Imported(dry_run)
        self._seen: dict[object, int] = {}

    @abstractmethod
    def read(self, row: CsvRow) -> G:
        """The row, if it is well-formed and of a place. Raises InputRefused."""

    @abstractmethod
    def rows(self, tx: Transaction, rows: Sequence[G]) -> None:
        """Stores rows, or with `dry_run` only counts them; refuses those that cannot be."""

    def batch(self, rows: list[G]) -> None:
        """Stores rows, in one transaction."""
        with self.transactions.read() if self.done.dry_run else self.transactions.write() as tx:
            self.rows(tx, rows)

    def refuse(self, line: int, mistakes: Mapping[str, str]) -> None:
        """Tells why a row is left out."""
        self.done.refused += 1
        for name, reason in mistakes.items():
            if len(self.done.mistakes) < MOST_MISTAKES:
                self.done.mistakes.append(RowMistake(line, self.columns.names.get(name, name), reason))

    def first(self, row: CsvRow, key: object, column: str, told: str) -> None:
        """Raises InputRefused if an earlier row was about the same thing; `told` says so with its `{line}`."""
        first = self._seen.setdefault(key, row.line)
        if first != row.line:
            raise InputRefused({column: Words(told, line=first)})

    def run(self, content: bytes) -> Imported:
        """Brings things to what the file says. Raises CsvRefused if the file as a whole cannot be read; then nothing of
        it is done."""
        columns = self.columns
        rows = list(read_csv(content, columns=columns.all, required=columns.required, ignored=columns.ignored))
        good = iter([found for row in rows if (found := self._good(row)) is not None])
        while batch := list(islice(good, BATCH)):
            self.batch(batch)
        self.done.mistakes.sort(key=lambda mistake: mistake.line)
        return self.done

    def _good(self, row: CsvRow) -> G | None:
        try:
            if row.mistake:
                raise InputRefused({"": row.mistake})
            return self.read(row)
        except InputRefused as refusal:
            self.refuse(row.line, {("" if name == "form" else name): why for name, why in refusal.fields.items()})
            return None

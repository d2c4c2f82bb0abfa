"""What is known and done while a set-up file is applied."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from pydantic import BaseModel

from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.declaration import FormDeclaration, ProfileDeclaration
from keystead_enroll.domain.refusals import Mistake
from keystead_enroll.ports import Secrets, Transaction

_PLAIN_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "organization_id": "organization",
        "department_id": "department",
        "profile_ids": "profiles",
        "access_code_digest": "access_code",
        "digest": "token",
        "organization_ids": "organizations",
    }
)
"""As a set-up file names what is stored otherwise."""


class Change(StrEnum):
    """What was done to a thing."""

    CREATED = "created"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Done:
    """One thing of the set-up, such as `profile “Staff”`, and what was done to it. `fields` were changed."""

    change: Change
    thing: str
    fields: tuple[str, ...] = ()


@dataclass
class Applied:
    """What was done, and form name → URI extension of the declared forms."""

    forms: dict[str, str] = field(default_factory=dict)
    done: list[Done] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many things were created, changed, withdrawn or left as they were."""
        return {change.value: sum(done.change is change for done in self.done) for change in Change}


class Work:
    """A set-up that is being applied in `tx`: what is there already, what was done, what is wrong with the file.

    `left_out` are (kind, name) of what the file declares and cannot be used for its mistakes.
    """

    def __init__(
        self, tx: Transaction, secrets: Secrets, left_out: Collection[tuple[str, str]], now: datetime, actor: Actor
    ) -> None:
        self.tx, self.secrets, self.left_out, self.now, self.actor = tx, secrets, left_out, now, actor
        self.applied = Applied()
        self.mistakes: list[Mistake] = []
        self.organizations = {o.name: o for o in tx.organizations()}
        self.profiles = {p.name: p for p in tx.profiles()}
        self.departments = {(d.organization_id, d.name): d for d in tx.departments()}
        self.codes: set[str] = set()
        self.homes: set[str] = set()

    def put(self, thing: str, existing: object | None, fresh: object, names: tuple[str, ...]) -> tuple[str, ...]:
        """Stores `fresh`, or copies its attributes `names` onto `existing` where they differ; answers which did."""
        if existing is None:
            self.tx.add(fresh)
            self.tell(Change.CREATED, thing)
            return ()
        changed = differing(existing, fresh, names)
        for name in changed:
            setattr(existing, name, getattr(fresh, name))
        self.tell(Change.CHANGED if changed else Change.UNCHANGED, thing, changed)
        return changed

    def tell(self, change: Change, thing: str, fields: tuple[str, ...] = ()) -> None:
        """Notes what was done."""
        self.applied.done.append(Done(change, thing, tuple(plain_field(name) for name in fields)))

    def mistake(self, line: int | None, text: str) -> None:
        """Notes what is wrong: then nothing of the file is applied."""
        self.mistakes.append(Mistake(line, text))

    def lacks(self, line: int | None, where: str, kind: str, name: str) -> None:
        """Notes that something is not there, unless it is declared and its own mistakes are told."""
        if (kind, name) not in self.left_out:
            self.mistake(line, f"{where}: there is no {kind} “{name}”")

    def delegated(self, where: str, wanted: ProfileDeclaration | FormDeclaration) -> list[str]:
        """The ids of the organizations that a profile or form is delegated to."""
        for number, name in enumerate(wanted.organizations):
            if name not in self.organizations:
                self.lacks(wanted.line("organizations", number), where, "organization", name)
        return [self.organizations[name].id for name in wanted.organizations if name in self.organizations]


def plain_field(name: str) -> str:
    """As a set-up file names the stored attribute `name`."""
    return _PLAIN_FIELDS.get(name, name)


def differing(existing: object, fresh: object, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the attributes `names` that differ."""
    return tuple(name for name in names if getattr(existing, name) != getattr(fresh, name))


def mentioned(wanted: BaseModel, *names: str) -> tuple[str, ...]:
    """Those of `names` that the file gives; the others stay as they are."""
    return tuple(name for name in names if name in wanted.model_fields_set)

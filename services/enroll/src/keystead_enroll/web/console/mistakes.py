"""What is wrong with a form that was sent, in the words of its page: what is chosen there was not typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.ports import Transaction, Transactions
from keystead_enroll.web.input_errors import mistakes_of

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")
MOST_ROUNDS = 12
_CHECKS, _RADIOS = Words("Choose at least one."), Words("Choose one of these.")
_WORDS: Mapping[tuple[str, str], str] = {
    ("access_code", "string_pattern_mismatch"): Words("Use letters and digits only, at most 255 of them."),
    ("authorization", "enum"): _RADIOS,
    ("certificate_type", "enum"): _RADIOS,
    ("csr_method", "enum"): _RADIOS,
    ("key_algorithms", "too_short"): _CHECKS,
    ("methods", "too_short"): _CHECKS,
    ("profile_ids", "too_short"): _CHECKS,
    ("reason", "enum"): Words("Choose a reason."),
}


class Wrong:
    """In place of a value that cannot be made of what was typed: question of the page → what is wrong there."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = dict(fields)


class _Over(Exception):
    """The end of a rehearsal."""


class Rehearsal:
    """Transactions of which nothing stays."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that changes nothing."""
        return self._transactions.read()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that is undone at its end."""
        try:
            with self._transactions.write() as tx:
                yield tx
                raise _Over
        except _Over:
            pass


def done_or_told(
    given: type[M],
    values: Mapping[str, Any],
    do: Callable[[M], R],
    rehearse: Callable[[M], object],
    *,
    sound: Mapping[str, Any],
    beside: Mapping[str, str],
) -> R:
    """Does what was asked with `values` as an input. Raises InputRefused with every mistake at once: of a field that is
    wrong the `sound` value stands in, and the rest is looked at again, by `rehearse` as `do` would; `beside` is where
    on the page a field's mistakes stand. A field without a sound value ends the search."""
    wrong = {name: value.fields for name, value in values.items() if isinstance(value, Wrong)}
    told = {name: why for fields in wrong.values() for name, why in fields.items()}
    seen = set(wrong)
    looked_at = {name: value for name, value in values.items() if name not in wrong}
    looked_at |= {name: sound[name] for name in wrong if name in sound}
    for _ in range(MOST_ROUNDS):
        try:
            wanted = checked(given, looked_at)
            if not seen:
                return do(wanted)
            rehearse(wanted)
            break
        except InputRefused as refusal:
            fresh = {name: why for name, why in refusal.fields.items() if name not in seen}
        except Refusal:
            if not seen:
                raise
            break
        told |= {beside.get(name, name): why for name, why in fresh.items() if beside.get(name, name) not in told}
        if not fresh:
            break
        seen |= set(fresh)
        if not seen <= sound.keys():
            break
        looked_at |= {name: sound[name] for name in fresh}
    raise InputRefused(told)


def checked(model: type[M], values: Mapping[str, Any]) -> M:
    """`values` as an input. Raises InputRefused with a sentence for each field that is wrong."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise InputRefused(mistakes_of(error) | _told(error)) from error


def _told(error: ValidationError) -> dict[str, str]:
    kinds = ((str(mistake["loc"][0]), mistake["type"]) for mistake in error.errors() if len(mistake["loc"]) == 1)
    return {kind[0]: _WORDS[kind] for kind in kinds if kind in _WORDS}

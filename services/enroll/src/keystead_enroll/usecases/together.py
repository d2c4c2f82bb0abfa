"""Do the same for several who ask at once, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from keystead_enroll.ports import Transaction, TransactionsTogether, TransactionTogether
from keystead_kit.trace import tracing


class Asked(Protocol):
    """What somebody asks, as part of a trace."""

    @property
    def trace_id(self) -> str: ...


Q = TypeVar("Q", bound=Asked)
A = TypeVar("A")
S = TypeVar("S")


def together(
    transactions: TransactionsTogether,
    asked: Sequence[Q | Exception],
    foresee: Callable[[TransactionTogether, Sequence[Q]], None],
    answer: Callable[[Transaction, Q], A],
) -> list[A | Exception]:
    """What `answer` says to each of `asked`, or what it raises; to what was refused already, that.

    All are answered in one transaction, for which `foresee` reads at once what they are about. If anything is refused
    or goes wrong there, nothing of it has happened, and each is answered in a transaction of its own: to be asked
    together changes no answer.
    """
    good = [each for each in asked if not isinstance(each, Exception)]
    answers = iter(_answers(transactions, good, foresee, answer))
    return [each if isinstance(each, Exception) else next(answers) for each in asked]


def _answers(
    transactions: TransactionsTogether,
    asked: Sequence[Q],
    foresee: Callable[[TransactionTogether, Sequence[Q]], None],
    answer: Callable[[Transaction, Q], A],
) -> list[A | Exception]:
    if len(asked) > 1:
        try:
            with transactions.write_together() as tx:
                foresee(tx, asked)
                return [_traced(tx, each, answer) for each in asked]
        except Exception as error:
            if transactions.away(error):
                return [error] * len(asked)
    answers: list[A | Exception] = []
    for each in asked:
        try:
            with transactions.write() as tx:
                said = _traced(tx, each, answer)
            answers.append(said)
        except Exception as error:
            answers.append(error)
            if transactions.away(error):
                return answers + [error] * (len(asked) - len(answers))
    return answers


def attempt(function: Callable[[S], A], about: S) -> A | Exception:
    """What `function` answers, or what it raises."""
    try:
        return function(about)
    except Exception as error:
        return error


def _traced(tx: Transaction, asked: Q, answer: Callable[[Transaction, Q], A]) -> A:
    with tracing(asked.trace_id):
        return answer(tx, asked)

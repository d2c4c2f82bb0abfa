from collections.abc import Iterator

import pytest

from keystead_contracts.problems import ProblemCode
from keystead_contracts.refusals import Refusal
from keystead_enroll.domain.errors import KeyTooWeak


def _leaves(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _leaves(child)


@pytest.mark.parametrize("kind", list(_leaves(Refusal)), ids=lambda kind: kind.__name__)
def test_every_refusal_has_a_problem_code_that_the_wire_knows(kind: type[Refusal]) -> None:
    assert kind.code in list(ProblemCode)
    assert kind.__doc__


def test_a_refusal_carries_its_own_advice_or_its_kind_s() -> None:
    assert KeyTooWeak("weak").advice == KeyTooWeak.default_advice
    assert KeyTooWeak("weak", "do this").advice == "do this"
    assert str(KeyTooWeak("weak")) == "weak"

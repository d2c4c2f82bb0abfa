"""What many agents send at the same time, taken together: see `keystead_kit.gather`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from anyio import CapacityLimiter

from keystead_contracts.agent import AgentToken, RegistrationReply, ReportReceipt
from keystead_contracts.attestation import AttestationResult
from keystead_enroll.bootstrap import Enroll
from keystead_enroll.domain.errors import ChallengeRefused
from keystead_enroll.domain.refusals import AssertionInvalid, ClaimInvalid, RegistrationRefused, TooManyAttempts
from keystead_enroll.usecases.answer_challenges import Answering, answer_challenges
from keystead_enroll.usecases.exchange_assertions import SigningIn, exchange_assertions
from keystead_enroll.usecases.register_devices import Registering, register_devices
from keystead_enroll.usecases.take_reports import Reporting, take_reports
from keystead_kit.gather import Gatherer

WRONG = (ClaimInvalid, RegistrationRefused, AssertionInvalid, ChallengeRefused)
"""What counts against an address. What is right counts nothing: a school behind one address enrolls at once."""

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True)
class From(Generic[Q]):
    """What came, and the network that it came from."""

    network: str
    asked: Q


class AgentDesk:
    """Registrations, answers to challenges, assertions and reports."""

    def __init__(self, enroll: Enroll, threads: CapacityLimiter) -> None:
        parts, origin = (enroll.transactions, enroll.clock), enroll.settings.public_origin
        roots, same_machine = enroll.ek_roots, enroll.settings.same_machine

        def gathered(kind: str, answer: Callable[[Sequence[Q]], Sequence[A | Exception]]) -> Gatherer[From[Q], A]:
            return Gatherer(kind, partial(_counting_failures, enroll, kind, answer), threads)

        self.registrations: Gatherer[From[Registering], RegistrationReply] = gathered(
            "register", partial(register_devices, *parts, enroll.secrets, roots, origin)
        )
        self.answers: Gatherer[From[Answering], AttestationResult] = gathered(
            "attestation", partial(answer_challenges, *parts, roots, same_machine, origin)
        )
        self.assertions: Gatherer[From[SigningIn], AgentToken] = gathered(
            "assertion", partial(exchange_assertions, *parts, enroll.secrets, origin)
        )
        self.reports: Gatherer[Reporting, ReportReceipt] = Gatherer(
            "report", partial(take_reports, *parts, roots, origin), threads
        )


def _counting_failures(
    enroll: Enroll, kind: str, answer: Callable[[Sequence[Q]], Sequence[A | Exception]], coming: Sequence[From[Q]]
) -> list[A | Exception]:
    """What `answer` says; a network that was wrong too often is refused."""
    limit = enroll.settings.claim_limit_address
    waits = {network: enroll.limits.check(limit, kind, network) for network in {each.network for each in coming}}
    answers = iter(answer([each.asked for each in coming if waits[each.network] is None]))
    said: list[A | Exception] = []
    for each in coming:
        wait = waits[each.network]
        said.append(next(answers) if wait is None else too_many(wait))
        if isinstance(said[-1], WRONG):
            enroll.limits.hit(limit, kind, each.network)
    return said


def too_many(retry_after: int) -> TooManyAttempts:
    """The refusal of a network that was wrong too often."""
    return TooManyAttempts("Too many wrong links, tokens or signatures came from this address.", retry_after)

"""Request certificates for programs that bring their own requests (CSR): many at once, each judged by itself.

What is asked for at the same moment is one transaction, because a commit costs the same for one as for fifty. Whoever
asks is judged by their API token as everywhere else, and what they ask for as a person's own request at a form.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TypeVar

from keystead_contracts.base import AssuranceLevel, CertificateType
from keystead_contracts.delegation import email_is_delegated
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor, Scope
from keystead_enroll.domain.administration_refusals import InputRefused, NotAllowed, ThingUnknown
from keystead_enroll.domain.enrollment import CertificateProfile, CsrGenerationMethod, Department, Organization
from keystead_enroll.domain.issue_inputs import CertificateRequestInput
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.orders import Channel, Order, OrderState
from keystead_enroll.domain.provided_csr import KEY_IN_USE, evidence_of_provided_key, judge_provided_csr
from keystead_enroll.domain.requested_names import AskedNames, Mistakes, requested_names
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Once, Target, audit_line
from keystead_enroll.usecases.admin.tokens import tokens_shown
from keystead_kit.logs import get_logger
from keystead_kit.trace import tracing

Key = TypeVar("Key")
Value = TypeVar("Value")
_log = get_logger()


@dataclass(frozen=True)
class Asked:
    """One request of a program: the API token and the address it came with, what is wanted, the id that its order will
    have, and the trace that it belongs to."""

    secret: str
    address: str
    wanted: CertificateRequestInput
    once: Once | None
    order_id: str
    trace_id: str


@dataclass(frozen=True)
class _Judged:
    place: int
    asked: Asked
    actor: Actor
    order: Order
    name: str


def request_certificates(transactions: Transactions, clock: Clock, asked: Sequence[Asked]) -> list[str | Exception]:
    """For each, in their order: the id of its order, which the worker issues, or why there is none. An order that an
    earlier request with the same Idempotency-Key made is answered again.

    Refusals: TokenRefused, ThingUnknown, NotAllowed, InputRefused with every mistake by field, KeyReused.
    """
    now = clock.now()
    answers: list[str | Exception] = [LookupError("not judged")] * len(asked)
    judged: list[_Judged] = []
    with transactions.read() as tx:
        book, tokens = _Book(tx), tokens_shown(tx, {each.secret for each in asked}, now)
        actors = [tokens.actor(each.secret, each.address) for each in asked]
        for place, (each, actor) in enumerate(zip(asked, actors, strict=True)):
            if isinstance(actor, Refusal):
                answers[place] = actor
                continue
            try:
                with tracing(each.trace_id):
                    judged.append(_judge(place, each, actor, book, now))
            except Refusal as refusal:
                answers[place] = refusal
    tokens.note_use(transactions, now)
    judged.sort(key=lambda one: one.order.spki_sha256 or "")  # two transactions take the same keys in the same order
    for one, answer in _stored(transactions, judged, now):
        answers[one.place] = answer
    return answers


class _Book:
    """What the requests refer to, each read once."""

    def __init__(self, tx: Transaction) -> None:
        self.organization: Callable[[str], Organization | None] = cache(lambda key: tx.get(Organization, key))
        self.department: Callable[[str], Department | None] = cache(lambda key: tx.get(Department, key))
        self.profile = cache(tx.profile)


def _judge(place: int, asked: Asked, actor: Actor, book: _Book, now: datetime) -> _Judged:
    wanted, mistakes = asked.wanted, Mistakes()
    organization, department, profile = _place(wanted, actor.scope, book)
    owner = _owner(wanted, profile, organization, department, mistakes)
    term = wanted.term_days or profile.term_days[0]
    if term not in profile.term_days:
        mistakes.add("term_days", Words("“{name}” does not have it.", name=profile.name))
    facts = {
        "organization": organization.name, "department": department.name if department else "", "email": owner,
        "name": wanted.owner_name, "upn": owner,
    }  # fmt: skip
    names_asked = AskedNames(" ".join(wanted.dns_names), wanted.device_name, wanted.serial_number)
    domains = (department.dns_domains if department else []) or organization.dns_domains
    names = requested_names(profile, facts, domains, names_asked, mistakes)
    csr, wrong = judge_provided_csr(profile, names, wanted.csr)
    if wrong:
        mistakes.add("csr", wrong)
    if mistakes.fields or names is None or csr is None:
        raise InputRefused(mistakes.fields)
    order = Order(
        id=asked.order_id,
        form_id=None,
        account_id=None,
        organization_id=organization.id,
        department_id=department.id if department else None,
        profile_id=profile.id,
        certificate_type=profile.certificate_type,
        person_email=owner,
        person_name=wanted.owner_name or None,
        key_algorithm=csr.key_algorithm,
        term_days=term,
        names=names.to_plain(),
        recipient="",
        trace_id=asked.trace_id,
        created_at=now,
        licence_version=None,
        csr_pem=wanted.csr.strip(),
        spki_sha256=csr.spki_sha256,
        evidence=evidence_of_provided_key(),
        assurance=AssuranceLevel.SOFTWARE,
        csr_method=CsrGenerationMethod.PROVIDED,
        channel=Channel.API,
        requested_by=actor.name[:256],
    )
    order.advance(OrderState.CSR_ACCEPTED, now)
    return _Judged(place, asked, actor, order, _shown(names, actor))


def _shown(names: CertificateNames, actor: Actor) -> str:
    return f"{names.display_name}, {actor.name}"


def _place(
    wanted: CertificateRequestInput, scope: Scope, book: _Book
) -> tuple[Organization, Department | None, CertificateProfile]:
    """Where the certificate belongs. What is not in the asker's scope is as if it were not there."""
    organization = book.organization(wanted.organization_id)
    if organization is None or not scope.sees_organization(organization.id):
        raise ThingUnknown(Words("organization"))
    department = book.department(wanted.department_id) if wanted.department_id is not None else None
    if wanted.department_id is not None and (
        department is None or not scope.sees_department(department.organization_id, department.id)
    ):
        raise ThingUnknown(Words("department"))
    if department is not None and department.organization_id != organization.id:
        raise InputRefused({"department_id": Words("{name} has no such department.", name=organization.name)})
    profile = book.profile(wanted.profile_id)
    if profile is None or not _in_sight(profile, scope):
        raise ThingUnknown(Words("certificate profile"))
    if not scope.has(organization.id, wanted.department_id, profile.certificate_type):
        raise NotAllowed(
            Words("Your role does not cover {type} certificates there.", type=profile.certificate_type.value),
            Words("An administrator of a department names it: department_id."),
        )
    if profile.organization_ids and organization.id not in profile.organization_ids:
        told = Words("“{name}” is not delegated to {organization}.", name=profile.name, organization=organization.name)
        raise InputRefused({"profile_id": told})
    if not profile.active:
        raise InputRefused({"profile_id": Words("“{name}” is withdrawn.", name=profile.name)})
    return organization, department, profile


def _in_sight(profile: CertificateProfile, scope: Scope) -> bool:
    """As the list of profiles has it: delegated to all, or to an organization in which there is a role for its type."""
    return scope.everything or any(
        profile.certificate_type in grant.certificate_types
        and (not profile.organization_ids or grant.organization_id in profile.organization_ids)
        for grant in scope.grants
    )


def _owner(
    wanted: CertificateRequestInput,
    profile: CertificateProfile,
    organization: Organization,
    department: Department | None,
    mistakes: Mistakes,
) -> str:
    if wanted.owner is None:
        if profile.certificate_type is CertificateType.CLIENT:
            mistakes.add("owner", Words("Whose certificate is it? Give an e-mail address."))
        return ""
    narrower = department.email_domains if department else []
    if not organization.owns_email(wanted.owner) or (narrower and not email_is_delegated(wanted.owner, narrower)):
        mistakes.add("owner", Words("The address is in no e-mail domain of the organization."))
    return wanted.owner


def _stored(
    transactions: Transactions, judged: Sequence[_Judged], now: datetime
) -> list[tuple[_Judged, str | Exception]]:
    """Stores all in one transaction; if that fails, each in one of its own: nobody's request ends with another's."""
    if not judged:
        return []
    try:
        with transactions.write() as tx:
            return _store(tx, judged, now)
    except Exception:
        if len(judged) > 1:
            _log.exception("requests were not stored together, they are tried apart")
            return [answer for one in judged for answer in _stored(transactions, [one], now)]
        raise


def _store(tx: Transaction, judged: Sequence[_Judged], now: datetime) -> list[tuple[_Judged, str | Exception]]:
    answers: list[tuple[_Judged, str | Exception]] = []
    fresh = []
    for one in judged:
        if one.asked.once is None:
            fresh.append(one)
            continue
        try:
            with tx.savepoint():
                answers.append((one, _once(tx, one, one.asked.once, now)))
        except Refusal as refusal:
            answers.append((one, refusal))
    new = _added(tx, fresh, now)
    answers += [(one, one.order.id if one.order.id in new else _key_in_use()) for one in fresh]
    if any(isinstance(answer, str) for _, answer in answers):
        tx.ring()
    return answers


def _once(tx: Transaction, one: _Judged, once: Once, now: datetime) -> str:
    """The order that the key stands for. Raises KeyReused, InputRefused."""
    earlier = tx.earlier(one.actor.id, once.key, once.request_digest, one.order.id, now)
    if earlier is None and not _added(tx, [one], now):
        raise _key_in_use()
    return earlier or one.order.id


def _added(tx: Transaction, judged: Sequence[_Judged], now: datetime) -> Collection[str]:
    """Stores the orders whose keys no order has, their logs and their lines in the audit log; the ids of those."""
    if not judged:
        return ()
    new = tx.add_orders([one.order for one in judged])
    lines = []
    for one in judged:
        order = one.order
        if order.id in new:
            place = (order.organization_id, order.department_id, order.certificate_type)
            with tracing(order.trace_id):
                lines.append(audit_line(one.actor, now, "request.submit", Target(order.id, one.name, *place)))
    tx.add_many(lines)
    return new


def _key_in_use() -> InputRefused:
    return InputRefused({"csr": KEY_IN_USE})

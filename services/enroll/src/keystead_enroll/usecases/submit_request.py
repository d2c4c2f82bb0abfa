"""Submit a request for a certificate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from keystead_contracts.base import AssuranceLevel, CertificateScope, KeyAlgorithm
from keystead_contracts.words import Words
from keystead_enroll.domain.csr import CheckedCsr
from keystead_enroll.domain.enrollment import CertificateProfile, CsrGenerationMethod, Organization, WebFormAccount
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.orders import Device, Order, OrderState
from keystead_enroll.domain.provided_csr import KEY_IN_USE, evidence_of_provided_key, judge_provided_csr
from keystead_enroll.domain.refusals import RequestRefused, SessionExpired, TooManyOpenOrders
from keystead_enroll.domain.requested_names import AskedNames, Mistakes, requested_names
from keystead_enroll.ports import Clock, Secrets, Transaction, Transactions
from keystead_enroll.usecases.admin.common import note, person_actor
from keystead_enroll.usecases.end_order import order_target
from keystead_enroll.usecases.links import add_link, proceed
from keystead_enroll.usecases.own_certificates import in_place_of, superseded_by
from keystead_enroll.usecases.visit import Visit, find_visit
from keystead_kit.secrets import new_id, token_digest
from keystead_kit.trace import current_trace_id

BY_LINK = "link"
_SAID = {"given_name": "givenname", "surname": "sn", "uid": "uid"}
"""A template's variable → what an identity provider calls it."""


@dataclass(frozen=True)
class RequestAnswers:
    """What the person filled in, as typed."""

    profile: str
    key_algorithm: str
    term_days: str
    target: str = BY_LINK
    licence_version: str = ""
    licence_accepted: bool = False
    dns_names: str = ""
    device_name: str = ""
    serial_number: str = ""
    csr: str = ""
    """The person's own request, where the account takes one; PEM."""
    renew: str = ""
    """The id of the certificate that this is to renew, "" if none."""


def submit_request(
    transactions: Transactions,
    clock: Clock,
    secrets: Secrets,
    *,
    uri_extension: str,
    token: str | None,
    answers: RequestAnswers,
    page_key: str = "",
    language: str = "",
    most_open: int,
    address: str = "",
) -> str:
    """Stores the order, with its link or for the chosen device, and answers the order's id.

    The answers are judged before anything is locked. The same answers from the same page (`page_key`, "" if it has
    none) are one order, however often they are sent. Raises RequestRefused with every mistake by field,
    SessionExpired, NoAccount, CertificateUnknown, TooManyOpenOrders if the person has `most_open` with this account.
    """
    now = clock.now()
    with transactions.read() as tx:
        order, csr = _order(tx, find_visit(tx, clock, uri_extension, token), answers, now)
    order.request_digest, order.language = _request_digest(order, page_key, answers), language
    with transactions.write() as tx:
        account = _open_visit(find_visit(tx, clock, uri_extension, token, lock=True))[0]
        if account.id != order.account_id:
            raise SessionExpired(Words("Another account was chosen meanwhile."))
        earlier = tx.order_of_request(order.request_digest) if order.request_digest else None
        if earlier is not None:
            return earlier.id
        if tx.open_orders(account.id, order.person_email) >= most_open:
            raise TooManyOpenOrders(
                Words("You have {most_open} requests under way, which is as many as one may have.", most_open=most_open)
            )
        if not tx.add_first(order):
            earlier = tx.order_of_request(order.request_digest or "")
            if earlier is None:
                raise LookupError(f"order {order.id} could not be stored")
            return earlier.id
        actor = person_actor(order.person_email, address)
        note(tx, actor, now, "request.submit", order_target(order), in_place_of(tx, order))
        if csr is not None:
            if not tx.give_key(order, csr.spki_sha256):
                raise RequestRefused({"csr": KEY_IN_USE})
        elif not order.recipient:
            add_link(tx, secrets, order, now)
        if account.automatic_approval:
            proceed(tx, order, now)
        else:
            order.advance(OrderState.AWAITING_APPROVAL, now)
    return order.id


def _open_visit(visit: Visit) -> tuple[WebFormAccount, Organization]:
    if visit.account is None or visit.organization is None or visit.locked:
        raise SessionExpired(Words("Choose an account and give its access code first."))
    return visit.account, visit.organization


def _order(tx: Transaction, visit: Visit, answers: RequestAnswers, now: datetime) -> tuple[Order, CheckedCsr | None]:
    """The order that the answers ask for, not stored, and the person's own request where the account takes one.
    Raises RequestRefused, SessionExpired, CertificateUnknown."""
    account, organization = _open_visit(visit)
    mistakes = Mistakes()
    profile = _profile(visit, answers, mistakes)
    provided = account.csr_method is CsrGenerationMethod.PROVIDED
    term = _choice(answers.term_days, profile.term_days, "term_days", mistakes)
    names = _names(visit, profile, answers, mistakes)
    licence_version = _accepted_licence(tx, answers, mistakes)
    device = csr = None
    if provided:
        csr, wrong = judge_provided_csr(profile, names, answers.csr)
        if wrong:
            mistakes.add("csr", wrong)
        algorithm = str(csr.key_algorithm if csr else profile.key_algorithms[0])
    else:
        algorithm = _choice(answers.key_algorithm, profile.key_algorithms, "key_algorithm", mistakes)
    if not provided and answers.target != BY_LINK:
        device = next((d for d in devices_for(tx, visit, profile) if d.id == answers.target), None)
        if device is None:
            mistakes.add("target", Words("That computer is not registered for you any more. Choose one of these."))
    if mistakes.fields or names is None:
        raise RequestRefused(mistakes.fields)
    order = Order(
        id=new_id(),
        form_id=visit.form.id,
        account_id=account.id,
        organization_id=organization.id,
        department_id=account.department_id,
        profile_id=profile.id,
        certificate_type=profile.certificate_type,
        person_email=visit.session.email,
        person_name=visit.session.name,
        key_algorithm=KeyAlgorithm(algorithm),
        term_days=int(term),
        names=names.to_plain(),
        recipient=device.recipient if device else "",
        trace_id=current_trace_id(),
        created_at=now,
        licence_version=licence_version,
        machine=device.name if device else "",
        csr_method=account.csr_method,
        supersedes=superseded_by(tx, visit, answers.renew, profile, names) if answers.renew and not provided else None,
    )
    if csr is not None:
        order.csr_pem, order.assurance = answers.csr.strip(), AssuranceLevel.SOFTWARE
        order.evidence = evidence_of_provided_key()
    return order, csr


def devices_for(tx: Transaction, visit: Visit, profile: CertificateProfile | None) -> Sequence[Device]:
    """The registered computers that may be chosen for a certificate of `profile`: they take none that is to be the
    person's alone."""
    if visit.organization is None or (profile is not None and profile.scope is CertificateScope.USER):
        return ()
    return tx.devices_of(visit.session.email, visit.organization.id)


def _request_digest(order: Order, page_key: str, answers: RequestAnswers) -> str | None:
    if not page_key:
        return None
    return token_digest(json.dumps([order.account_id, order.person_email, page_key, asdict(answers)]))


def subject_facts(visit: Visit) -> dict[str, str]:
    """What is known of the person and goes into the certificate without asking."""
    email, said = visit.session.email, visit.session.attributes
    person = visit.person
    facts = {
        "email": email,
        "name": visit.session.name or (person.name if person else ""),
        "upn": (person.upn if person else None) or email,
    }
    for variable, attribute in _SAID.items():
        facts[variable] = next(iter(said.get(attribute, ())), "")
    if visit.organization is not None:
        facts["organization"] = visit.organization.name
    if visit.department is not None:
        facts["department"] = visit.department.name
    return facts


def _profile(visit: Visit, answers: RequestAnswers, mistakes: Mistakes) -> CertificateProfile:
    profile = next((p for p in visit.profiles if p.id == answers.profile), None)
    if profile is None:
        mistakes.add("profile", Words("Choose one of these."))
        raise RequestRefused(mistakes.fields)
    return profile


def _choice(typed: str, allowed: list[KeyAlgorithm] | list[int], name: str, mistakes: Mistakes) -> str:
    if typed in {str(value) for value in allowed}:
        return typed
    mistakes.add(name, Words("Choose one of these."))
    return str(allowed[0])


def names_for(
    visit: Visit, profile: CertificateProfile, answers: RequestAnswers
) -> tuple[CertificateNames | None, dict[str, str]]:
    """The names that these answers would put into a certificate, and what is wrong with them, field by field."""
    mistakes = Mistakes()
    return _names(visit, profile, answers, mistakes), mistakes.fields


def _names(
    visit: Visit, profile: CertificateProfile, answers: RequestAnswers, mistakes: Mistakes
) -> CertificateNames | None:
    asked = AskedNames(answers.dns_names, answers.device_name, answers.serial_number)
    return requested_names(profile, subject_facts(visit), visit.dns_domains, asked, mistakes)


def _accepted_licence(tx: Transaction, answers: RequestAnswers, mistakes: Mistakes) -> str | None:
    licence = tx.licence()
    if licence is None:
        return None
    if not answers.licence_accepted:
        mistakes.add("licence", Words("Read the terms and accept them to go on."))
    elif answers.licence_version != licence.version:
        mistakes.add("licence", Words("The terms have changed meanwhile. Read them again and accept them."))
    return licence.version

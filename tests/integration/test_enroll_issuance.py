"""Issuance: whatever breaks between its steps, an order has one certificate."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import event, select, update
from tests.support.enroll_app import ADA, BOB, EnrollApp, enroll_app, started

from keystead_contracts.base import AssuranceLevel, CertificateType, KeyAlgorithm
from keystead_enroll.adapters import tables
from keystead_enroll.adapters.shape_memory import ProcessShapeMemory
from keystead_enroll.adapters.store import SqlTransactions
from keystead_enroll.domain.certificate_record import IntentState, IssuanceIntent
from keystead_enroll.domain.enrollment import CsrGenerationMethod, Organization
from keystead_enroll.domain.errors import IntentNotSignable
from keystead_enroll.domain.issuance import BatchSize
from keystead_enroll.domain.lint import Finding, Severity
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.orders import Order, OrderState, Urgency
from keystead_enroll.usecases.inspect_certificate import Inspection
from keystead_enroll.usecases.issue_certificates import issue_certificates
from keystead_kit.secrets import new_id

KEY = ec.generate_private_key(ec.SECP256R1())


class Killed(BaseException):
    """The process ends here."""


class Ca:
    """The real CA, until its n-th signature: then it does something else."""

    def __init__(self, real: Any, instead: BaseException, *, after: int = 0) -> None:
        self._real, self._instead, self._left = real, instead, after
        self.signed: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def sign(self, precertificate_der: bytes) -> bytes:
        """Signs, or raises."""
        if self._left == 0:
            raise self._instead
        self._left -= 1
        self.signed.append(self._real.sign(precertificate_der))
        return self.signed[-1]


class DiesBeforeStoring:
    """Transactions of a process that is killed when it opens its second one to write."""

    def __init__(self, real: SqlTransactions) -> None:
        self._real, self._opened = real, 0

    def write(self) -> AbstractContextManager[Any]:
        self._opened += 1
        if self._opened > 1:
            raise Killed
        return self._real.write()

    def read(self) -> AbstractContextManager[Any]:
        return self._real.read()


class Linter:
    """Finds what it is told to find."""

    def __init__(self, *findings: Finding) -> None:
        self._findings = findings

    def lint(self, der: bytes) -> tuple[Finding, ...]:
        return self._findings


def accepted(app: EnrollApp, email: str = ADA) -> str:
    _, order_id, agent, job = started(app, email=email)
    assert agent.report(agent.csr_report(job)).status_code == 200
    return order_id


def issue(app: EnrollApp, ca: Any = None, linter: Any = None, transactions: Any = None) -> int:
    inspection = Inspection(linter or app.linter, ProcessShapeMemory(), 0, lambda: 0.5)
    return issue_certificates(transactions or app.enroll.transactions, app.clock, ca or app.ca, inspection, app.origin)


def intents(app: EnrollApp) -> list[Any]:
    with app.enroll.database.read() as session:
        return list(session.execute(select(tables.intents)).all())


def lease_ends(app: EnrollApp) -> None:
    app.clock.shift += timedelta(seconds=16)


def test_killed_between_intent_and_signature(app: EnrollApp) -> None:
    order_id = accepted(app)
    with pytest.raises(Killed):
        issue(app, Ca(app.ca, Killed()))
    assert app.order(order_id).state is OrderState.SIGNING
    assert app.certificates() == []
    [intent] = intents(app)
    assert app.work() == 0, "the lease is not over"
    lease_ends(app)
    assert app.work() == 1
    [row] = app.certificates()
    assert row.serial == intent.serial
    assert app.order(order_id).state is OrderState.ISSUED
    assert [i.state for i in intents(app)] == [IntentState.SIGNED]


def test_killed_between_signature_and_storing(app: EnrollApp) -> None:
    order_id = accepted(app)
    ca = Ca(app.ca, Killed(), after=1)
    with pytest.raises(Killed):
        issue(app, ca, transactions=DiesBeforeStoring(app.enroll.transactions))
    assert app.certificates() == []
    lease_ends(app)
    assert app.work() == 1
    [row] = app.certificates()
    lost, stored = (x509.load_der_x509_certificate(der) for der in (ca.signed[0], row.der))
    assert lost.tbs_certificate_bytes == stored.tbs_certificate_bytes
    assert app.order(order_id).state is OrderState.ISSUED
    lease_ends(app)
    assert app.work() == 0


def test_a_worker_that_was_thought_dead_does_not_store_a_second_certificate(app: EnrollApp) -> None:
    accepted(app)

    class Slow(Ca):
        def sign(self, precertificate_der: bytes) -> bytes:
            lease_ends(app)
            assert app.work() == 1  # another worker takes it up meanwhile
            return super().sign(precertificate_der)

    issue(app, Slow(app.ca, Killed(), after=1))
    assert len(app.certificates()) == 1


def test_a_ca_that_breaks_down_holds_nobody_else_up(app: EnrollApp) -> None:
    orders = [accepted(app), accepted(app)]
    assert issue(app, Ca(app.ca, ConnectionError("HSM away"), after=1)) == 2
    assert sorted(app.order(o).state for o in orders) == [OrderState.ISSUED, OrderState.SIGNING]
    lease_ends(app)
    assert app.work() == 1
    assert {app.order(o).state for o in orders} == {OrderState.ISSUED}
    assert len({row.serial for row in app.certificates()}) == 2


def test_interrupted_intents_are_taken_up_in_one_order(app: EnrollApp) -> None:
    orders = [accepted(app, f"p{n}@example.org") for n in range(6)]
    with pytest.raises(Killed):
        issue(app, Ca(app.ca, Killed()))
    lease_ends(app)
    with app.enroll.transactions.write() as tx:
        found = [intent.order_id for intent in tx.claim_stale_intents(app.clock.now(), 32)]
    assert found == sorted(orders)


def test_a_refusal_of_the_ca_ends_the_order(app: EnrollApp) -> None:
    order_id = accepted(app)
    issue(app, Ca(app.ca, IntentNotSignable("tell-nobody")))
    order = app.order(order_id)
    assert (order.state, order.failure_reason) == (OrderState.FAILED, "The certificate could not be signed.")
    assert [i.state for i in intents(app)] == [IntentState.VOID]
    [fact] = app.facts("enrollment_failed")
    assert "tell-nobody" not in str(fact)
    lease_ends(app)
    assert app.work() == 0


def test_a_certificate_that_the_linter_refuses_is_never_signed(app: EnrollApp) -> None:
    order_id = accepted(app)
    ca = Ca(app.ca, Killed())
    issue(app, ca, Linter(Finding(Severity.ERROR, "made.up", "certificate", "")))
    order = app.order(order_id)
    assert (order.state, order.failure_reason) == (OrderState.FAILED, "The certificate could not be issued.")
    assert order.failure_advice
    assert ca.signed == intents(app) == app.certificates() == []
    assert len(app.facts("enrollment_failed")) == 1


def set_assurance(app: EnrollApp, order_id: str, level: AssuranceLevel | None) -> None:
    with app.enroll.database.write() as session:
        session.execute(update(tables.orders).where(tables.orders.c.id == order_id).values(assurance=level))


class Stumbles:
    """A linter that breaks at its first certificate, in a way that nobody foresaw."""

    def __init__(self, real: Any) -> None:
        self._real, self._broken = real, False

    def lint(self, der: bytes) -> tuple[Finding, ...]:
        """Lints, or raises."""
        if not self._broken:
            self._broken = True
            raise OverflowError("date value out of range")
        found: tuple[Finding, ...] = self._real.lint(der)
        return found


def test_what_nobody_foresaw_ends_one_order_alone(app: EnrollApp) -> None:
    orders = [accepted(app, f"p{n}@example.org") for n in range(3)]
    issue(app, linter=Stumbles(app.linter))
    states = sorted(app.order(order).state.value for order in orders)
    assert states == ["failed", "issued", "issued"]
    assert len(app.certificates()) == 2


def test_what_cannot_be_stored_keeps_nobody_else(app: EnrollApp) -> None:
    orders = [accepted(app, f"p{n}@example.org") for n in range(3)]
    assurance = app.order(orders[0]).assurance
    set_assurance(app, orders[0], None)  # what no code path writes
    issue(app)
    assert [app.order(order).state for order in orders] == [OrderState.SIGNING, OrderState.ISSUED, OrderState.ISSUED]
    set_assurance(app, orders[0], assurance)
    lease_ends(app)
    issue(app)
    assert app.order(orders[0]).state is OrderState.ISSUED
    assert len(app.certificates()) == 3


def test_one_refused_order_does_not_keep_the_others(app: EnrollApp) -> None:
    orders = [accepted(app) for _ in range(3)]

    class Once(Linter):
        def lint(self, der: bytes) -> tuple[Finding, ...]:
            found, self._findings = self._findings, ()
            return found

    assert issue(app, linter=Once(Finding(Severity.ERROR, "made.up", "certificate", ""))) == 3
    assert sorted(app.order(o).state for o in orders) == [OrderState.FAILED, OrderState.ISSUED, OrderState.ISSUED]


def wait_for(app: EnrollApp, number: int, **changes: Any) -> list[str]:
    """So many orders whose requests were accepted, oldest first."""
    with app.enroll.transactions.read() as tx:
        form = next(form for form in tx.forms() if form.name == "Staff")
        account, organization = tx.accounts(form.id)[0], tx.organizations()[0]
    orders = []
    with app.enroll.transactions.write() as tx:
        for _ in range(number):
            app.clock.shift += timedelta(milliseconds=1)
            key, names = ec.generate_private_key(ec.SECP256R1()), CertificateNames((("CN", "Ada"),), emails=(ADA,))
            signed = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, SHA256())
            values: dict[str, Any] = {
                "form_id": form.id, "account_id": account.id, "organization_id": organization.id,
                "profile_id": app.profile("Person"), "certificate_type": CertificateType.CLIENT, "person_email": ADA,
                "person_name": None, "key_algorithm": KeyAlgorithm.EC_P256, "term_days": 365,
                "names": names.to_plain(), "recipient": "", "trace_id": new_id(), "created_at": app.clock.now(),
                "licence_version": None, "csr_method": CsrGenerationMethod.PROVIDED,
                "assurance": AssuranceLevel.SOFTWARE, "csr_pem": signed.public_bytes(Encoding.PEM).decode(),
            }  # fmt: skip
            order = Order(id=new_id(), **(values | changes))
            order.advance(OrderState.CSR_ACCEPTED, app.clock.now())
            tx.add(order)
            orders.append(order.id)
    return orders


def another_organization(app: EnrollApp, name: str) -> str:
    with app.enroll.transactions.write() as tx:
        made = Organization(id=new_id(), name=name)
        tx.add(made)
    return made.id


def issued_first(app: EnrollApp, size: int) -> set[str]:
    """The orders of the first batch of this size."""
    inspection = Inspection(app.linter, ProcessShapeMemory(), 0, lambda: 0.5)
    batch = BatchSize(size, size, size)
    issue_certificates(app.enroll.transactions, app.clock, app.ca, inspection, app.origin, batch=batch)
    return {row.order_id for row in app.certificates()}


def test_where_somebody_waits_is_done_before_bulk(app: EnrollApp) -> None:
    wait_for(app, 6, urgency=Urgency.BULK)
    urgent = wait_for(app, 3)
    assert issued_first(app, 3) == set(urgent)


def test_no_organization_s_many_orders_keep_another_s_few(app: EnrollApp) -> None:
    many = wait_for(app, 12, urgency=Urgency.BULK)
    few = wait_for(app, 2, urgency=Urgency.BULK, organization_id=another_organization(app, "Small Practice"))
    one = wait_for(app, 1, urgency=Urgency.BULK, organization_id=another_organization(app, "Tiny Practice"))
    assert issued_first(app, 6) == {*many[:2], *few, *one}
    assert app.work() == 10


def test_what_is_left_of_a_batch_goes_to_bulk(app: EnrollApp) -> None:
    bulk, urgent = wait_for(app, 4, urgency=Urgency.BULK), wait_for(app, 1)
    assert issued_first(app, 3) == {*urgent, *bulk[:2]}


@contextmanager
def statements(app: EnrollApp) -> Iterator[list[str]]:
    """Every statement that the block sends to the database."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    engine = app.enroll.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_a_large_batch_takes_as_many_statements_as_a_small_one(app: EnrollApp) -> None:
    counts = []
    for size in (2, 30):
        wait_for(app, size)
        with statements(app) as sent:
            assert issue(app) == size
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 25, counts


def test_what_the_database_refuses_of_one_order_ends_it_alone(app: EnrollApp) -> None:
    orders = wait_for(app, 3)
    with app.enroll.transactions.write() as tx:  # what no code path leaves behind
        tx.add(IssuanceIntent(orders[1], "00", b"", app.clock.now(), app.clock.now(), IntentState.VOID))
    assert issue(app) == 3
    states = [app.order(order).state for order in orders]
    assert states == [OrderState.ISSUED, OrderState.FAILED, OrderState.ISSUED]
    assert {row.order_id for row in app.certificates()} == {orders[0], orders[2]}


def test_a_batch_that_is_not_stored_at_once_is_stored_order_by_order(app: EnrollApp) -> None:
    orders, others = wait_for(app, 3), wait_for(app, 1)
    issue_certificates(
        app.enroll.transactions, app.clock, Ca(app.ca, ConnectionError(), after=3),
        Inspection(app.linter, ProcessShapeMemory(), 0, lambda: 0.5), app.origin,
    )  # fmt: skip
    assert app.order(others[0]).state is OrderState.SIGNING
    [intent] = [each for each in intents(app) if each.order_id == others[0]]
    with app.enroll.database.write() as session:  # its serial number is taken: what no random source brings
        another = tables.certificates.c.order_id == orders[0]
        session.execute(update(tables.certificates).where(another).values(serial=intent.serial))
    lease_ends(app)
    more = wait_for(app, 2)
    issue(app)
    assert [app.order(order).state for order in more] == [OrderState.ISSUED, OrderState.ISSUED]
    assert app.order(others[0]).state is OrderState.SIGNING


def test_the_second_certificate_of_a_shape_is_linted_by_its_shape(app: EnrollApp) -> None:
    class Counting:
        linted = 0

        def lint(self, der: bytes) -> tuple[Finding, ...]:
            self.linted += 1
            return app.linter.lint(der)

    counting = Counting()
    inspection = Inspection(counting, ProcessShapeMemory(), 0, lambda: 0.5)
    for _ in range(2):
        wait_for(app, 3)
        issue_certificates(app.enroll.transactions, app.clock, app.ca, inspection, app.origin)
    assert (counting.linted, len(app.certificates())) == (1, 6)


@pytest.mark.parametrize("workers", [2])
def test_workers_side_by_side_issue_each_order_once(app: EnrollApp, workers: int) -> None:
    browser = app.browser()
    orders = []
    for _ in range(50):
        order_id = browser.order()
        with app.enroll.transactions.write() as tx:
            order = tx.order(order_id, lock=True)
            assert order is not None
            agent = app.agent()
            job = tx.open_jobs(order.recipient)[0].to_wire()
            order.csr_pem, order.assurance = agent.csr(job, KEY), "software"  # type: ignore[assignment]
            order.advance(OrderState.CSR_ACCEPTED, app.clock.now())
        orders.append(order_id)
    with ThreadPoolExecutor(workers) as pool:
        done = sum(pool.map(lambda _: app.work(), range(workers)))
    assert done == 50
    rows = app.certificates()
    assert {row.order_id for row in rows} == set(orders)
    assert len({row.serial for row in rows}) == len(rows) == 50
    assert {app.order(o).state for o in orders} == {OrderState.ISSUED}


def test_a_certificate_says_by_a_policy_how_sure_it_is_where_its_key_is(database_url: str, redis_url: str) -> None:
    policies = {"claimed": "1.3.6.1.4.1.32473.9.2", "vendor": "1.3.6.1.4.1.32473.9.5"}
    with enroll_app(database_url, redis_url, level_policies=policies) as app:
        orders = [accepted(app, email) for email in (ADA, BOB)]
        with app.enroll.transactions.write() as tx:
            for order_id, level in zip(orders, (AssuranceLevel.VENDOR, AssuranceLevel.ATTESTED), strict=True):
                order = tx.order(order_id, lock=True)
                assert order is not None
                order.assurance = level
        app.work()
        said = {row.order_id: policies_of(row.der) for row in app.certificates()}
    assert said == {orders[0]: [policies["vendor"]], orders[1]: []}


def test_no_profile_claims_a_level_by_itself(database_url: str, redis_url: str) -> None:
    with enroll_app(database_url, redis_url, level_policies={"vendor": "1.3.6.1.4.1.32473.9.5"}) as app:
        order_id = accepted(app, ADA)
        with app.enroll.transactions.write() as tx:
            profile = tx.profile(app.order(order_id).profile_id)
            assert profile is not None
            profile.policy_oids = ["1.3.6.1.4.1.32473.9.5", "1.3.6.1.4.1.32473.9.05", "1.3.6.1.4.1.32473.1"]
        app.work()
        assert [policies_of(row.der) for row in app.certificates()] == [["1.3.6.1.4.1.32473.1"]]


def policies_of(der: bytes) -> list[str]:
    try:
        extension = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.CertificatePolicies)
    except x509.ExtensionNotFound:
        return []
    return [each.policy_identifier.dotted_string for each in extension.value]

"""All certificates that a search finds, as CSV: a page at a time, so that a million of them need no more memory."""

from __future__ import annotations

from collections.abc import Iterator

from keystead_enroll.csv_text import csv_line
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.certificate_record import Certificate, certificate_state
from keystead_enroll.domain.lists import CERTIFICATES
from keystead_enroll.domain.search import PageWanted, Search
from keystead_enroll.ports import Clock, Transaction, Transactions

AT_ONCE = 500
HEADINGS = (
    "id", "state", "subject", "names", "type", "owner", "organization", "department", "form", "profile", "request",
    "serial", "issuer", "sha256", "key", "assurance", "machine", "not before", "not after", "issued", "revoked",
    "revocation reason", "revocation note",
)  # fmt: skip


def export_certificates(transactions: Transactions, clock: Clock, actor: Actor, search: Search) -> Iterator[str]:
    """The lines, with a heading, newest certificate first. Each page is read in a transaction of its own."""
    yield csv_line(HEADINGS)
    after: str | None = None
    while True:
        with transactions.read() as tx:
            page = tx.page(CERTIFICATES, actor.scope, PageWanted(search, limit=AT_ONCE, after=after))
            lines = [csv_line(_cells(tx, certificate, clock)) for certificate in page.items]
        yield "".join(lines)
        after = page.next
        if after is None:
            return


def _cells(tx: Transaction, certificate: Certificate, clock: Clock) -> tuple[object, ...]:
    department, profile = certificate.department_id, tx.profile(certificate.profile_id)
    form = tx.form_of(certificate)
    return (
        certificate.id,
        certificate_state(certificate, clock.now()),
        certificate.subject,
        " ".join(certificate.names),
        certificate.certificate_type,
        certificate.owner,
        tx.organization(certificate.organization_id).name,
        tx.department(department).name if department else None,
        form.name if form else None,
        profile.name if profile else None,
        certificate.order_id,
        certificate.serial,
        certificate.issuer,
        certificate.sha256,
        certificate.key_algorithm,
        certificate.assurance,
        certificate.machine,
        certificate.not_before,
        certificate.not_after,
        certificate.issued_at,
        certificate.revoked_at,
        certificate.revocation_reason,
        certificate.revocation_note,
    )

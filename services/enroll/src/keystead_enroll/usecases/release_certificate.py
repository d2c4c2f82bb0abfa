"""Release a certificate that is on hold: an administrator any in their scope, a person their own.

It is on no revocation list any more and good to OCSP (RFC 5280 section 5.3.1; removeFromCRL is for delta lists, of
which there are none).
"""

from __future__ import annotations

from datetime import datetime

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.certificate_record import Certificate
from keystead_enroll.domain.inputs import ReleaseInput
from keystead_enroll.domain.lists import CERTIFICATES
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import note, reach
from keystead_enroll.usecases.revoke_certificate import certificate_target


def release_certificate(
    transactions: Transactions, clock: Clock, actor: Actor, certificate_id: str, wanted: ReleaseInput
) -> None:
    """Releases the certificate. It changes nothing if nothing is wrong with it. Raises ThingUnknown, NotOnHold."""
    with transactions.write() as tx:
        found = reach(tx, CERTIFICATES, actor, certificate_id, Words("certificate"))
        release(tx, actor, found, clock.now(), wanted.note)


def release(tx: Transaction, actor: Actor, found: Certificate, now: datetime, remark: str = "") -> None:
    """Releases `found`. Raises NotOnHold."""
    tx.order(found.order_id, lock=True)
    certificate = tx.certificate(found.id, lock=True)
    if certificate is None:
        raise LookupError(f"certificate {found.id} is gone")
    if certificate.release():
        note(tx, actor, now, "certificate.release", certificate_target(certificate), {"note": remark})
        tx.wake(f"order:{certificate.order_id}")
        tx.ring()  # the lists are to be signed anew

"""Have the issuing CA known to those who answer for it."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

from keystead_enroll.domain.certificates import der
from keystead_enroll.domain.status import Authority, authority_id
from keystead_enroll.ports import Transaction


def know_authority(tx: Transaction, issuing: x509.Certificate, now: datetime) -> None:
    """Stores the CA's certificate, once. Nobody has a lease then."""
    name = authority_id(issuing)
    if tx.authority(name) is None:
        tx.add_first(Authority(name, der(issuing), now.replace(microsecond=0)))

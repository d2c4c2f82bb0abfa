"""Certify a new OCSP responder, in time before the last one's certificate ends."""

from __future__ import annotations

import secrets as randomness
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keystead_contracts.base import serial_hex
from keystead_enroll.domain.certificates import der, new_serial, sign_worthless, validity
from keystead_enroll.domain.errors import SealBroken
from keystead_enroll.domain.lint import refuse_findings
from keystead_enroll.domain.ocsp import OcspResponder, responder_builder
from keystead_enroll.domain.status import authority_id
from keystead_enroll.ports import Clock, Issuer, Linter, Transactions
from keystead_enroll.ports_status import KeyBox
from keystead_enroll.usecases.known_authority import know_authority
from keystead_kit.logs import get_logger

LIFE = timedelta(days=7)
_SKEW = timedelta(minutes=5)
_log = get_logger()


def renew_responder(transactions: Transactions, clock: Clock, issuer: Issuer, linter: Linter, box: KeyBox) -> int:
    """1 if a new one was certified. Its key is made here, stored sealed, and leaves in no other way. Where two workers
    do it at once, one is stored; the other's key is forgotten with the process. Raises CaRefused."""
    now, issuing = clock.now(), issuer.issuer_certificate
    authority = authority_id(issuing)
    with transactions.read() as tx:
        last = tx.newest_responder(authority)
    if last is not None and not last.due(now) and _can_be_used(last, box):
        return 0
    key = ec.generate_private_key(ec.SECP256R1())
    serial, valid = new_serial(randomness.token_bytes), validity(now, LIFE, _SKEW, issuing)
    precertificate = der(sign_worthless(responder_builder(issuing, key.public_key(), serial, valid), issuing))
    refuse_findings(linter.lint(precertificate))
    number = last.number + 1 if last else 1
    made = OcspResponder(authority, number, issuer.sign(precertificate), b"", *valid)
    made.sealed_key = box.seal(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), made.context)
    with transactions.write() as tx:
        know_authority(tx, issuing, now)
        tx.drop_responders(authority, now)
        if not tx.add_first(made):
            return 0
    _log.info("OCSP responder certified", authority=authority, serial=serial_hex(serial), number=number)
    return 1


def _can_be_used(responder: OcspResponder, box: KeyBox) -> bool:
    try:
        box.open(responder.sealed_key, responder.context)
    except SealBroken:
        _log.warning("the OCSP responder's key was sealed under another key, another one is made",
                     authority=responder.authority)  # fmt: skip
        return False
    return True

"""Revocation lists of TPM manufacturers (RFC 5280 section 5): whole ones, about their issuer's own certificates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from keystead_enroll.domain import lenient_der as der
from keystead_enroll.domain.endorsement_certificate import Certificate
from keystead_enroll.domain.keys import spki_sha256
from keystead_enroll.domain.lenient_der import DerMalformed

Revoked = Mapping[str, frozenset[int]]
"""SHA-256 of an authority's SubjectPublicKeyInfo → serial numbers of what it took back."""
_CRL_SIGN = 6
_UNDERSTOOD = frozenset({x509.IssuingDistributionPoint.oid, x509.AuthorityKeyIdentifier.oid, x509.CRLNumber.oid})


@dataclass(frozen=True)
class RevocationList:
    """A list. `issuer` is the name in DER as it came."""

    raw: bytes
    issuer: bytes
    this_update: datetime
    next_update: datetime | None
    serials: frozenset[int]
    parsed: x509.CertificateRevocationList

    def is_signed_by(self, authority: Certificate) -> bool:
        """Whether `authority` may sign lists, has the list's name, and signed it."""
        if authority.subject != self.issuer or not authority.authority[0] or not authority.allows(_CRL_SIGN):
            return False
        try:
            return self.parsed.is_signature_valid(authority.public_key)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return False


def read_revocation_list(raw: bytes) -> RevocationList:
    """The list that `raw` is, in DER. Raises DerMalformed, also for changes to a list (delta) and for lists about other
    authorities' certificates (indirect), which say something else than they seem to."""
    try:
        parsed = x509.load_der_x509_crl(raw)
        for extension in parsed.extensions:
            if isinstance(extension.value, x509.IssuingDistributionPoint) and extension.value.indirect_crl:
                raise DerMalformed("the list is about certificates of other authorities (indirect)")
            if extension.critical and extension.oid not in _UNDERSTOOD:
                raise DerMalformed(f"the list says something critical that is not understood ({extension.oid})")
        serials = frozenset(_natural(entry.serial_number) for entry in parsed)
        return RevocationList(
            raw=raw,
            issuer=_issuer(parsed.tbs_certlist_bytes),
            this_update=parsed.last_update_utc,
            next_update=parsed.next_update_utc,
            serials=serials,
            parsed=parsed,
        )
    except (ValueError, TypeError, x509.DuplicateExtension) as error:
        raise DerMalformed("the revocation list cannot be read") from error


def revoked_by(lists: Iterable[tuple[RevocationList, Certificate]]) -> Revoked:
    """What lists say together, each with the authority that signed it."""
    return together((spki_sha256(authority.public_key), each.serials) for each, authority in lists)


def together(parts: Iterable[tuple[str, frozenset[int]]]) -> Revoked:
    """What several say, of an authority's key each."""
    found: dict[str, frozenset[int]] = {}
    for key, serials in parts:
        found[key] = found.get(key, frozenset()) | serials
    return found


def _issuer(to_be_signed: bytes) -> bytes:
    parts = der.listed(der.first(to_be_signed, der.SEQUENCE).content, 3)
    return parts[2 if parts[0].tag == der.INTEGER else 1].raw


def _natural(serial: int) -> int:
    """As `lenient_der.natural` reads the same octets: without a sign."""
    return serial if serial >= 0 else serial + (1 << 8 * ((serial + 1).bit_length() // 8 + 1))

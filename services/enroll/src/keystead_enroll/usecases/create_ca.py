"""Makes the built-in CA: a self-signed root and the issuing CA below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from keystead_contracts.base import KeyAlgorithm
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.certificates import (
    authority_key_identifier,
    der,
    key_usage,
    new_serial,
    sign_builder,
)
from keystead_enroll.domain.errors import KeyAlgorithmNotAllowed, NameNotAllowed
from keystead_enroll.domain.key_usages import KeyUsage
from keystead_enroll.domain.lint import Finding, refuse_findings
from keystead_enroll.domain.names import CertificateNames

ROOT_YEARS = 20
ISSUING_YEARS = 5
_BACKDATED = timedelta(hours=1)
_ANY_POLICY = x509.ObjectIdentifier("2.5.29.32.0")


@dataclass(frozen=True)
class CaNames:
    """What the new CA is called."""

    organization: str
    root_common_name: str
    issuing_common_name: str
    country: str | None = None


@dataclass(frozen=True)
class NewCa:
    """A CA that was just made. The keys are in memory only, until they are stored."""

    root: x509.Certificate
    root_key: ec.EllipticCurvePrivateKey
    issuing: x509.Certificate
    issuing_key: ec.EllipticCurvePrivateKey


class CaStore(Protocol):
    """Where a new CA is put."""

    def refuse_existing(self) -> None:
        """Raises CaFilesExist if any part of a CA is there already."""

    def save(self, ca: NewCa) -> None:
        """Stores all of it or nothing. Raises CaFilesExist, CaUnusable."""


def create_ca(
    names: CaNames,
    *,
    now: datetime,
    random_bytes: Callable[[int], bytes],
    lint: Callable[[bytes], Sequence[Finding]],
    store: CaStore,
    issuing_algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256,
) -> NewCa:
    """Makes and stores a root (P-384, 20 years) and an issuing CA (`issuing_algorithm`, P-256 or P-384; 5 years; may
    not certify further CAs).

    `now` is aware. Raises InputRefused and CaFilesExist, if the store holds a CA, before anything is made;
    KeyAlgorithmNotAllowed; CertificateLintFailed if a certificate would violate RFC 5280; nothing is stored then.
    """
    check_ca_names(names)
    store.refuse_existing()
    curves: dict[KeyAlgorithm, ec.EllipticCurve] = {
        KeyAlgorithm.EC_P256: ec.SECP256R1(),
        KeyAlgorithm.EC_P384: ec.SECP384R1(),
    }
    curve = curves.get(issuing_algorithm)
    if curve is None:
        raise KeyAlgorithmNotAllowed(
            f"the issuing CA's key cannot be {issuing_algorithm}", f"Use one of {', '.join(curves)}."
        )
    root_key, issuing_key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(curve)
    root_name = _name(names, names.root_common_name)
    begin = now.astimezone(UTC).replace(microsecond=0) - _BACKDATED
    root = _sign_ca(
        _ca_builder(root_name, root_name, root_key.public_key(), begin, ROOT_YEARS, random_bytes)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage((), cert_sign=True, crl_sign=True), critical=True),
        root_key,
        lint,
    )
    # digitalSignature lets the issuing key sign OCSP answers (RFC 6960 section 4.2.2.2); anyPolicy lets profiles name
    # policies of their own.
    issuing = _sign_ca(
        _ca_builder(
            _name(names, names.issuing_common_name),
            root_name,
            issuing_key.public_key(),
            begin,
            ISSUING_YEARS,
            random_bytes,
        )
        .add_extension(authority_key_identifier(root), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage({KeyUsage.DIGITAL_SIGNATURE}, cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.CertificatePolicies([x509.PolicyInformation(_ANY_POLICY, None)]), critical=False),
        root_key,
        lint,
    )
    ca = NewCa(root, root_key, issuing, issuing_key)
    store.save(ca)
    return ca


def check_ca_names(names: CaNames) -> None:
    """Raises InputRefused with each attribute of `names` that no CA can have."""
    mistakes = {}
    for attribute, value in (
        ("organization", names.organization),
        ("root_common_name", names.root_common_name),
        ("issuing_common_name", names.issuing_common_name),
    ):
        part = "O" if attribute == "organization" else "CN"
        try:
            CertificateNames(subject=((part, value),)).x509_name()
        except NameNotAllowed as refusal:
            mistakes[attribute] = refusal.detail
    if names.root_common_name == names.issuing_common_name:
        mistakes.setdefault(
            "issuing_common_name", "is the root's name too: programs that build chains tell CAs apart by their names"
        )
    if mistakes:
        raise InputRefused(mistakes)


def _name(names: CaNames, common_name: str) -> x509.Name:
    subject = [("C", names.country)] if names.country else []
    subject += [("O", names.organization), ("CN", common_name)]
    return CertificateNames(subject=tuple(subject)).x509_name()


def _ca_builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    begin: datetime,
    years: int,
    random_bytes: Callable[[int], bytes],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(new_serial(random_bytes))
        .not_valid_before(begin)
        .not_valid_after(_years_after(begin, years) - timedelta(seconds=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _years_after(begin: datetime, years: int) -> datetime:
    """The same day and time `years` later; 1 March for a 29 February that is not there."""
    try:
        return begin.replace(year=begin.year + years)
    except ValueError:
        return begin.replace(year=begin.year + years, month=3, day=1)


def _sign_ca(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    lint: Callable[[bytes], Sequence[Finding]],
) -> x509.Certificate:
    certificate = sign_builder(builder, key)
    refuse_findings(lint(der(certificate)))
    return certificate

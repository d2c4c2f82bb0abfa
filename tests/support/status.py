"""What others say of our revocation lists and OCSP answers: OpenSSL and pkilint."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from cryptography import x509
from pkilint import loader, pkix
from pkilint.pkix import crl, extension, name, ocsp
from pkilint.validation import ValidationFindingSeverity

_DECODERS = (
    pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
    pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
)
_REFUSING = (ValidationFindingSeverity.ERROR, ValidationFindingSeverity.FATAL)


def openssl(*arguments: str | Path) -> str:
    """What it says, whatever it thinks."""
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


def refused_list(der: bytes) -> list[str]:
    """What pkilint refuses in a revocation list."""
    validator = crl.create_pkix_crl_validator_container(
        [*_DECODERS],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )
    return refused(validator, loader.load_der_crl(der, "list"))


def refused_answer(der: bytes) -> list[str]:
    """What pkilint refuses in an OCSP answer."""
    validator = ocsp.create_pkix_ocsp_response_validator_container([ocsp.create_response_decoder(), *_DECODERS], [])
    return refused(validator, loader.load_der_ocsp_response(der, "answer"))


def refused(validator: Any, document: Any) -> list[str]:
    """The errors that a validator finds."""
    return [
        f"{described.finding.code}: {described.message}"
        for result in validator.validate(document.root)
        for described in result.finding_descriptions
        if described.finding.severity in _REFUSING
    ]


def distribution_point(certificate: x509.Certificate) -> str:
    """The address of the revocation list that a certificate names."""
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    [point] = points
    assert point.full_name is not None
    return str(point.full_name[0].value)


def access(certificate: x509.Certificate, method: x509.ObjectIdentifier) -> str:
    """The address in a certificate's authority information access."""
    descriptions = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    [found] = [each for each in descriptions if each.access_method == method]
    return str(found.access_location.value)

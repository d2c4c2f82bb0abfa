"""What `doctor` makes of the certificates that a TPM's maker left in it."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import NameOID

from keystead_agent.findings import Finding, good
from keystead_agent.keystore.attesting import StoredCertificate

_PREFIX, _PREFIX_LENGTH = b"\x10\x01\x00", 5
"""TCG_PCCLIENT_STORED_FULL_CERT_HEADER and two octets of length, which some makers put in front."""
_LONG_SEQUENCE = b"\x30\x82"


def endorsement_finding(certificates: Iterable[StoredCertificate]) -> Finding:
    """For which endorsement keys there are certificates, and by whom."""
    found = ", ".join(f"{certificate.kind} {_issuer(certificate.content)}".strip() for certificate in certificates)
    return good("TPM certificates", found or "none by its maker; a server can know this TPM by its list alone")


def _issuer(content: bytes) -> str:
    """Some certificates that are in TPMs are too odd to be read here; a server that knows its maker may read them."""
    try:
        issuer = x509.load_der_x509_certificate(_der(content)).issuer
    except ValueError:
        return "(cannot be read here)"
    names = issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if names else issuer.rfc4514_string()
    return "by " + "".join(letter if letter.isprintable() else "?" for letter in name)


def _der(content: bytes) -> bytes:
    """The certificate without what is around it. Raises ValueError."""
    if content.startswith(_PREFIX):
        content = content[_PREFIX_LENGTH:]
    if not content.startswith(_LONG_SEQUENCE):
        raise ValueError("no certificate")
    return content[: 4 + int.from_bytes(content[2:4], "big")]

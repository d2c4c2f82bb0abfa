"""A certificate as a file to take along."""

from __future__ import annotations

from enum import StrEnum

from cryptography import x509

from keystead_enroll.domain.certificate_record import Certificate
from keystead_enroll.domain.certificates import pem_from_der, pkcs7_chain


class CertificateFormat(StrEnum):
    """pem, der: the certificate; chain: its issuing CAs; root: the root CA; p7b: all of them as PKCS#7."""

    PEM = "pem"
    DER = "der"
    CHAIN = "chain"
    P7B = "p7b"
    ROOT = "root"

    @property
    def media_type(self) -> str:
        """What a browser is told that it is."""
        return _MEDIA_TYPES.get(self, "application/x-pem-file")

    def file_name(self, certificate: Certificate) -> str:
        """A name of letters, digits, hyphens and a dot."""
        return {
            CertificateFormat.PEM: f"{certificate.serial}.pem",
            CertificateFormat.DER: f"{certificate.serial}.cer",
            CertificateFormat.CHAIN: f"{certificate.serial}-chain.pem",
            CertificateFormat.P7B: f"{certificate.serial}.p7b",
            CertificateFormat.ROOT: f"{certificate.serial}-root.pem",
        }[self]


_MEDIA_TYPES = {
    CertificateFormat.DER: "application/pkix-cert",
    CertificateFormat.P7B: "application/x-pkcs7-certificates",
}


def certificate_file(certificate: Certificate, wanted: CertificateFormat) -> bytes:
    """The file's content."""
    match wanted:
        case CertificateFormat.PEM:
            return pem_from_der(certificate.der).encode()
        case CertificateFormat.DER:
            return certificate.der
        case CertificateFormat.CHAIN:
            return "".join(certificate.chain_pem).encode()
        case CertificateFormat.ROOT:
            return certificate.root_pem.encode()
        case CertificateFormat.P7B:
            above = [x509.load_pem_x509_certificate(pem.encode()) for pem in certificate.chain_pem]
            root = x509.load_pem_x509_certificate(certificate.root_pem.encode())
            return pkcs7_chain([x509.load_der_x509_certificate(certificate.der), *above, root])

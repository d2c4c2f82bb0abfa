"""Our SAML key: made here, and checked at start."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from keystead_kit.files import file_mistake

KEY_BITS = 3072
VALID = timedelta(days=3652)
MOST_HOST = 64
"""The most characters of a common name (RFC 5280 appendix A.1, ub-common-name)."""
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")


@dataclass(frozen=True)
class SamlKey:
    """A key pair of ours; `certificate` is base64 of DER."""

    key_file: Path
    private: rsa.RSAPrivateKey
    certificate: str

    @classmethod
    def from_files(cls, key_file: Path, certificate_file: Path) -> SamlKey:
        """The key pair in two PEM files. Raises ValueError or OSError."""
        private = load_pem_private_key(key_file.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        if not isinstance(private, rsa.RSAPrivateKey):
            raise ValueError(f"{key_file} does not hold an RSA private key")
        if certificate.public_key() != private.public_key():
            raise ValueError(f"{certificate_file} is no certificate of the key in {key_file}")
        return cls(key_file, private, base64.b64encode(certificate.public_bytes(Encoding.DER)).decode())


def saml_key_mistakes(key_file: Path, certificate_file: Path, host: str) -> dict[str, str]:
    """Why no key pair can be made here, or the one that is there not be kept: argument of `write_saml_key` → why."""
    mistakes = {"key_file": file_mistake(key_file), "certificate_file": file_mistake(certificate_file)}
    if len(host) > MOST_HOST or not _HOST.fullmatch(host):
        mistakes["host"] = (
            f"{host!r} is no host's name of at most {MOST_HOST} characters; give it alone, such as enroll.example.org"
        )
    if key_file.absolute() == certificate_file.absolute():
        mistakes["certificate_file"] = "is the key's file; give the certificate one of its own"
    told = {argument: mistake for argument, mistake in mistakes.items() if mistake}
    if told:
        return told
    if key_file.exists() and not certificate_file.exists():
        return {"certificate_file": f"{certificate_file} is not there, and its key {key_file} is: put it back"}
    if certificate_file.exists() and not key_file.exists():
        return {"certificate_file": f"{certificate_file} is there, and no key: it would be overwritten; move it away"}
    if key_file.exists():
        try:
            SamlKey.from_files(key_file, certificate_file)
        except (ValueError, TypeError, OSError) as error:
            return {"key_file": f"the pair that is there cannot be used: {error}"}
    return {}


def write_saml_key(key_file: Path, certificate_file: Path, host: str) -> bool:
    """Makes an RSA key (mode 0600) and a certificate for it, signed by itself, unless the key is there; whether it was
    made. Identity providers trust the key as they find it in our metadata, not for its name or its issuer."""
    if key_file.exists():
        return False
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    for path in (key_file, certificate_file):
        path.parent.mkdir(parents=True, exist_ok=True)
    key_file.touch(mode=0o600)
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    return True

"""Our SAML key: made here, and checked at start."""

from __future__ import annotations

import base64
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

KEY_BITS = 3072
VALID = timedelta(days=3652)


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


def write_saml_key(key_file: Path, certificate_file: Path, host: str) -> bool:
    """Makes an RSA key (mode 0600) and a certificate for it, signed by itself, unless the key is there; whether it was
    made. Identity providers trust the key as they find it in our metadata, not for its name or its issuer."""
    if key_file.exists():
        return False
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host[:64])])
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

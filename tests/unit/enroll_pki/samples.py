"""Keys, requests and TPM structures for the tests of the certificate part, good and forged."""

from __future__ import annotations

import base64
import random
from functools import cache
from math import isqrt, prod

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from keystead_contracts.agent import TpmEvidence
from keystead_contracts.base import KeyAlgorithm
from keystead_enroll.domain.certificates import SigningKey
from keystead_enroll.domain.keys import PublicKey
from keystead_enroll.domain.names import CertificateNames

ADA = CertificateNames(
    subject=(("O", "Example Ltd"), ("E", "ada@example.org"), ("CN", "Ada Lovelace")),
    emails=("ada@example.org",),
    upn="ada@corp.example.org",
)
WEB = CertificateNames(subject=(("O", "Example Ltd"), ("CN", "www.example.org")), dns_names=("www.example.org",))
PUMP = CertificateNames(
    subject=(("O", "Example Ltd"), ("SERIALNUMBER", "SN-0042"), ("CN", "pump-42")),
    dns_names=("pump-42.plant.example.org",),
)

GOOD_ATTRIBUTES = 0x00040072
"""fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, sign."""


@cache
def key_of(algorithm: KeyAlgorithm) -> SigningKey:
    """One key of each algorithm, made once."""
    if algorithm.startswith("rsa"):
        return rsa.generate_private_key(65537, int(algorithm[4:]))
    return ec.generate_private_key(ec.SECP256R1() if algorithm == KeyAlgorithm.EC_P256 else ec.SECP384R1())


def csr(key: SigningKey, subject: x509.Name, *extensions: x509.ExtensionType) -> x509.CertificateSigningRequest:
    """A request as an agent makes it."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256())


def csr_pem(key: SigningKey, subject: x509.Name, *extensions: x509.ExtensionType) -> str:
    """`csr` in PEM."""
    return csr(key, subject, *extensions).public_bytes(Encoding.PEM).decode()


def pem_of(der: bytes, label: str = "CERTIFICATE REQUEST") -> str:
    """Any octets as a PEM block."""
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n"


def probably_prime(number: int) -> bool:
    """Fermat's test to three bases: enough for samples."""
    return all(pow(base, number - 1, number) == 1 for base in (2, 3, 5))


def next_prime(number: int) -> int:
    """The least (probable) prime from the odd `number` up."""
    number |= 1
    while not probably_prime(number):
        number += 2
    return number


def rsa_key(p: int, q: int) -> rsa.RSAPrivateKey:
    """The private key with these primes and exponent 65537."""
    d = pow(65537, -1, (p - 1) * (q - 1))
    return rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(65537, p * q)
    ).private_key(unsafe_skip_rsa_key_validation=True)


@cache
def roca_key() -> rsa.RSAPrivateKey:
    """A 2048-bit key whose primes are k·M + (65537^a mod M), M the product of the first 126 primes."""
    source = random.Random(2017)
    primes = [n for n in range(2, 702) if all(n % d for d in range(2, isqrt(n) + 1))]
    modulus = prod(primes)

    def flawed_prime() -> int:
        low, high = (0b11 << 1022) // modulus + 1, (1 << 1024) // modulus
        while True:
            candidate = source.randrange(low, high) * modulus + pow(65537, source.getrandbits(250), modulus)
            if candidate.bit_length() == 1024 and probably_prime(candidate):
                return candidate

    return rsa_key(flawed_prime(), flawed_prime())


@cache
def close_primes_key() -> rsa.RSAPrivateKey:
    """A 2048-bit key whose second prime is the next one after the first."""
    p = next_prime(random.Random(1643).getrandbits(1024) | 0b11 << 1022)
    return rsa_key(p, next_prime(p + 2))


def tpm2b(content: bytes) -> bytes:
    """A TPM2B: a 16-bit size and the octets."""
    return len(content).to_bytes(2) + content


def tpmt_public(
    public_key: PublicKey,
    *,
    attributes: int = GOOD_ATTRIBUTES,
    name_alg: int = 0x000B,
    policy: bytes = b"",
    curve: int | None = None,
    exponent: int = 0,
) -> bytes:
    """A TPMT_PUBLIC with no symmetric cipher and an ECDSA or RSASSA SHA-256 scheme."""
    if isinstance(public_key, rsa.RSAPublicKey):
        size = public_key.key_size
        kind = 0x0001
        parameters = bytes.fromhex("0010 0014 000b") + size.to_bytes(2) + exponent.to_bytes(4)
        unique = tpm2b(public_key.public_numbers().n.to_bytes(size // 8))
    else:
        point, octets = public_key.public_numbers(), public_key.key_size // 8
        kind = 0x0023
        curve = curve if curve is not None else {256: 3, 384: 4}[public_key.key_size]
        parameters = bytes.fromhex("0010 0018 000b") + curve.to_bytes(2) + bytes.fromhex("0010")
        unique = tpm2b(point.x.to_bytes(octets)) + tpm2b(point.y.to_bytes(octets))
    return kind.to_bytes(2) + name_alg.to_bytes(2) + attributes.to_bytes(4) + tpm2b(policy) + parameters + unique


def evidence(area: bytes, creation_data: bytes = b"", creation_hash: bytes = b"") -> TpmEvidence:
    """Evidence with these octets."""
    public, data, digest = (base64.b64encode(part).decode() for part in (area, creation_data, creation_hash))
    return TpmEvidence(public_area=public, creation_data=data, creation_hash=digest)

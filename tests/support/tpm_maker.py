"""A TPM manufacturer: a root, an authority under it, certificates for endorsement keys; each right but for what a test
wants wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID, ObjectIdentifier
from tests.support.software_tpm import SigningKey, rsa_key

from keystead_enroll.domain import lenient_der

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
EK_PURPOSE = ObjectIdentifier("2.23.133.8.1")
SERVER_PURPOSE = ObjectIdentifier("1.3.6.1.5.5.7.3.1")
Extension = tuple[x509.ExtensionType, bool]
"""An extension, and whether it is critical."""
_SHA256_RSA, _SHA1_RSA = (bytes.fromhex("06092a864886f70d0101" + last) for last in ("0b", "05"))


def authority_extensions(length: int | None = None, is_authority: bool = True) -> list[Extension]:
    """Those of a CA certificate."""
    return [(x509.BasicConstraints(is_authority, length), True), (_usage("key_cert_sign", "crl_sign"), True)]


def ek_extensions(usage: str = "key_agreement", *, names: int = 3) -> list[Extension]:
    """Those of an endorsement certificate; `names` of manufacturer, model and version."""
    values = ("id:4B455953", "Keystead", "id:00010002")
    attributes = [
        x509.RelativeDistinguishedName([x509.NameAttribute(ObjectIdentifier(f"2.23.133.2.{number}"), value)])
        for number, value in enumerate(values[:names], 1)
    ]
    return [
        (x509.BasicConstraints(False, None), True),
        (_usage(usage), True),
        (x509.ExtendedKeyUsage([EK_PURPOSE]), False),
        (x509.SubjectAlternativeName([x509.DirectoryName(x509.Name(attributes))]), True),
    ]


def replaced(extensions: list[Extension], *new: Extension) -> list[Extension]:
    """`extensions`, with `new` in the place of those of the same kind."""
    kinds = {type(extension) for extension, _ in new}
    return [pair for pair in extensions if type(pair[0]) not in kinds] + list(new)


def _usage(*wanted: str) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in wanted for name in every})


def key_usage(wanted: str) -> Extension:
    """A key usage of one."""
    return _usage(wanted), True


@dataclass(frozen=True)
class Authority:
    """Who signs certificates, with RSA and SHA-256."""

    name: str
    key: rsa.RSAPrivateKey
    der: bytes

    @classmethod
    def root(cls, name: str = "Chips Root", which: int = 90, **changes: timedelta) -> Authority:
        """A root of its own."""
        key = rsa_key(2048, which)
        return cls(name, key, _issue(name, name, key, key, authority_extensions(), **changes))

    def authority(self, extensions: Sequence[Extension] | None = None, **changes: timedelta) -> Authority:
        """One under it."""
        key = rsa_key(2048, 91)
        made = _issue("Chips CA", self.name, key, self.key, extensions or authority_extensions(0), **changes)
        return Authority("Chips CA", key, made)

    def certify(
        self,
        key: SigningKey,
        extensions: Sequence[Extension] | None = None,
        **changes: timedelta,
    ) -> bytes:
        """An endorsement certificate in DER."""
        usage = "key_encipherment" if isinstance(key, rsa.RSAPrivateKey) else "key_agreement"
        return _issue("", self.name, key, self.key, extensions or ek_extensions(usage), **changes)

    def revoked(self, *serials: int, extension: x509.ExtensionType | None = None) -> bytes:
        """A revocation list in DER; `extension`: something critical in it."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(_name(self.name))
        builder = builder.last_update(NOW - YEAR / 12).next_update(NOW + YEAR / 12)
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - YEAR / 12).build()
            builder = builder.add_revoked_certificate(entry)
        if extension is not None:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def resigned(self, der: bytes, change: Callable[[bytes], bytes]) -> bytes:
        """`der` with its to-be-signed part changed, signed again."""
        signed, algorithm, _ = lenient_der.elements(lenient_der.first(der).content)
        tbs = change(signed.raw)
        return _sequence(tbs + algorithm.raw + _bits(self.key.sign(tbs, padding.PKCS1v15(), hashes.SHA256())))

    def resigned_with_sha1(self, der: bytes) -> bytes:
        """`der`, signed over SHA-1."""
        signed, algorithm, _ = lenient_der.elements(lenient_der.first(der).content)
        tbs = signed.raw.replace(_SHA256_RSA, _SHA1_RSA)
        signature = self.key.sign(tbs, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 a forgery
        return _sequence(tbs + algorithm.raw.replace(_SHA256_RSA, _SHA1_RSA) + _bits(signature))


def names_of_places(issuer: str = "", revocations: str = "") -> list[Extension]:
    """Where a certificate's issuer and its revocation list are to be had."""
    found: list[Extension] = []
    if issuer:
        place = x509.UniformResourceIdentifier(issuer)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
        found.append((x509.AuthorityInformationAccess([access]), False))
    if revocations:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(revocations)], None, None, None)
        found.append((x509.CRLDistributionPoints([point]), False))
    return found


def subordinate(issuer: Authority, name: str, key: rsa.RSAPrivateKey, *more: Extension) -> bytes:
    """The certificate of an authority under `issuer`, with `more` extensions."""
    return _issue(name, issuer.name, key, issuer.key, [*authority_extensions(0), *more])


def _issue(
    subject: str,
    issuer: str,
    key: SigningKey,
    issuer_key: rsa.RSAPrivateKey,
    extensions: Sequence[Extension],
    *,
    since: timedelta = -YEAR,
    until: timedelta = YEAR,
) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + since)
        .not_valid_after(NOW + until)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.DER)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])


def _sequence(content: bytes) -> bytes:
    return b"\x30\x82" + len(content).to_bytes(2) + content


def _bits(content: bytes) -> bytes:
    return b"\x03\x82" + (len(content) + 1).to_bytes(2) + b"\0" + content


def as_oaep(tbs: bytes) -> bytes:
    """The RSA key's algorithm renamed to RSAES-OAEP (the last place where rsaEncryption stands)."""
    head, found, tail = tbs.rpartition(bytes.fromhex("06092a864886f70d010101"))
    assert found
    return head + bytes.fromhex("06092a864886f70d010107") + tail

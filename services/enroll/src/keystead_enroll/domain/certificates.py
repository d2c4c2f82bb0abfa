"""Certificates, from plan to bytes (RFC 5280).

Issuance signs twice. `precertify` signs the planned certificate with a throw-away key: the result has, to the
octet, the to-be-signed part of the certificate to come, can be linted and stored as the intent, and is worth nothing
to anybody. The CA then signs that very part with the issuing key (`sign_tbs`), and puts the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from keystead_contracts.base import CertificateType
from keystead_contracts.words import Words
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.errors import CaUnusable, TemplateInvalid
from keystead_enroll.domain.key_usages import DECIPHERING, DEFAULT_KEY_USAGES, KeyUsage, usages_of_key
from keystead_enroll.domain.keys import RSA_EXPONENT, PublicKey, key_algorithm_of
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.tbs import BIT_STRING, SEQUENCE, Tbs, encode

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""The kinds of key that a CA here signs with."""


_EKU_NAMES: Mapping[str, x509.ObjectIdentifier] = {
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "smartcardLogon": ExtendedKeyUsageOID.SMARTCARD_LOGON,
    "codeSigning": ExtendedKeyUsageOID.CODE_SIGNING,
    "documentSigning": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),
}

DEFAULT_EXTENDED_KEY_USAGES: Mapping[CertificateType, tuple[str, ...]] = {
    CertificateType.CLIENT: ("clientAuth", "emailProtection"),
    CertificateType.DEVICE: ("clientAuth",),
    CertificateType.SSL: ("serverAuth",),
}
"""What a profile's certificates are for if it does not say."""

ALLOWED_EXTENDED_KEY_USAGES: Mapping[CertificateType, tuple[str, ...]] = {
    CertificateType.CLIENT: ("clientAuth", "emailProtection", "smartcardLogon", "documentSigning"),
    CertificateType.DEVICE: ("clientAuth", "serverAuth"),
    CertificateType.SSL: ("serverAuth", "clientAuth"),
}
"""What a profile's certificates may be for."""


def extended_key_usage_oid(text: str) -> x509.ObjectIdentifier:
    """The purpose that a profile writes by name (`clientAuth`) or dotted OID. Raises TemplateInvalid."""
    return _EKU_NAMES.get(text) or object_identifier(text)


def object_identifier(dotted: str) -> x509.ObjectIdentifier:
    """The OID `dotted`. Raises TemplateInvalid."""
    try:
        return x509.ObjectIdentifier(dotted)
    except ValueError:
        raise TemplateInvalid(Words("“{dotted}” is neither a known purpose nor a dotted OID", dotted=dotted)) from None


@dataclass(frozen=True)
class CertificatePlan:
    """Everything in a certificate but its issuer. Times are UTC and whole seconds; `serial` is made by `new_serial`."""

    names: CertificateNames
    public_key: PublicKey
    serial: int
    not_before: datetime
    not_after: datetime
    key_usages: frozenset[KeyUsage]
    extended_key_usages: tuple[str, ...]
    policies: tuple[str, ...] = ()
    ca_issuers_url: str | None = None
    ocsp_url: str | None = None
    crl_url: str | None = None


def plan_for(
    profile: CertificateProfile,
    names: CertificateNames,
    public_key: PublicKey,
    serial: int,
    valid: tuple[datetime, datetime],
    level_policy: str | None = None,
    all_level_policies: Collection[str] = (),
    *,
    signs_only: bool = False,
) -> CertificatePlan:
    """The certificate that `profile` gives these names and this key, `valid` from and until. `level_policy` is the
    certificate policy (RFC 5280 section 4.2.1.4) that says how sure it is where the key is; what the profile itself
    says with one of `all_level_policies` is left out. `signs_only`: the key does no more, as those of the agent. Raises
    TemplateInvalid if the profile gives usages that are nothing for this key."""
    usages = frozenset(profile.key_usages or DEFAULT_KEY_USAGES)
    able = set(usages_of_key(key_algorithm_of(public_key))) - (DECIPHERING if signs_only else set())
    if not usages <= able:
        raise TemplateInvalid(Words("the profile's key usages are not for this key"))
    levels = {x509.ObjectIdentifier(each) for each in all_level_policies}  # which may be written in more than one way
    own = [each for each in profile.policy_oids if not levels or x509.ObjectIdentifier(each) not in levels]
    policies = [*own, *([level_policy] if level_policy else [])]
    return CertificatePlan(
        names=names,
        public_key=public_key,
        serial=serial,
        not_before=valid[0],
        not_after=valid[1],
        key_usages=usages,
        extended_key_usages=tuple(profile.extended_key_usages) or DEFAULT_EXTENDED_KEY_USAGES[profile.certificate_type],
        policies=tuple(dict.fromkeys(policies)),
    )


def new_serial(random_bytes: Callable[[int], bytes]) -> int:
    """A serial number with 128 random bits: positive, 17 octets (RFC 5280 section 4.1.2.2 allows 20)."""
    return 1 << 128 | int.from_bytes(random_bytes(16))


def validity(now: datetime, term: timedelta, skew: timedelta, issuer: x509.Certificate) -> tuple[datetime, datetime]:
    """(not_before, not_after) of a certificate issued at `now` (aware) for `term`.

    It begins `skew` ago, because the clocks of those who check it may be behind, and lasts `term` to the second, both
    ends included (RFC 5280 section 4.1.2.5); but never begins before the issuer's certificate or ends after it.
    Raises CaUnusable if the issuer's certificate is not valid now.
    """
    if not issuer.not_valid_before_utc <= now < issuer.not_valid_after_utc:
        raise CaUnusable("the issuing CA's certificate is not valid now")
    second = now.astimezone(UTC).replace(microsecond=0)
    not_before = max(second - skew, issuer.not_valid_before_utc)
    not_after = min(second - skew + term - timedelta(seconds=1), issuer.not_valid_after_utc)
    if not_after <= second:
        raise TemplateInvalid("the profile's validity term is not longer than the clock skew")
    return not_before, not_after


def precertify(plan: CertificatePlan, issuer_certificate: x509.Certificate) -> x509.Certificate:
    """The planned certificate, signed by a throw-away key of the issuing key's kind: the intent.

    Its `tbs_certificate_bytes` are those of the certificate to come. Raises TemplateInvalid for a purpose or policy
    that is no OID, CaUnusable if the issuer's certificate has no subject key identifier.
    """
    return sign_worthless(plan_builder(plan, issuer_certificate), issuer_certificate)


def sign_worthless(builder: x509.CertificateBuilder, issuer_certificate: x509.Certificate) -> x509.Certificate:
    """Signed by a throw-away key of the issuing key's kind."""
    return sign_builder(builder, _throw_away_key(issuer_certificate))


def plan_builder(plan: CertificatePlan, issuer_certificate: x509.Certificate) -> x509.CertificateBuilder:
    """The plan as an end-entity certificate of `issuer_certificate`, its extensions in one fixed order."""
    subject = plan.names.x509_name()
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issuer_certificate.subject)
        .subject_name(subject)
        .public_key(plan.public_key)
        .serial_number(plan.serial)
        .not_valid_before(plan.not_before)
        .not_valid_after(plan.not_after)
    )
    for extension, critical in _extensions(plan, issuer_certificate):
        builder = builder.add_extension(extension, critical)
    return builder


def _extensions(
    plan: CertificatePlan, issuer_certificate: x509.Certificate
) -> Iterable[tuple[x509.ExtensionType, bool]]:
    """(extension, critical) as RFC 5280 section 4.2 wants them."""
    yield authority_key_identifier(issuer_certificate), False
    yield x509.SubjectKeyIdentifier.from_public_key(plan.public_key), False
    yield key_usage(plan.key_usages), True
    yield x509.BasicConstraints(ca=False, path_length=None), True
    if plan.extended_key_usages:
        yield x509.ExtendedKeyUsage([extended_key_usage_oid(text) for text in plan.extended_key_usages]), False
    if alternatives := plan.names.general_names():
        yield x509.SubjectAlternativeName(alternatives), not plan.names.subject
    if plan.policies:
        policies = [x509.PolicyInformation(object_identifier(dotted), None) for dotted in plan.policies]
        yield x509.CertificatePolicies(policies), False
    if plan.crl_url is not None:
        yield x509.CRLDistributionPoints([x509.DistributionPoint([_uri(plan.crl_url)], None, None, None)]), False
    access = (
        (AuthorityInformationAccessOID.OCSP, plan.ocsp_url),
        (AuthorityInformationAccessOID.CA_ISSUERS, plan.ca_issuers_url),
    )
    descriptions = [x509.AccessDescription(method, _uri(url)) for method, url in access if url is not None]
    if descriptions:
        yield x509.AuthorityInformationAccess(descriptions), False


def _uri(url: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(url)


def authority_key_identifier(issuer_certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The identifier of the issuer's key, equal to its certificate's subject key identifier (RFC 5280 section 4.2.1.1).
    Raises CaUnusable if the certificate has none."""
    try:
        identifier = issuer_certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        raise CaUnusable("the CA certificate has no subject key identifier (RFC 5280 section 4.2.1.2)") from None
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def key_usage(usages: Iterable[KeyUsage], *, cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    """The keyUsage extension with exactly these bits."""
    wanted = frozenset(usages)
    return x509.KeyUsage(
        digital_signature=KeyUsage.DIGITAL_SIGNATURE in wanted,
        content_commitment=KeyUsage.CONTENT_COMMITMENT in wanted,
        key_encipherment=KeyUsage.KEY_ENCIPHERMENT in wanted,
        data_encipherment=KeyUsage.DATA_ENCIPHERMENT in wanted,
        key_agreement=KeyUsage.KEY_AGREEMENT in wanted,
        key_cert_sign=cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def sign_tbs(tbs: Tbs, key: SigningKey) -> bytes:
    """The certificate (DER) with these to-be-signed octets and their signature by `key` (RFC 5280 section 4.1.1.3).
    Raises ValueError if it says of itself that it is signed in another way than `key` signs."""
    if tbs.signature != _SIGNATURE_ALGORITHMS[_kind_of(key)]:
        raise ValueError("it is to be signed with another algorithm than this key's")
    chosen = signature_hash(key)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        signature = key.sign(tbs.raw, ec.ECDSA(chosen))
    else:
        signature = key.sign(tbs.raw, padding.PKCS1v15(), chosen)
    return encode(SEQUENCE, tbs.raw + tbs.signature + encode(BIT_STRING, b"\0" + signature))


_SIGNATURE_ALGORITHMS = {
    "rsa": bytes.fromhex("300d06092a864886f70d01010b0500"),
    "ec with SHA-256": bytes.fromhex("300a06082a8648ce3d040302"),
    "ec with SHA-384": bytes.fromhex("300a06082a8648ce3d040303"),
}
"""How `signature_hash` signs → the AlgorithmIdentifier (RFC 4055 section 5, RFC 5758 section 3.2)."""


def _kind_of(key: SigningKey) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "rsa"
    return "ec with SHA-384" if isinstance(signature_hash(key), hashes.SHA384) else "ec with SHA-256"


def sign_builder(builder: x509.CertificateBuilder, key: SigningKey) -> x509.Certificate:
    """Signed with the hash that fits the key: SHA-384 for P-384, else SHA-256."""
    return builder.sign(key, signature_hash(key))


def signature_hash(key: SigningKey) -> hashes.SHA256 | hashes.SHA384:
    """The hash for signatures by `key`, as strong as the key (NIST SP 800-57 part 1, section 5.6.2)."""
    return hashes.SHA384() if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256 else hashes.SHA256()


def _throw_away_key(issuer_certificate: x509.Certificate) -> SigningKey:
    """A key that gives the same signature algorithm as the issuing key. An EC key is new each time; an RSA key, slow to
    make, is new for each process: what it signs is never trusted either way."""
    issuing_key = issuer_certificate.public_key()
    if isinstance(issuing_key, ec.EllipticCurvePublicKey):
        return ec.generate_private_key(issuing_key.curve)
    return _throw_away_rsa_key()


@cache
def _throw_away_rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(RSA_EXPONENT, 2048)


def pem(certificate: x509.Certificate) -> str:
    """The certificate as one PEM block (RFC 7468 section 5)."""
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def der(certificate: x509.Certificate) -> bytes:
    """The certificate in DER."""
    return certificate.public_bytes(Encoding.DER)


def pem_from_der(certificate_der: bytes) -> str:
    """The DER certificate as one PEM block. Raises ValueError if it is no certificate."""
    return pem(x509.load_der_x509_certificate(certificate_der))


def pkcs7_chain(certificates: Sequence[x509.Certificate]) -> bytes:
    """A certificates-only PKCS#7 SignedData in DER (RFC 2315 section 9.1; `.p7b`): a set, so without their order."""
    return pkcs7.serialize_certificates(list(certificates), Encoding.DER)


def sha1_thumbprint(certificate: x509.Certificate) -> str:
    """SHA-1 over the DER, 40 upper-case hex digits: what Windows shows as thumbprint. A label, not a safeguard."""
    return certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303


def sha256_fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 over the DER, 64 lower-case hex digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.enroll_pki.samples import ADA, PUMP, WEB, key_of

from keystead_contracts.base import CertificateType, KeyAlgorithm, serial_hex
from keystead_enroll.domain.certificates import (
    DEFAULT_EXTENDED_KEY_USAGES,
    CertificatePlan,
    SigningKey,
    der,
    extended_key_usage_oid,
    key_usage,
    new_serial,
    pem,
    pem_from_der,
    pkcs7_chain,
    plan_for,
    precertify,
    sha1_thumbprint,
    sha256_fingerprint,
    sign_builder,
    sign_tbs,
    validity,
)
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.errors import CaUnusable, TemplateInvalid
from keystead_enroll.domain.key_usages import DEFAULT_KEY_USAGES, KeyUsage
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.tbs import parse_tbs

NOW = datetime(2026, 11, 23, 12, 30, 15, 999_999, tzinfo=UTC)
FIXED_KEY = ec.derive_private_key(0x4B65797374656164, ec.SECP256R1())
FIXED_ISSUING_KEY = ec.derive_private_key(0x69737375696E67, ec.SECP256R1())
GOLDEN_TBS_SHA256 = "ad763d09d79fa215a225b816f04936aad98f6ff2440b12c2d461a286aa2585c9"
"""SHA-256 of the to-be-signed part of `_plan()`: a change here changes what every customer's certificates look like."""


def _issuer(
    key: SigningKey,
    begin: datetime = datetime(2026, 11, 23, tzinfo=UTC),
    end: datetime = datetime(2031, 11, 22, 23, 59, 59, tzinfo=UTC),
    *,
    key_identifier: bool = True,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Example Issuing CA")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1 << 64, begin, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    if key_identifier:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return sign_builder(builder.add_extension(key_usage((), cert_sign=True), critical=True), key)


ISSUER = _issuer(FIXED_ISSUING_KEY)


def _plan(names: CertificateNames = ADA, kind: CertificateType = CertificateType.CLIENT) -> CertificatePlan:
    begin, end = validity(NOW, timedelta(days=90), timedelta(minutes=5), ISSUER)
    return CertificatePlan(
        names=names,
        public_key=FIXED_KEY.public_key(),
        serial=new_serial(lambda count: bytes(range(count))),
        not_before=begin,
        not_after=end,
        key_usages=frozenset(DEFAULT_KEY_USAGES),
        extended_key_usages=DEFAULT_EXTENDED_KEY_USAGES[kind],
        policies=("1.3.6.1.4.1.32473.1",),
        ca_issuers_url="http://ca.example.org/issuing.cer",
        ocsp_url="http://ca.example.org/ocsp",
        crl_url="http://ca.example.org/issuing.crl",
    )


def test_a_certificate_has_the_extensions_of_rfc_5280_with_the_right_criticality() -> None:
    certificate = precertify(_plan(), ISSUER)
    assert certificate.version is x509.Version.v3
    assert {extension.oid: extension.critical for extension in certificate.extensions} == {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER: False,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER: False,
        ExtensionOID.KEY_USAGE: True,
        ExtensionOID.BASIC_CONSTRAINTS: True,
        ExtensionOID.EXTENDED_KEY_USAGE: False,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME: False,
        ExtensionOID.CERTIFICATE_POLICIES: False,
        ExtensionOID.CRL_DISTRIBUTION_POINTS: False,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS: False,
    }
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints == x509.BasicConstraints(ca=False, path_length=None)
    identifier = ISSUER.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert (
        certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == identifier
    )
    assert certificate.subject == ADA.x509_name()
    assert certificate.issuer == ISSUER.subject


def test_the_alternative_name_is_critical_only_when_the_subject_is_empty() -> None:
    nameless = precertify(_plan(CertificateNames(subject=(), dns_names=("www.example.org",))), ISSUER)
    assert nameless.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
    assert nameless.subject == x509.Name([])


def test_a_certificate_without_alternative_names_has_no_such_extension() -> None:
    certificate = precertify(_plan(CertificateNames(subject=(("CN", "pump"),))), ISSUER)
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


@pytest.mark.parametrize(
    ("kind", "purposes"),
    [
        (CertificateType.CLIENT, [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION]),
        (CertificateType.DEVICE, [ExtendedKeyUsageOID.CLIENT_AUTH]),
        (CertificateType.SSL, [ExtendedKeyUsageOID.SERVER_AUTH]),
    ],
)
def test_each_type_has_its_purposes(kind: CertificateType, purposes: list[x509.ObjectIdentifier]) -> None:
    certificate = precertify(_plan(kind=kind), ISSUER)
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == purposes


def test_a_key_that_only_signs_is_not_said_to_encipher() -> None:
    certificate = precertify(_plan(), ISSUER)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_encipherment
    assert not usage.key_agreement


@pytest.mark.parametrize(
    ("key", "usage", "signs_only"),
    [
        (FIXED_KEY, KeyUsage.KEY_ENCIPHERMENT, False),
        (FIXED_KEY, KeyUsage.KEY_AGREEMENT, True),
        (key_of(KeyAlgorithm.RSA_2048), KeyUsage.KEY_AGREEMENT, False),
        (key_of(KeyAlgorithm.RSA_2048), KeyUsage.KEY_ENCIPHERMENT, True),
    ],
    ids=["EC enciphers", "EC that signs only", "RSA agrees", "RSA that signs only"],
)
def test_a_key_is_never_said_to_do_what_it_cannot(key: SigningKey, usage: KeyUsage, signs_only: bool) -> None:
    profile = CertificateProfile(
        "p", "Person", "", CertificateType.CLIENT, list(KeyAlgorithm), [90], "CN={name}", [],
        key_usages=[KeyUsage.DIGITAL_SIGNATURE, usage],
    )  # fmt: skip
    with pytest.raises(TemplateInvalid, match="key usages are not for this key"):
        plan_for(profile, ADA, key.public_key(), 1, (NOW, NOW), signs_only=signs_only)


def test_a_purpose_is_a_name_or_an_oid() -> None:
    assert extended_key_usage_oid("smartcardLogon") == ExtendedKeyUsageOID.SMARTCARD_LOGON
    assert extended_key_usage_oid("1.3.6.1.5.5.7.3.17").dotted_string == "1.3.6.1.5.5.7.3.17"
    for bad in ("webServer", "", "1", "9.9.9"):
        with pytest.raises(TemplateInvalid):
            extended_key_usage_oid(bad)
    with pytest.raises(TemplateInvalid):
        precertify(replace(_plan(), policies=("policy",)), ISSUER)


@given(st.binary(min_size=16, max_size=16))
def test_a_serial_is_positive_short_and_carries_all_its_random_bits(random: bytes) -> None:
    serial = new_serial(lambda count: random[:count])
    assert serial.bit_length() == 129
    assert serial.to_bytes(17)[1:] == random


def test_a_validity_is_backdated_and_lasts_exactly_the_term() -> None:
    begin, end = validity(NOW, timedelta(days=90), timedelta(minutes=5), ISSUER)
    assert begin == datetime(2026, 11, 23, 12, 25, 15, tzinfo=UTC)
    assert end - begin + timedelta(seconds=1) == timedelta(days=90)


def test_a_validity_stays_within_the_issuer_s() -> None:
    begin, end = validity(NOW, timedelta(days=4000), timedelta(days=30), ISSUER)
    assert begin == ISSUER.not_valid_before_utc
    assert end == ISSUER.not_valid_after_utc


@pytest.mark.parametrize("now", [datetime(2026, 11, 22, tzinfo=UTC), datetime(2031, 11, 23, tzinfo=UTC)])
def test_an_issuer_that_is_not_valid_now_issues_nothing(now: datetime) -> None:
    with pytest.raises(CaUnusable, match="not valid now"):
        validity(now, timedelta(days=90), timedelta(minutes=5), ISSUER)


def test_a_term_shorter_than_the_skew_is_refused() -> None:
    with pytest.raises(TemplateInvalid):
        validity(NOW, timedelta(minutes=5), timedelta(minutes=5), ISSUER)


def test_an_issuer_without_key_identifier_is_refused() -> None:
    with pytest.raises(CaUnusable, match="subject key identifier"):
        precertify(_plan(), _issuer(FIXED_ISSUING_KEY, key_identifier=False))


def test_the_same_plan_always_gives_the_same_octets() -> None:
    first, second = (precertify(_plan(), ISSUER) for _ in range(2))
    assert first.tbs_certificate_bytes == second.tbs_certificate_bytes
    assert hashlib.sha256(first.tbs_certificate_bytes).hexdigest() == GOLDEN_TBS_SHA256


@pytest.mark.parametrize("names", [ADA, WEB, PUMP], ids=["client", "ssl", "device"])
@pytest.mark.parametrize("algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384, KeyAlgorithm.RSA_3072])
def test_a_signed_intent_has_identical_octets(names: CertificateNames, algorithm: KeyAlgorithm) -> None:
    key = key_of(algorithm)
    intent = precertify(replace(_plan(), names=names), _issuer(key))
    final = x509.load_der_x509_certificate(sign_tbs(parse_tbs(der(intent)), key))
    assert final.tbs_certificate_bytes == intent.tbs_certificate_bytes
    final.verify_directly_issued_by(_issuer(key))


def test_times_from_2050_on_survive_the_signing() -> None:
    issuer = _issuer(FIXED_ISSUING_KEY, end=datetime(2080, 1, 1, tzinfo=UTC))
    plan = replace(_plan(), not_after=datetime(2060, 1, 1, tzinfo=UTC))
    intent = precertify(plan, issuer)
    signed = x509.load_der_x509_certificate(sign_tbs(parse_tbs(der(intent)), FIXED_ISSUING_KEY))
    assert signed.not_valid_after_utc == plan.not_after
    assert signed.tbs_certificate_bytes == intent.tbs_certificate_bytes


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048])
def test_an_intent_is_worth_nothing_to_who_steals_it(algorithm: KeyAlgorithm) -> None:
    issuer = _issuer(key_of(algorithm))
    with pytest.raises(InvalidSignature):
        precertify(_plan(), issuer).verify_directly_issued_by(issuer)


def test_an_ec_intent_is_signed_by_a_new_key_each_time() -> None:
    one, other = (precertify(_plan(), ISSUER) for _ in range(2))
    assert one.signature != other.signature


def test_key_usage_sets_exactly_the_bits_asked_for() -> None:
    for usage in KeyUsage:
        extension = key_usage({usage})
        bits = {
            KeyUsage.DIGITAL_SIGNATURE: extension.digital_signature,
            KeyUsage.CONTENT_COMMITMENT: extension.content_commitment,
            KeyUsage.KEY_ENCIPHERMENT: extension.key_encipherment,
            KeyUsage.DATA_ENCIPHERMENT: extension.data_encipherment,
            KeyUsage.KEY_AGREEMENT: extension.key_agreement,
        }
        assert [name for name, on in bits.items() if on] == [usage]
        assert not extension.key_cert_sign and not extension.crl_sign


def test_forms_in_which_a_certificate_is_shown_and_downloaded() -> None:
    certificate = precertify(_plan(), ISSUER)
    assert pem_from_der(der(certificate)) == pem(certificate)
    assert set(pkcs7.load_der_pkcs7_certificates(pkcs7_chain([certificate, ISSUER]))) == {certificate, ISSUER}
    assert sha1_thumbprint(certificate) == hashlib.sha1(der(certificate)).hexdigest().upper()  # noqa: S324 a label
    assert sha256_fingerprint(certificate) == hashlib.sha256(der(certificate)).hexdigest()
    assert serial_hex(certificate.serial_number) == "01000102030405060708090a0b0c0d0e0f"


def test_an_rsa_intent_names_the_issuing_key_s_signature_algorithm() -> None:
    key = key_of(KeyAlgorithm.RSA_3072)
    assert isinstance(key, rsa.RSAPrivateKey)
    intent = precertify(_plan(), _issuer(key))
    assert intent.signature_algorithm_oid == x509.SignatureAlgorithmOID.RSA_WITH_SHA256

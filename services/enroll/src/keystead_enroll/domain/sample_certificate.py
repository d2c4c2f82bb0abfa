"""A sample of what a certificate profile would issue, and what a linter has against it, field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from keystead_contracts.base import KeyAlgorithm
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Sentences, Words
from keystead_enroll.domain.certificates import (
    der,
    key_usage,
    new_serial,
    object_identifier,
    plan_for,
    precertify,
    sign_builder,
    validity,
)
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.errors import NameNotAllowed
from keystead_enroll.domain.keys import RSA_EXPONENT, PublicKey
from keystead_enroll.domain.lint import Finding
from keystead_enroll.domain.name_templates import NameTemplate, build_names
from keystead_enroll.domain.names import CertificateNames

SAMPLE_FACTS = {
    "name": "Ada Lovelace", "given_name": "Ada", "surname": "Lovelace", "email": "ada.lovelace@example.org",
    "upn": "ada.lovelace@example.org", "uid": "alovelace", "organization": "Example Organization",
    "department": "Example Department", "country": "GB", "state": "London", "locality": "London",
    "device_name": "laptop-042.example.org", "fqdn": "laptop-042.example.org", "serial_number": "5CD042",
}  # fmt: skip
"""Somebody, and some machine, who do not exist (RFC 2606)."""

_PLACES = (
    ("subjectaltname", "subject_alternative_names"),
    ("subject_alternative_name", "subject_alternative_names"),
    ("general_name", "subject_alternative_names"),
    ("certificatepolic", "policy_oids"),
    ("certificate_polic", "policy_oids"),
    ("extkeyusage", "extended_key_usages"),
    ("extended_key_usage", "extended_key_usages"),
    ("keyusage", "key_usages"),
    ("key_usage", "key_usages"),
    ("validity", "term_days"),
    ("subjectpublickeyinfo", "key_algorithms"),
    (".subject.", "subject"),
)
"""What a finding's code or place has in it → the profile's field that it comes from."""
_LONGEST = 500
Lint = Callable[[bytes], Sequence[Finding]]


def sample_mistakes(
    profile: CertificateProfile, lint: Lint, now: datetime, random_bytes: Callable[[int], bytes]
) -> dict[str, str]:
    """What `lint` refuses in certificates that `profile` would issue, one for each of its key algorithms, for its
    longest term: field name → sentence, "form" where no field is to blame. They are built as issuance does, with
    throw-away keys, and are signed by nobody."""
    told: dict[str, str] = {}
    names = _names(profile, told)
    _check_policies(profile, told)
    if names is None or told:
        return told
    return mistakes_with(profile, names, lint, now, random_bytes)


def mistakes_with(
    profile: CertificateProfile,
    names: CertificateNames,
    lint: Lint,
    now: datetime,
    random_bytes: Callable[[int], bytes],
) -> dict[str, str]:
    """As `sample_mistakes`, of certificates with these names."""
    told: dict[str, str] = {}
    for sample in _samples(profile, names, now, random_bytes):
        for finding in lint(der(sample)):
            if finding.refuses:
                words = Words("A sample certificate would violate RFC 5280: {finding}", finding=str(finding)[:_LONGEST])
                told.setdefault(_field_of(finding, sample), Sentences(words))
    return told


def _names(profile: CertificateProfile, told: dict[str, str]) -> CertificateNames | None:
    subject, sans = profile.subject, profile.subject_alternative_names
    try:
        template = NameTemplate.parse(profile.certificate_type, subject, sans)
        return build_names(template, {name: SAMPLE_FACTS[name] for name in template.variables})
    except Refusal as refusal:
        mistake = refusal
    try:
        build_names(NameTemplate.parse(profile.certificate_type, subject, []), SAMPLE_FACTS)
        blamed = "subject_alternative_names"
    except Refusal:
        blamed = "subject" if subject.strip() else "subject_alternative_names"
    told[blamed] = Sentences(mistake.detail, "" if isinstance(mistake, NameNotAllowed) else mistake.advice)
    return None


def _check_policies(profile: CertificateProfile, told: dict[str, str]) -> None:
    for dotted in profile.policy_oids:
        try:
            object_identifier(dotted)
        except Refusal:
            told["policy_oids"] = Words(
                "“{dotted}” is no object identifier, such as {example}.", dotted=dotted, example="1.3.6.1.4.1.32473.1"
            )


def _samples(
    profile: CertificateProfile, names: CertificateNames, now: datetime, random_bytes: Callable[[int], bytes]
) -> Iterator[x509.Certificate]:
    term = timedelta(days=max(profile.term_days))
    issuer = _issuer(now, term)
    for algorithm in profile.key_algorithms:
        valid = validity(now, term, timedelta(minutes=1), issuer)
        yield precertify(plan_for(profile, names, _key(algorithm), new_serial(random_bytes), valid), issuer)


def _issuer(now: datetime, term: timedelta) -> x509.Certificate:
    """An issuing CA that outlives the sample."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = CertificateNames(subject=(("O", "Example Organization"), ("CN", "Sample Issuing CA"))).x509_name()
    day = timedelta(days=1)
    return sign_builder(
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + term + day)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage((), cert_sign=True), critical=True),
        key,
    )


def _key(algorithm: KeyAlgorithm) -> PublicKey:
    """A public key of the right form. An RSA one takes long to make, so it is none that anybody has the other half of:
    a linter looks at its size and exponent."""
    if algorithm is KeyAlgorithm.EC_P256:
        return ec.generate_private_key(ec.SECP256R1()).public_key()
    if algorithm is KeyAlgorithm.EC_P384:
        return ec.generate_private_key(ec.SECP384R1()).public_key()
    size = int(algorithm.removeprefix("rsa-"))
    return rsa.RSAPublicNumbers(RSA_EXPONENT, (1 << (size - 1)) | 1).public_key()


def _field_of(finding: Finding, sample: x509.Certificate) -> str:
    """The profile's field that a finding is about; "form" if it is none."""
    place = f"{finding.where}. {finding.code}. {_extension_at(finding.where, sample)}".lower()
    return next((name for part, name in _PLACES if part in place), "form")


def _extension_at(where: str, sample: x509.Certificate) -> str:
    """The name of the extension that a path such as `certificate.tbsCertificate.extensions.4…` leads into."""
    _, found, rest = where.partition(".extensions.")
    number = rest.partition(".")[0]
    extensions = list(sample.extensions)
    return extensions[int(number)].oid._name if found and number.isdigit() and int(number) < len(extensions) else ""

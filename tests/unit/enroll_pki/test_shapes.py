"""Linting by shape: what a full lint would refuse is refused without it as well."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.enroll_pki.samples import ADA, PUMP, WEB, key_of
from tests.unit.enroll_pki.test_certificates import FIXED_ISSUING_KEY, ISSUER, _issuer, _plan

from keystead_contracts.base import AssuranceLevel, CertificateType, KeyAlgorithm
from keystead_enroll.adapters.pkilint_linter import PkilintLinter
from keystead_enroll.adapters.shape_memory import ProcessShapeMemory
from keystead_enroll.domain.certificates import CertificatePlan, der, precertify
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.errors import CertificateLintFailed
from keystead_enroll.domain.lint import Finding, Severity
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.shapes import (
    GENERALIZED_TIME,
    SUBJECT_ALTERNATIVE_NAME,
    UTC_TIME,
    HowLinted,
    Shape,
    check_values,
    how_to_lint,
    profile_digest,
    shape_of,
)
from keystead_enroll.domain.tbs import (
    BIT_STRING,
    BOOLEAN,
    EXTENSIONS,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    Extension,
    Tbs,
    TbsMalformed,
    elements,
    encode,
    encode_oid,
    parse_tbs,
)
from keystead_enroll.usecases.inspect_certificate import Inspection

FULL_NAMES = CertificateNames(
    subject=(("C", "DE"), ("O", "Example Ltd"), ("SERIALNUMBER", "SN-1"), ("E", "ada@example.org"), ("CN", "Ada")),
    dns_names=("www.example.org",),
    emails=("ada@example.org",),
    upn="ada@corp.example.org",
    uris=("https://www.example.org/ada",),
)
"""One name of every kind."""
ONE = der(precertify(_plan(FULL_NAMES), ISSUER))
OTHER_KEY = ec.derive_private_key(0x6F74686572, ec.SECP256R1()).public_key()


def made(plan: CertificatePlan, issuer: x509.Certificate = ISSUER) -> Tbs:
    return parse_tbs(der(precertify(plan, issuer)))


def shape(plan: CertificatePlan, issuer: x509.Certificate = ISSUER, profile: str = "p") -> Shape:
    return shape_of(made(plan, issuer), profile)


def certificate_of(tbs: Tbs) -> bytes:
    """A certificate with these fields and a signature that is none."""
    subject = b"".join(
        encode(SET, b"".join(encode(SEQUENCE, encode(OID, a.oid) + encode(a.tag, a.value)) for a in rdn))
        for rdn in tbs.subject
    )
    critical = encode(BOOLEAN, b"\xff")
    extensions = b"".join(
        encode(SEQUENCE, encode(OID, e.oid) + (critical if e.critical else b"") + encode(OCTET_STRING, e.value))
        for e in tbs.extensions
    )
    content = (
        bytes.fromhex("a003020102")
        + encode(INTEGER, tbs.serial)
        + tbs.signature
        + tbs.issuer
        + encode(SEQUENCE, encode(*tbs.not_before) + encode(*tbs.not_after))
        + encode(SEQUENCE, subject)
        + encode(SEQUENCE, tbs.key_algorithm + encode(BIT_STRING, b"\0" + tbs.key))
        + encode(EXTENSIONS, encode(SEQUENCE, extensions))
    )
    return encode(SEQUENCE, encode(SEQUENCE, content) + tbs.signature + encode(BIT_STRING, b"\0" + b"\x30\x00"))


@pytest.mark.parametrize("names", [ADA, WEB, PUMP, FULL_NAMES], ids=["ada", "web", "pump", "full"])
@pytest.mark.parametrize("algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384, KeyAlgorithm.RSA_3072])
def test_what_is_issued_has_values_that_pass(names: CertificateNames, algorithm: KeyAlgorithm) -> None:
    plan = replace(_plan(names), public_key=key_of(algorithm).public_key())
    certificate = precertify(plan, ISSUER)
    tbs = parse_tbs(der(certificate))
    check_values(tbs)
    assert (tbs.raw, int.from_bytes(tbs.serial)) == (certificate.tbs_certificate_bytes, plan.serial)
    assert parse_tbs(certificate_of(tbs)).raw == tbs.raw


def test_times_from_2050_on_are_another_shape_and_pass() -> None:
    issuer = _issuer(FIXED_ISSUING_KEY, end=datetime(2080, 1, 1, tzinfo=UTC))
    late = made(replace(_plan(), not_after=datetime(2060, 1, 1, tzinfo=UTC)), issuer)
    check_values(late)
    assert late.not_after[0] == GENERALIZED_TIME and late.not_before[0] == UTC_TIME
    assert shape_of(late, "p") != shape(_plan(), issuer)


def test_values_do_not_change_the_shape() -> None:
    other = replace(
        _plan(CertificateNames(subject=(("O", "Other"), ("E", "bob@example.com"), ("CN", "Bob")), upn="bob@x",
                               emails=("bob@example.com", "b@example.net"))),
        serial=7, public_key=OTHER_KEY, not_after=_plan().not_after - timedelta(days=30),
    )  # fmt: skip
    assert shape(other) == shape(_plan())


@pytest.mark.parametrize(
    "change",
    [
        lambda p: replace(p, public_key=key_of(KeyAlgorithm.EC_P384).public_key()),
        lambda p: replace(p, public_key=key_of(KeyAlgorithm.RSA_2048).public_key()),
        lambda p: replace(p, names=WEB),
        lambda p: replace(p, names=replace(ADA, subject=())),
        lambda p: replace(p, names=replace(ADA, upn=None)),
        lambda p: replace(p, names=replace(ADA, dns_names=("www.example.org",))),
        lambda p: replace(p, extended_key_usages=("clientAuth",)),
        lambda p: replace(p, policies=()),
        lambda p: replace(p, policies=("1.3.6.1.4.1.32473.2",)),
        lambda p: replace(p, crl_url=None),
        lambda p: replace(p, ocsp_url="http://ca.example.org/other"),
        lambda p: replace(p, key_usages=frozenset()),
    ],
    ids=[
        "key type", "key size", "names", "empty subject", "a kind of name less", "a kind of name more", "purposes",
        "an extension less", "another policy", "no CRL", "another OCSP", "key usage",
    ],
)  # fmt: skip
def test_all_but_values_changes_the_shape(change: Callable[[CertificatePlan], CertificatePlan]) -> None:
    assert shape(change(_plan())) != shape(_plan())


def test_another_profile_or_issuer_is_another_shape() -> None:
    assert shape(_plan(), profile="q") != shape(_plan())
    assert shape(_plan(), _issuer(key_of(KeyAlgorithm.EC_P256))) != shape(_plan())


def test_a_word_in_a_profile_changes_its_digest() -> None:
    profile = CertificateProfile(
        id="1", name="Person", description="", certificate_type=CertificateType.CLIENT,
        key_algorithms=[KeyAlgorithm.EC_P256], term_days=[365], subject="CN={name}", subject_alternative_names=[],
        minimum_assurance=AssuranceLevel.SOFTWARE,
    )  # fmt: skip
    assert profile_digest(profile) == profile_digest(replace(profile, created_at=datetime.now(UTC)))
    assert profile_digest(profile) != profile_digest(replace(profile, subject="CN={email}"))


# What pkilint refuses


def mutilated(chance: random.Random, value: bytes) -> bytes:
    """The value with something wrong in it, or not."""
    position = chance.randrange(len(value) + 1)
    odd = chance.choice(
        [b"", b"\0", b" ", b"_", b"@", b"*", b".", b"..", b"-", b"\xc3\xa9", b"\xff", b"\x80", b"%", b"0"]
    )
    return chance.choice(
        [
            b"",
            value * chance.choice([2, 9, 40]),
            value[:position],
            value[:position] + odd + value[position:],
            value[:position] + odd + value[position + 1 :],
            odd + value,
            value + odd,
        ]
    )


def serial(chance: random.Random, tbs: Tbs) -> Tbs:
    return replace(tbs, serial=chance.choice([b"\0", b"\x80", b"\xff\x01", b"\1" * 21, mutilated(chance, tbs.serial)]))


def times(chance: random.Random, tbs: Tbs) -> Tbs:
    tag, text = tbs.not_after
    return chance.choice(
        [
            replace(tbs, not_before=tbs.not_after, not_after=tbs.not_before),
            replace(tbs, not_after=(GENERALIZED_TIME, b"20" + text)),
            replace(tbs, not_after=(GENERALIZED_TIME, b"20" + text[:-1] + b".5Z")),
            replace(tbs, not_after=(tag, text[:-3] + b"Z")),
            replace(tbs, not_after=(tag, text[:-1] + b"+0100")),
            replace(tbs, not_before=(tag, mutilated(chance, tbs.not_before[1]))),
        ]
    )


def subject(chance: random.Random, tbs: Tbs) -> Tbs:
    rdns = list(tbs.subject)
    place = chance.randrange(len(rdns))
    [attribute] = rdns[place]
    value = chance.choice([mutilated(chance, attribute.value), attribute.value.lower()])
    rdns[place] = (replace(attribute, value=value),)
    return replace(tbs, subject=tuple(rdns))


def alternative_names(chance: random.Random, tbs: Tbs) -> Tbs:
    def change(extension: Extension) -> Extension:
        if extension.oid != SUBJECT_ALTERNATIVE_NAME:
            return extension
        names = [(tag, content) for tag, content, _ in elements(elements(extension.value)[0][1])]
        place = chance.randrange(len(names))
        names[place] = (names[place][0], mutilated(chance, names[place][1]))
        kept = names if chance.random() < 0.95 else []
        return replace(extension, value=encode(SEQUENCE, b"".join(encode(*name) for name in kept)))

    return replace(tbs, extensions=tuple(change(extension) for extension in tbs.extensions))


def key(chance: random.Random, tbs: Tbs) -> Tbs:
    return replace(tbs, key=mutilated(chance, tbs.key))


@pytest.fixture(scope="module")
def linter() -> PkilintLinter:
    made = PkilintLinter()
    made.warm_up()
    return made


@pytest.mark.parametrize("field", [serial, times, subject, alternative_names, key], ids=lambda field: field.__name__)
def test_a_value_that_pkilint_refuses_is_refused_without_it(
    field: Callable[[random.Random, Tbs], Tbs], linter: PkilintLinter
) -> None:
    """Each value here would be signed unlinted if its shape were that of a good one and the checks let it pass."""
    chance, outcomes = random.Random(5280), Counter[tuple[bool, bool]]()
    good = made(_plan(FULL_NAMES))
    for _ in range(60):
        bad = field(chance, good)
        octets = certificate_of(bad)
        refused = any(finding.refuses for finding in linter.lint(octets))
        try:
            read = parse_tbs(octets)
            check_values(read)
            passed = shape_of(read, "p") == shape_of(good, "p")  # else it would be linted in full
        except (CertificateLintFailed, TbsMalformed):
            passed = False
        assert not (refused and passed), (field.__name__, bad, linter.lint(octets))
        outcomes[refused, passed] += 1
    if field is not key:  # in which pkilint looks at little
        assert outcomes[True, False] >= 10, outcomes


@given(st.binary(max_size=80))
def test_no_octets_break_the_reader(octets: bytes) -> None:
    with pytest.raises(TbsMalformed):
        parse_tbs(octets)


@given(st.data())
def test_a_damaged_certificate_is_read_or_refused(data: st.DataObject) -> None:
    octets = bytearray(ONE)
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        tbs = parse_tbs(bytes(octets))
        shape_of(tbs, "p")
        check_values(tbs)
    except (TbsMalformed, CertificateLintFailed):
        pass


@pytest.mark.parametrize("dotted", ["2.5.29.17", "1.2.840.113549.1.1.1", "1.3.6.1.4.1.311.20.2.3", "2.999.1"])
def test_object_identifiers_are_written_as_openssl_reads_them(dotted: str) -> None:
    usage = x509.ExtendedKeyUsage([x509.ObjectIdentifier(dotted)]).public_bytes()
    assert usage == encode(SEQUENCE, encode_oid(dotted))


# How much is linted


class Counting:
    """A linter that counts, and finds what it is told to find."""

    def __init__(self) -> None:
        self.linted, self.findings = 0, ()  # type: tuple[int, tuple[Finding, ...]]

    def lint(self, der: bytes) -> tuple[Finding, ...]:
        self.linted += 1
        return self.findings


def inspection(linter: Counting, share: float = 0.25, chance: float = 0.5) -> Inspection:
    return Inspection(linter, ProcessShapeMemory(), share, lambda: chance)


def octets(**changes: object) -> bytes:
    return der(precertify(replace(_plan(), **changes), ISSUER))  # type: ignore[arg-type]


def test_the_first_of_a_shape_is_linted_in_full_and_the_next_is_not() -> None:
    counting = Counting()
    inspecting = inspection(counting)
    for number in (5, 6, 7):
        inspecting.inspect(octets(serial=number), "p")
    assert counting.linted == 1
    inspecting.inspect(octets(policies=()), "p")
    inspecting.inspect(octets(), "q")
    assert counting.linted == 3


def test_a_sample_of_a_known_shape_is_linted_in_full() -> None:
    counting = Counting()
    inspecting = inspection(counting, share=0.25, chance=0.2)
    for number in (5, 6, 7):
        inspecting.inspect(octets(serial=number), "p")
    assert counting.linted == 3


def test_a_shape_that_fails_is_not_taken_for_good() -> None:
    counting = Counting()
    counting.findings = (Finding(Severity.ERROR, "made.up", "certificate", ""),)
    inspecting = inspection(counting)
    for number in (5, 6):
        with pytest.raises(CertificateLintFailed, match=r"made\.up"):
            inspecting.inspect(octets(serial=number), "p")
    assert counting.linted == 2


def test_a_sample_that_fails_has_its_shape_linted_in_full_from_then_on() -> None:
    counting, shapes = Counting(), ProcessShapeMemory()
    rarely, always = (Inspection(counting, shapes, share, lambda: 0.5) for share in (0, 1))
    rarely.inspect(octets(serial=5), "p")
    counting.findings = (Finding(Severity.ERROR, "made.up", "certificate", ""),)
    with pytest.raises(CertificateLintFailed):
        always.inspect(octets(serial=6), "p")
    with pytest.raises(CertificateLintFailed):
        rarely.inspect(octets(serial=7), "p")


def test_a_bad_value_is_refused_whatever_the_linter_says() -> None:
    counting = Counting()
    inspecting = inspection(counting)
    inspecting.inspect(octets(), "p")
    backwards = replace(made(_plan()), not_after=(UTC_TIME, b"200101000000Z"))
    with pytest.raises(CertificateLintFailed, match=r"section 4\.1\.2\.5"):
        inspecting.inspect(certificate_of(backwards), "p")


def test_the_decision_by_chance() -> None:
    assert how_to_lint(known=False, share=0, chance=0.9) is HowLinted.FULL
    assert how_to_lint(known=True, share=0, chance=0.0) is HowLinted.BY_SHAPE
    assert how_to_lint(known=True, share=1, chance=0.999) is HowLinted.SAMPLED


def test_the_memory_forgets_what_was_not_used_for_longest() -> None:
    memory = ProcessShapeMemory(most=2)
    memory.remember(("a",))
    memory.remember(("b",))
    assert memory.knows(("a",))
    memory.remember(("c",))
    assert (memory.knows(("a",)), memory.knows(("b",)), memory.knows(("c",))) == (True, False, True)

"""A sample of what a profile would issue."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from keystead_contracts.base import CertificateType, KeyAlgorithm
from keystead_enroll.adapters.pkilint_linter import PkilintLinter
from keystead_enroll.domain.certificates import key_usage
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.key_usages import KeyUsage
from keystead_enroll.domain.keys import key_algorithm_of
from keystead_enroll.domain.lint import Finding, Severity
from keystead_enroll.domain.sample_certificate import sample_mistakes

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LINTER = PkilintLinter()


def profile(**changes: Any) -> CertificateProfile:
    values: dict[str, Any] = {
        "id": "p", "name": "Person", "description": "", "certificate_type": CertificateType.CLIENT,
        "key_algorithms": [KeyAlgorithm.EC_P256], "term_days": [365], "subject": "CN={name}, O={organization}",
        "subject_alternative_names": ["email:{email}"],
    }  # fmt: skip
    return CertificateProfile(**(values | changes))


def mistakes(**changes: Any) -> dict[str, str]:
    return sample_mistakes(profile(**changes), LINTER.lint, NOW, os.urandom)


def seen(**changes: Any) -> list[x509.Certificate]:
    """The samples that a linter gets to see."""
    found: list[x509.Certificate] = []

    def lint(der: bytes) -> Sequence[Finding]:
        found.append(x509.load_der_x509_certificate(der))
        return ()

    assert sample_mistakes(profile(**changes), lint, NOW, os.urandom) == {}
    return found


def test_a_profile_that_can_be_used_has_no_mistakes() -> None:
    assert mistakes(key_algorithms=list(KeyAlgorithm), term_days=[1, 3650]) == {}


def test_there_is_a_sample_for_each_key_algorithm_and_the_longest_term() -> None:
    samples = seen(key_algorithms=list(KeyAlgorithm), term_days=[30, 730, 90])
    assert [key_algorithm_of(sample.public_key()) for sample in samples] == list(KeyAlgorithm)
    assert {(s.not_valid_after_utc - s.not_valid_before_utc).days for s in samples} == {729}


def test_a_sample_has_what_the_profile_says() -> None:
    (sample,) = seen(extended_key_usages=["clientAuth", "smartcardLogon"], policy_oids=["1.3.6.1.4.1.32473.1"])
    usages = sample.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SMARTCARD_LOGON]
    policies = sample.extensions.get_extension_for_class(x509.CertificatePolicies).value
    assert [policy.policy_identifier.dotted_string for policy in policies] == ["1.3.6.1.4.1.32473.1"]


def test_a_sample_s_key_may_do_what_the_profile_says() -> None:
    rsa = [KeyAlgorithm.RSA_2048]
    (sample,) = seen(key_algorithms=rsa, key_usages=[KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_ENCIPHERMENT])
    usage = sample.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage == key_usage([KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_ENCIPHERMENT])
    assert mistakes(key_algorithms=rsa, key_usages=list(KeyUsage)[:4]) == {}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"policy_oids": ["2.999.1"]}, "policy_oids"),
        ({"policy_oids": ["0.50"]}, "policy_oids"),
        ({"subject": "C={name}"}, "subject"),
        ({"subject": "CN={name}, DC=a"}, "subject"),
        ({"subject_alternative_names": ["uri:foo:bar"]}, "subject_alternative_names"),
        ({"subject_alternative_names": ["dns:{uid}"]}, "subject_alternative_names"),
        ({"subject_alternative_names": ["uri:urn:x:{name}"]}, "subject_alternative_names"),
        ({"subject": "", "subject_alternative_names": ["uri:urn:x:{name}"]}, "subject_alternative_names"),
    ],
)
def test_what_is_wrong_is_told_of_the_field_that_it_comes_from(changes: dict[str, Any], field: str) -> None:
    assert list(mistakes(**changes)) == [field]


def test_a_finding_about_key_usages_is_told_of_that_field() -> None:
    findings = [
        Finding(Severity.ERROR, "pkix.some_rule", "certificate.tbsCertificate.extensions.2.extnValue.keyUsage"),
        Finding(Severity.ERROR, "pkix.extended_key_usage_rule", "certificate"),
    ]
    assert list(sample_mistakes(profile(), lambda _: findings, NOW, os.urandom)) == [
        "key_usages",
        "extended_key_usages",
    ]


def test_a_finding_that_is_of_no_field_is_told_of_the_whole_profile() -> None:
    finding = Finding(Severity.ERROR, "pkix.certificate_version_is_not_v3", "certificate.tbsCertificate.version")
    assert list(sample_mistakes(profile(), lambda _: [finding], NOW, os.urandom)) == ["form"]


def test_a_warning_refuses_nothing() -> None:
    finding = Finding(Severity.WARNING, "pkix.something", "certificate")
    assert sample_mistakes(profile(), lambda _: [finding], NOW, os.urandom) == {}

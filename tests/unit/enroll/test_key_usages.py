"""Which key usages a profile may choose, and which accounts go with them."""

from __future__ import annotations

import pytest

from keystead_contracts.base import CertificateType, KeyAlgorithm
from keystead_contracts.identity import SignInMethod
from keystead_enroll.domain.enrollment import (
    Authorization,
    CertificateProfile,
    CsrGenerationMethod,
    EnrollmentForm,
    Organization,
)
from keystead_enroll.domain.enrollment_rules import account_mistakes
from keystead_enroll.domain.key_usages import KeyUsage, key_usage_mistake

CLIENT, DEVICE, SSL = CertificateType.CLIENT, CertificateType.DEVICE, CertificateType.SSL
RSA, EC = [KeyAlgorithm.RSA_2048, KeyAlgorithm.RSA_4096], [KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384]
SIGN, COMMIT, KEYS, DATA, AGREE = KeyUsage


@pytest.mark.parametrize(
    ("kind", "algorithms", "purposes", "usages"),
    [
        (CLIENT, RSA + EC, ["clientAuth"], []),
        (CLIENT, RSA + EC, ["clientAuth", "emailProtection"], [SIGN, COMMIT]),
        (CLIENT, RSA, ["emailProtection"], [KEYS, DATA]),
        (CLIENT, EC, ["clientAuth", "emailProtection"], [AGREE]),
        (CLIENT, EC, ["documentSigning"], [COMMIT]),
        (DEVICE, RSA, ["clientAuth", "serverAuth"], [SIGN, KEYS]),
        (SSL, RSA, ["serverAuth"], [KEYS]),
        (SSL, EC, ["serverAuth"], [SIGN, AGREE]),
    ],
)
def test_what_type_keys_and_purposes_go_with_may_be_chosen(
    kind: CertificateType, algorithms: list[KeyAlgorithm], purposes: list[str], usages: list[KeyUsage]
) -> None:
    assert key_usage_mistake(kind, algorithms, purposes, usages) is None


@pytest.mark.parametrize(
    ("kind", "algorithms", "purposes", "usages", "told"),
    [
        (SSL, RSA, ["serverAuth"], [SIGN, COMMIT], "has contentCommitment, and ssl certificates may have digitalSig"),
        (DEVICE, RSA, ["clientAuth"], [SIGN, DATA], "has dataEncipherment, and device certificates may have"),
        (SSL, EC, ["serverAuth"], [SIGN, KEYS], "has keyEncipherment, which is nothing for ec-p256 keys; those may"),
        (CLIENT, RSA + EC, ["clientAuth"], [SIGN, KEYS], "has keyEncipherment, which is nothing for ec-p256 keys"),
        (CLIENT, EC, ["emailProtection"], [SIGN, DATA], "has dataEncipherment, which is nothing for ec-p256 keys"),
        (SSL, RSA, ["serverAuth"], [SIGN, AGREE], "those may have digitalSignature, keyEncipherment"),
        (CLIENT, RSA, ["clientAuth", "emailProtection"], [KEYS], "has nothing that clientAuth works with, which is"),
        (CLIENT, RSA, ["smartcardLogon"], [COMMIT], "smartcardLogon works with, which is: digitalSignature"),
    ],
)
def test_what_does_not_go_together_is_told(
    kind: CertificateType, algorithms: list[KeyAlgorithm], purposes: list[str], usages: list[KeyUsage], told: str
) -> None:
    assert told in str(key_usage_mistake(kind, algorithms, purposes, usages))


@pytest.mark.parametrize(
    ("method", "usages", "fields"),
    [
        (CsrGenerationMethod.AGENT, [SIGN, COMMIT], []),
        (CsrGenerationMethod.AGENT, [SIGN, KEYS], ["profile_ids"]),
        (CsrGenerationMethod.PROVIDED, [SIGN, KEYS], []),
    ],
)
def test_an_account_s_keys_do_what_its_profiles_say(
    method: CsrGenerationMethod, usages: list[KeyUsage], fields: list[str]
) -> None:
    form = EnrollmentForm("f", "Staff", CLIENT, "staff", [SignInMethod.EMAIL])
    profile = CertificateProfile("p", "Person", "", CLIENT, RSA, [365], "CN={name}", [], key_usages=usages)
    hospital = Organization("o", "Example Hospital")
    for before in ((), ("p",)):
        assert list(account_mistakes(form, hospital, None, [profile], Authorization.NONE, method, before)) == fields

"""MakeCredential against the other end in Python; against a TPM: tests/integration/test_credential_activation.py."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support import software_tpm as soft
from tests.support.software_tpm import SigningKey

from keystead_enroll.domain.credential import make_credential
from keystead_enroll.domain.errors import EvidenceMismatch
from keystead_enroll.domain.tpm_public import parse_tpm2b_public

SECRET = bytes(range(32))
KEYS: dict[str, SigningKey] = {
    "RSA 2048": soft.rsa_key(),
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_the_tpm_with_both_keys_opens_the_secret(key: SigningKey) -> None:
    tpm = soft.SoftwareTpm(soft.ek(key))
    made = make_credential(parse_tpm2b_public(tpm.endorsement.public), tpm.attestation.name, SECRET)
    assert tpm.activate(made.blob, made.encrypted_secret) == SECRET


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_the_tpm_with_another_attestation_key_does_not(key: SigningKey) -> None:
    tpm = soft.SoftwareTpm(soft.ek(key))
    made = make_credential(parse_tpm2b_public(tpm.endorsement.public), soft.ak().name, SECRET)
    with pytest.raises(ValueError, match="INTEGRITY"):
        tpm.activate(made.blob, made.encrypted_secret)


def test_another_tpm_does_not() -> None:
    tpm, other = soft.SoftwareTpm(), soft.SoftwareTpm()
    made = make_credential(parse_tpm2b_public(tpm.endorsement.public), tpm.attestation.name, SECRET)
    with pytest.raises(ValueError, match="INTEGRITY"):
        other.activate(made.blob, made.encrypted_secret, tpm.attestation.name)


def test_no_two_credentials_are_alike() -> None:
    tpm = soft.SoftwareTpm()
    made = {make_credential(parse_tpm2b_public(tpm.endorsement.public), b"name", SECRET) for _ in range(2)}
    assert len({each.blob for each in made}) == len({each.encrypted_secret for each in made}) == 2


@pytest.mark.parametrize("changes", [{"cipher_bits": 0}, {"mode": 0x44}, {"cipher_bits": 1}])
def test_a_key_that_stores_nothing_takes_no_credential(changes: dict[str, int]) -> None:
    with pytest.raises(EvidenceMismatch):
        make_credential(parse_tpm2b_public(soft.ek(None, **changes).public), b"name", SECRET)


def test_a_secret_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        make_credential(parse_tpm2b_public(soft.ek().public), b"name", bytes(33))

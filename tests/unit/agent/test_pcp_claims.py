"""What Windows says of a key is looked at before it is passed on."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.support import software_tpm as tpm
from tests.support.fake_ncrypt import FakeNcrypt, claim, opaque_blob
from tests.support.pcp_identity import NONCE, ORDER, challenged, identities, identity, spki, store
from tests.support.windows_computer import WindowsComputer

from keystead_agent.attestation import Identity, Witness
from keystead_agent.errors import EndorsementUnusable, KeyLost, TpmBusy
from keystead_agent.keystore import _ncrypt as n
from keystead_agent.keystore.pcp import PcpKeyStore
from keystead_agent.keystore.persisted import KeyScope, PersistedKey
from keystead_contracts.base import KeyAlgorithm


@pytest.fixture
def computer(tmp_path: Path) -> WindowsComputer:
    return WindowsComputer(tmp_path, machine_keys=True)


def forged(computer: WindowsComputer, made: Identity, **changes: object) -> Callable[[bytes], bytes]:
    """A claim that is right but for `changes` of the statement, or of who signs it."""
    signer = changes.pop("signer", None)

    def forge(original: bytes) -> bytes:
        sizes = struct.unpack_from("<3I", original, 40)
        attest, blob = original[52 : 52 + sizes[0]], original[-sizes[2] :]
        area = blob[54 : 54 + int.from_bytes(blob[16:20], "little")]
        name = b"\0\x0b" + hashlib.sha256(area[2:]).digest()
        statement = replace(tpm.Statement(tpm.CERTIFY, name, name, attest[44:76]), **changes)  # type: ignore[arg-type]
        key = tpm.rsa_key(which=9) if signer else _key_of(computer.ncrypt, PersistedKey.read(made.blob).name)
        return claim(statement.octets, tpm.signature(key, statement.octets)[6:], blob)

    return forge


def _key_of(ncrypt: FakeNcrypt, name: str) -> tpm.SigningKey:
    (path,) = ncrypt.folder.glob(f"*/*/{name}.pem")
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"extra": b"m" * 32}, "nonce"),
        ({"extra": b""}, "nonce"),
        ({"first": b"\0\x0b" + bytes(32)}, "another key"),
        ({"kind": tpm.QUOTE}, "another kind"),
        ({"magic": 1}, "another kind"),
        ({"trailing": b"\0"}, "left over"),
        ({"signer": True}, "not the identity's"),
    ],
)
def test_a_claim_that_says_something_else_is_not_passed_on(
    computer: WindowsComputer, changes: dict[str, object], match: str
) -> None:
    made = identity(computer)
    blob = store(computer).generate(KeyAlgorithm.EC_P256).blob
    computer.ncrypt.claims = forged(computer, made)
    assert made.certify(blob, spki(computer, blob), NONCE, ORDER)
    computer.ncrypt.claims = forged(computer, made, **changes)
    with pytest.raises(EndorsementUnusable, match=match):
        made.certify(blob, spki(computer, blob), NONCE, ORDER)


def test_a_claim_about_another_key_is_not_passed_on(computer: WindowsComputer) -> None:
    made = identity(computer)
    first, second = (store(computer).generate(KeyAlgorithm.EC_P256).blob for _ in range(2))
    kept: list[bytes] = []
    computer.ncrypt.claims = lambda original: kept.append(original) or kept[0]  # type: ignore[func-returns-value]
    made.certify(first, spki(computer, first), NONCE, ORDER)
    with pytest.raises(EndorsementUnusable, match="about, or by, another key"):
        made.certify(second, spki(computer, second), NONCE, ORDER)


def test_an_identity_that_is_another_key_than_was_made_speaks_for_none(computer: WindowsComputer) -> None:
    made = identity(computer)
    blob = store(computer).generate(KeyAlgorithm.EC_P256).blob
    (path,) = computer.ncrypt.folder.glob(f"*/*/{PersistedKey.read(made.blob).name}.pem")
    path.write_bytes(
        tpm.rsa_key(which=5).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(EndorsementUnusable, match="about, or by, another key"):
        made.certify(blob, spki(computer, blob), NONCE, ORDER)
    with pytest.raises(KeyLost):
        store(computer).check(made.blob)


@pytest.mark.parametrize("status", [0x80280400, n.PERM, n.NOT_SUPPORTED, 0x8029040F, n.INVALID_PARAMETER])
def test_a_key_that_windows_does_not_let_be_certified_goes_without(computer: WindowsComputer, status: int) -> None:
    made = identity(computer)
    stored = store(computer).generate(KeyAlgorithm.EC_P256)
    computer.ncrypt.failing["create_claim"] = status
    witness = Witness(identities(computer), "https://enroll.example.org")
    said = witness.testify(
        stored.evidence, store(computer).key_file, stored.blob, spki(computer, stored.blob), NONCE, ORDER
    )
    assert said == stored.evidence
    computer.ncrypt.failing.clear()
    assert made.certify(stored.blob, spki(computer, stored.blob), NONCE, ORDER)


def test_a_busy_tpm_is_asked_again_later(computer: WindowsComputer) -> None:
    made = identity(computer)
    blob = store(computer).generate(KeyAlgorithm.EC_P256).blob
    impatient = PcpKeyStore(computer.ncrypt, KeyScope.MACHINE, computer._certificates(), patience=0.0)
    computer.ncrypt.failing["create_claim"] = 0x80280800  # TPM_E_RETRY
    with pytest.raises(TpmBusy):
        impatient.certify(blob, made.blob, b"n" * 32)


def test_a_key_or_an_identity_that_is_gone_is_lost(computer: WindowsComputer) -> None:
    made = identity(computer)
    blob = store(computer).generate(KeyAlgorithm.EC_P256).blob
    store(computer).discard(blob)
    with pytest.raises(KeyLost):
        store(computer).certify(blob, made.blob, b"")
    blob = store(computer).generate(KeyAlgorithm.EC_P256).blob
    store(computer).discard(made.blob)
    for use in (
        lambda: store(computer).certify(blob, made.blob, b""),
        lambda: store(computer).check(made.blob),
        lambda: made.solve(challenged(made)),
    ):
        with pytest.raises(KeyLost):
            use()


def test_the_size_of_a_blob_counts_and_not_what_it_says(computer: WindowsComputer) -> None:
    made = identity(computer)
    blob = store(computer).generate(KeyAlgorithm.EC_P256).blob
    whole: list[bytes] = []
    computer.ncrypt.claims = lambda original: whole.append(original) or original  # type: ignore[func-returns-value]
    made.certify(blob, spki(computer, blob), NONCE, ORDER)
    computer.ncrypt.claims = lambda original: original[:-1]
    with pytest.raises(EndorsementUnusable, match="sizes"):
        made.certify(blob, spki(computer, blob), NONCE, ORDER)
    assert opaque_blob(store(computer).load(blob).public_key())[:4] == b"PCPM"

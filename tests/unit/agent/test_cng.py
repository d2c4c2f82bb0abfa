"""The key store of Windows over `tests/support/fake_ncrypt.py`; the DLL's turn is in tests/windows."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from tests.support.fake_ncrypt import PLATFORM_TYPE, SOFTWARE, FakeNcrypt

from keystead_agent import errors
from keystead_agent.errors import AlgorithmUnsupported, KeyLost, TpmBusy, TpmFailed, TpmLockedOut, TpmMissing
from keystead_agent.keystore import _ncrypt as n
from keystead_agent.keystore.cng import CngKeyStore
from keystead_agent.keystore.persisted import KeyScope, PersistedKey
from keystead_agent.signatures import sign, verify
from keystead_contracts.agent import KeyProvider, SoftwareEvidence, TpmEvidence
from keystead_contracts.base import KeyAlgorithm
from keystead_enroll.domain.tpm_public import judge

RSA_2048, RSA_3072, RSA_4096 = KeyAlgorithm.RSA_2048, KeyAlgorithm.RSA_3072, KeyAlgorithm.RSA_4096
EC_P256, EC_P384 = KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384
ABLE = (RSA_2048, EC_P256, EC_P384)


@pytest.fixture
def ncrypt(tmp_path: Path) -> FakeNcrypt:
    return FakeNcrypt(tmp_path / "windows")


@pytest.fixture
def store(ncrypt: FakeNcrypt) -> CngKeyStore:
    return CngKeyStore(ncrypt, patience=0.2)


@pytest.fixture
def software(ncrypt: FakeNcrypt) -> CngKeyStore:
    return CngKeyStore(ncrypt, n.SOFTWARE_PROVIDER)


@pytest.mark.parametrize("algorithm", ABLE)
def test_a_key_signs_in_another_process(store: CngKeyStore, ncrypt: FakeNcrypt, algorithm: KeyAlgorithm) -> None:
    stored = store.generate(algorithm)
    key = CngKeyStore(FakeNcrypt(ncrypt.folder)).load(stored.blob)
    verify(key.public_key(), sign(key, b"data"), b"data")
    assert ncrypt.open_handles == 0


@pytest.mark.parametrize("algorithm", ABLE)
def test_a_request_is_signed_as_with_any_key(store: CngKeyStore, algorithm: KeyAlgorithm) -> None:
    key = store.load(store.generate(algorithm).blob)
    name = x509.Name.from_rfc4514_string("CN=alice")
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA384())
    assert csr.is_signature_valid


@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_rsa_signs_with_every_hash(store: CngKeyStore, algorithm: hashes.HashAlgorithm) -> None:
    key = store.load(store.generate(RSA_2048).blob)
    assert isinstance(key, rsa.RSAPrivateKey)
    signature = key.sign(b"data", padding.PKCS1v15(), algorithm)
    key.public_key().verify(signature, b"data", padding.PKCS1v15(), algorithm)


def test_a_hash_that_windows_is_not_asked_for_is_refused(store: CngKeyStore) -> None:
    key = store.load(store.generate(EC_P256).blob)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    with pytest.raises(ValueError, match="sha1"):
        key.sign(b"data", ec.ECDSA(hashes.SHA1()))  # noqa: S303 refused


def test_a_curve_that_the_blob_does_not_name_is_asked_for(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    ncrypt.generic_curves = True
    key = store.load(store.generate(EC_P384).blob)
    verify(key.public_key(), sign(key, b"data"), b"data")


@pytest.mark.parametrize(("scope", "flags"), [(KeyScope.USER, 0), (KeyScope.MACHINE, n.MACHINE_KEY_FLAG)])
def test_a_key_is_made_for_the_account_or_for_the_machine(ncrypt: FakeNcrypt, scope: KeyScope, flags: int) -> None:
    stored = PersistedKey.read(CngKeyStore(ncrypt, scope=scope).generate(EC_P256).blob)
    assert (stored.scope, stored.flags) == (scope, flags)
    assert ("create_persisted_key", n.ECDSA_P256, stored.name, flags) in ncrypt.calls


def test_a_key_is_found_in_the_scope_that_it_was_made_in(ncrypt: FakeNcrypt) -> None:
    blob = CngKeyStore(ncrypt, scope=KeyScope.MACHINE).generate(EC_P256).blob
    assert CngKeyStore(ncrypt, scope=KeyScope.USER).load(blob).key_size == 256


def test_the_key_is_told_to_sign_and_never_to_be_exported(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    store.generate(RSA_2048)
    finalized = ncrypt.calls.index(("finalize_key",))
    before = ncrypt.calls[:finalized]
    assert ("set_property", n.LENGTH, (2048).to_bytes(4, "little")) in before
    assert ("set_property", n.KEY_USAGE, b"\2\0\0\0") in before
    assert ("set_property", n.EXPORT_POLICY, b"\0\0\0\0") in before
    assert ("get_property", n.EXPORT_POLICY) in ncrypt.calls[finalized:]


def test_a_provider_that_makes_exportable_keys_is_refused(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    ncrypt.exportable = True
    with pytest.raises(TpmFailed, match="exported"):
        store.generate(EC_P256)
    assert (ncrypt.kept(), ncrypt.open_handles) == (set(), 0)


def test_a_policy_that_is_lost_when_the_key_is_made_is_seen(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    def forget() -> int:
        for item in ncrypt._objects.values():
            item.properties[n.EXPORT_POLICY] = b"\2\0\0\0"
        return 0

    ncrypt.failing["finalized"] = forget
    with pytest.raises(TpmFailed, match="could be exported"):
        store.generate(EC_P256)
    assert (ncrypt.kept(), ncrypt.open_handles) == (set(), 0)


@pytest.mark.parametrize(
    ("wanted", "made"),
    [
        (EC_P256, ec.generate_private_key(ec.SECP384R1())),
        (EC_P384, ec.generate_private_key(ec.SECP256R1())),
        (RSA_2048, rsa.generate_private_key(65537, 1024)),  # noqa: S505 refused
    ],
)
def test_a_provider_that_makes_another_key_than_asked_is_refused(
    store: CngKeyStore, ncrypt: FakeNcrypt, wanted: KeyAlgorithm, made: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> None:
    ncrypt.makes = made
    with pytest.raises(TpmFailed, match="in place of"):
        store.generate(wanted)
    assert (ncrypt.kept(), ncrypt.open_handles) == (set(), 0)


@pytest.mark.parametrize("impl_type", [None, SOFTWARE])
def test_a_provider_that_is_no_hardware_makes_no_key(
    store: CngKeyStore, ncrypt: FakeNcrypt, impl_type: int | None
) -> None:
    ncrypt.impl_type = impl_type
    for attempt in (store.describe, lambda: store.generate(EC_P256)):
        with pytest.raises(TpmMissing) as caught:
            attempt()
        assert caught.value.advice
    assert ncrypt.kept() == set()


def test_a_key_outside_of_the_tpm_is_removed_at_once(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    def become_software() -> int:
        ncrypt.impl_type = SOFTWARE
        return 0

    ncrypt.failing["finalized"] = become_software
    with pytest.raises(TpmMissing, match="outside of the TPM"):
        store.generate(EC_P256)
    assert (ncrypt.kept(), ncrypt.open_handles) == (set(), 0)


def test_a_tpm_of_the_old_kind_is_refused(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    ncrypt.platform_type = PLATFORM_TYPE.replace("2.0", "1.2")
    with pytest.raises(TpmMissing, match=r"TPM 1\.2"):
        store.describe()


def test_what_the_tpm_cannot_make_is_refused_with_what_it_can(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    assert store.capabilities() == ABLE
    with pytest.raises(AlgorithmUnsupported) as caught:
        store.generate(RSA_4096)
    assert "rsa-4096" in caught.value.detail
    assert "rsa-2048, ec-p256, ec-p384" in caught.value.advice
    assert ncrypt.kept() == set()


@pytest.mark.parametrize("status", [n.NOT_SUPPORTED, n.INVALID_PARAMETER, 0x80290405, 0x80280084, 0x80280087])
def test_a_size_that_is_refused_only_when_the_key_is_made_is_named_too(
    store: CngKeyStore, ncrypt: FakeNcrypt, status: int
) -> None:
    ncrypt.rsa_lengths = None
    ncrypt.refused_lengths = {3072: status}
    with pytest.raises(AlgorithmUnsupported) as caught:
        store.generate(RSA_3072)
    assert "rsa-3072" in caught.value.detail
    assert "rsa-3072" not in caught.value.advice
    assert (ncrypt.kept(), ncrypt.open_handles) == (set(), 0)


def test_a_provider_without_curves_says_so(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    ncrypt.algorithms = {n.RSA}
    assert store.capabilities() == (RSA_2048,)
    with pytest.raises(AlgorithmUnsupported, match="ec-p256"):
        store.generate(EC_P256)


def test_looking_at_what_can_be_made_makes_nothing(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    store.capabilities()
    store.examine()
    assert ("finalize_key",) not in ncrypt.calls
    assert (ncrypt.kept(), ncrypt.open_handles) == (set(), 0)


@pytest.mark.parametrize("name", [n.PCP_RSA_PROHIBITED, n.PCP_RSA_VULNERABILITY])
@pytest.mark.parametrize("level", [1, 2])
def test_weak_rsa_is_refused_with_what_to_do(store: CngKeyStore, ncrypt: FakeNcrypt, name: str, level: int) -> None:
    ncrypt.vulnerability = {name: level}
    assert store.examine().weak_rsa
    assert store.capabilities() == (EC_P256, EC_P384)
    with pytest.raises(AlgorithmUnsupported, match="ROCA") as caught:
        store.generate(RSA_2048)
    assert "firmware" in caught.value.advice
    assert store.load(store.generate(EC_P256).blob)


def test_a_windows_that_does_not_know_of_weak_rsa_makes_rsa(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    ncrypt.vulnerability = None
    assert store.load(store.generate(RSA_2048).blob).key_size == 2048


def test_the_software_provider_is_recorded_as_what_it_is(software: CngKeyStore) -> None:
    stored = software.generate(RSA_3072)
    assert isinstance(stored.evidence, SoftwareEvidence)
    assert PersistedKey.read(stored.blob).provider == n.SOFTWARE_PROVIDER
    info = software.describe()
    assert (info.name, info.provider) == (n.SOFTWARE_PROVIDER, KeyProvider.SOFTWARE)


def test_a_store_opens_no_key_of_another_provider(store: CngKeyStore, software: CngKeyStore) -> None:
    assert store.key_file != software.key_file
    with pytest.raises(KeyLost, match="Software"):
        store.load(software.generate(EC_P256).blob)


@pytest.mark.parametrize("algorithm", ABLE)
def test_the_server_takes_the_evidence(store: CngKeyStore, algorithm: KeyAlgorithm) -> None:
    stored = store.generate(algorithm)
    assert isinstance(stored.evidence, TpmEvidence)
    assert judge(stored.evidence, store.load(stored.blob).public_key()).level == "claimed"
    assert base64.b64decode(stored.evidence.public_area)


def test_a_key_without_readable_evidence_is_not_kept(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    ncrypt.failing["export_key"] = lambda kind: n.NOT_SUPPORTED if kind == n.OPAQUE_KEY_BLOB else 0
    with pytest.raises(errors.KeyStoreError):
        store.generate(EC_P256)
    assert (ncrypt.kept(), ncrypt.open_handles) == (set(), 0)


def test_the_provider_describes_itself(store: CngKeyStore) -> None:
    info = store.describe()
    assert (info.name, info.provider) == (n.PLATFORM_PROVIDER, KeyProvider.PLATFORM_CRYPTO_PROVIDER)
    assert (info.exportable, info.manufacturer, info.firmware) == (False, "FAKE", "7.2.1.0")
    facts = store.examine()
    assert (facts.hardware, facts.tpm_version, facts.algorithms) == (True, "2.0", ABLE)


def test_a_key_that_was_removed_is_lost(store: CngKeyStore) -> None:
    blob = store.generate(EC_P256).blob
    key = store.load(blob)
    store.discard(blob)
    with pytest.raises(KeyLost):
        store.load(blob)
    with pytest.raises(KeyLost):
        sign(key, b"data")


def test_a_key_of_a_cleared_tpm_is_lost_and_can_be_given_up(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    blob = store.generate(EC_P256).blob
    ncrypt.clear()
    with pytest.raises(KeyLost):
        store.load(blob)
    store.discard(blob)


def test_a_key_that_was_exchanged_is_noticed(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    mine, other = store.generate(EC_P256).blob, store.generate(EC_P256).blob
    names = [PersistedKey.read(blob).name for blob in (mine, other)]
    with pytest.raises(KeyLost, match="another one"):
        store.load(mine.replace(names[0].encode(), names[1].encode()))


def damages(blob: bytes) -> list[bytes]:
    fields = json.loads(blob)
    changed = [
        {"version": 2},
        {"provider": "Microsoft Smart Card Key Storage Provider"},
        {"name": "somebody-elses-key"},
        {"name": "tp-../../x"},
        {"scope": "domain"},
        {"algorithm": "rsa-1024"},
        {"spki_sha256": "00"},
    ]
    return [b"", b"{}", b"\xff", b"[" * 100, blob[:40], blob + b" " * 5000] + [
        json.dumps(fields | change).encode() for change in changed
    ]


def test_a_damaged_blob_is_lost_and_asks_windows_for_nothing(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    blob = store.generate(EC_P256).blob
    ncrypt.calls.clear()
    for damaged in damages(blob):
        with pytest.raises(KeyLost):
            store.load(damaged)
        store.discard(damaged)
    assert ncrypt.calls == []


def test_discarding_twice_is_harmless(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    kept, gone = store.generate(EC_P256).blob, store.generate(RSA_2048).blob
    store.discard(gone)
    store.discard(gone)
    assert ncrypt.kept() == {PersistedKey.read(kept).name}
    assert ncrypt.open_handles == 0


def test_a_key_that_stays_is_said_to_stay(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    blob = store.generate(EC_P256).blob
    ncrypt.failing["delete_key"] = n.PERM
    with pytest.raises(TpmFailed, match="denies access while removing"):
        store.discard(blob)
    assert ncrypt.open_handles == 0


def test_a_key_of_a_provider_that_opens_none_works_while_the_process_lives(tmp_path: Path) -> None:
    """Wine's provider is such a one."""
    wine = FakeNcrypt(tmp_path)
    wine.reopens = False
    store = CngKeyStore(wine, n.SOFTWARE_PROVIDER)
    blob = store.generate(RSA_2048).blob
    key = store.load(blob)
    verify(key.public_key(), sign(key, b"data"), b"data")
    store.discard(blob)
    store.discard(blob)
    assert wine.open_handles == 0


def test_a_key_that_cannot_be_opened_again_is_not_given_out(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    ncrypt.failing["open_key"] = n.BAD_KEYSET
    with pytest.raises(TpmFailed):
        store.generate(EC_P256)
    ncrypt.failing.clear()
    assert (ncrypt.kept(), ncrypt.open_handles) == (set(), 0)


def test_a_name_that_is_taken_is_not_overwritten(ncrypt: FakeNcrypt) -> None:
    from uuid import UUID

    store = CngKeyStore(ncrypt, new_id=lambda: UUID(int=7))
    key = store.load(store.generate(EC_P256).blob)
    with pytest.raises(TpmFailed, match="same name"):
        store.generate(EC_P256)
    verify(key.public_key(), sign(key, b"data"), b"data")


def test_a_busy_tpm_is_tried_again(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    answers = iter([0x80280922, 0x80280800])
    ncrypt.failing["finalize_key"] = lambda: next(answers, 0)
    blob = store.generate(EC_P256).blob
    assert ncrypt.kept() == {PersistedKey.read(blob).name}
    ncrypt.failing["sign_hash"] = lambda *_: 0x80280800
    with pytest.raises(TpmBusy):
        sign(store.load(blob), b"data")
    assert ncrypt.open_handles == 0


Attempt = Callable[[CngKeyStore, bytes], object]
ATTEMPTS: dict[str, Attempt] = {
    "open_storage_provider": lambda store, _: store.describe(),
    "create_persisted_key": lambda store, _: store.generate(EC_P256),
    "set_property": lambda store, _: store.generate(EC_P256),
    "finalize_key": lambda store, _: store.generate(EC_P256),
    "open_key": lambda store, blob: store.load(blob),
    "export_key": lambda store, blob: store.load(blob),
    "sign_hash": lambda store, blob: sign(store.load(blob), b"data"),
}


@pytest.mark.parametrize("call", ATTEMPTS)
@pytest.mark.parametrize(
    "status",
    [5, 0x80070005, 0x80090010, 0x80090020, 0x8009002D, 0x80090030, 0x80280101, 0x80280400, 0x8028400F, 0x80284008]
    + [0x80290400 + code for code in range(1, 0x11)],
)
def test_whatever_fails_wherever_is_explained_and_leaves_nothing(
    store: CngKeyStore, ncrypt: FakeNcrypt, call: str, status: int
) -> None:
    blob = store.generate(EC_P256).blob
    before = ncrypt.kept()
    ncrypt.failing[call] = status
    with pytest.raises(errors.KeyStoreError) as caught:
        ATTEMPTS[call](store, blob)
    assert caught.value.advice
    assert (ncrypt.kept(), ncrypt.open_handles) == (before, 0)


def test_a_lockout_is_named(store: CngKeyStore, ncrypt: FakeNcrypt) -> None:
    key = store.load(store.generate(EC_P256).blob)
    for status in (0x80280803, 0x80280921):
        ncrypt.failing["sign_hash"] = status
        with pytest.raises(TpmLockedOut):
            sign(key, b"data")

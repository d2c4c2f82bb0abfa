"""The key store on Windows' own ncrypt.dll, no fake.

Under Wine this shows that the calls, their prototypes and the bytes are right for RSA. It cannot show a TPM, ECDSA, or
a key that another process opens: Wine's providers are in software, make RSA keys only and keep none. Those are in
test_cng_on_hardware.py, for a Windows of Microsoft's.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from tests.support.key_store_promises import KeyStorePromises, made

from keystead_agent.errors import KeyLost, TpmMissing
from keystead_agent.keystore import KeyStores
from keystead_agent.keystore import _ncrypt as n
from keystead_agent.keystore._cng_blobs import rsa_public_key
from keystead_agent.keystore.base import KeyStore
from keystead_agent.keystore.cng import CngKeyStore
from keystead_agent.keystore.persisted import KeyScope, PersistedKey
from keystead_agent.settings import Settings
from keystead_contracts.agent import KeyProvider
from keystead_contracts.base import KeyAlgorithm


class TestSoftwareProvider(KeyStorePromises):
    @pytest.fixture
    def store(self) -> KeyStore:
        return CngKeyStore(n.WindowsNcrypt(), n.SOFTWARE_PROVIDER)


@pytest.fixture
def key() -> int:
    """The handle of an RSA key that is made and kept nowhere else."""
    ncrypt = n.WindowsNcrypt()
    provider = ncrypt.open_storage_provider(n.SOFTWARE_PROVIDER)
    handle = ncrypt.create_persisted_key(provider, n.RSA, f"tp-test-{os.getpid()}-{os.urandom(4).hex()}", 0)
    ncrypt.set_property(handle, n.LENGTH, (2048).to_bytes(4, "little"))
    ncrypt.set_property(handle, n.KEY_USAGE, b"\2\0\0\0")
    ncrypt.set_property(handle, n.EXPORT_POLICY, b"\0\0\0\0")
    ncrypt.finalize_key(handle)
    return handle


def test_properties_come_back_as_they_were_set(key: int) -> None:
    ncrypt = n.WindowsNcrypt()
    assert ncrypt.get_property(key, n.LENGTH) == (2048).to_bytes(4, "little")
    assert ncrypt.get_property(key, n.EXPORT_POLICY) == bytes(4)
    assert int.from_bytes(ncrypt.get_property(key, n.KEY_USAGE), "little") & n.ALLOW_SIGNING_FLAG


@pytest.mark.parametrize(
    ("name", "algorithm"), [(n.SHA256, hashes.SHA256()), (n.SHA384, hashes.SHA384()), (n.SHA512, hashes.SHA512())]
)
def test_a_signature_is_that_of_the_exported_key(key: int, name: str, algorithm: hashes.HashAlgorithm) -> None:
    ncrypt = n.WindowsNcrypt()
    public_key = rsa_public_key(ncrypt.export_key(key, n.RSA_PUBLIC_BLOB))
    digest = hashlib.new(name, b"data").digest()
    signature = ncrypt.sign_hash(key, digest, name)
    public_key.verify(signature, digest, padding.PKCS1v15(), Prehashed(algorithm))


def test_a_refusal_has_its_status(key: int) -> None:
    with pytest.raises(n.NcryptError) as caught:
        n.WindowsNcrypt().get_property(key, "No Such Property")
    assert caught.value.status >> 16 == 0x8009
    assert caught.value.function == "NCryptGetProperty"


def test_a_key_that_is_not_there_is_lost() -> None:
    absent = PersistedKey(
        provider=n.SOFTWARE_PROVIDER,
        name="tp-00000000-0000-0000-0000-000000000000",
        scope=KeyScope.USER,
        algorithm=KeyAlgorithm.RSA_2048,
    )
    store = CngKeyStore(n.WindowsNcrypt(), n.SOFTWARE_PROVIDER)
    with pytest.raises(KeyLost):
        store.load(absent.blob)
    store.discard(absent.blob)


def test_without_a_tpm_only_policy_makes_keys(tmp_path: Path) -> None:
    strict = KeyStores(Settings(state_dir=tmp_path)).usable(allow_software=True)
    try:
        assert strict.describe().provider is KeyProvider.PLATFORM_CRYPTO_PROVIDER
    except TpmMissing as error:
        assert error.advice
        allowed = KeyStores(Settings(state_dir=tmp_path, allow_software_key=True)).usable(allow_software=True)
        assert allowed.describe().provider is KeyProvider.SOFTWARE
        assert made(allowed)[1]


def test_nothing_is_left_on_the_list_of_keys(tmp_path: Path) -> None:
    keys = KeyStores(Settings(state_dir=tmp_path, allow_software_key=True))
    with keys.changing():
        made(keys.software())
        assert (tmp_path / "keys.json").exists()
    assert not (tmp_path / "keys.json").exists()

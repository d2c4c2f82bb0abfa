"""The key store on a Windows of Microsoft's: the TPM, and keys that Windows keeps. Wine has neither, so under Wine
these are not collected; they have not been run on hardware by their makers."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.key_store_promises import KeyStorePromises, made

from keystead_agent.attestation import Identities
from keystead_agent.errors import KeyLost, TpmMissing
from keystead_agent.findings import Mark
from keystead_agent.keystore import _ncrypt as n
from keystead_agent.keystore.base import KeyStore
from keystead_agent.keystore.cng import CngKeyStore
from keystead_agent.machine import Machine
from keystead_agent.settings import Settings
from keystead_agent.signatures import sign, verify
from keystead_agent.trial import try_identity

PROGRAM = """
import sys
from keystead_agent.signatures import sign
from keystead_agent.keystore import _ncrypt as n
from keystead_agent.keystore.cng import CngKeyStore
store = CngKeyStore(n.WindowsNcrypt(), sys.argv[1])
sys.stdout.write(sign(store.load(sys.stdin.buffer.read()), b"data").hex())
"""


@pytest.fixture
def platform() -> CngKeyStore:
    store = CngKeyStore(n.WindowsNcrypt())
    try:
        store.describe()
    except TpmMissing as error:
        pytest.skip(f"this computer has no TPM: {error}")
    return store


class TestPlatformProvider(KeyStorePromises):
    @pytest.fixture
    def store(self, platform: CngKeyStore) -> KeyStore:
        return platform


def used_by_another_process(store: CngKeyStore, provider: str) -> None:
    blob, key = made(store)
    done = subprocess.run([sys.executable, "-c", PROGRAM, provider], input=blob, capture_output=True, check=True)
    verify(key.public_key(), bytes.fromhex(done.stdout.decode()), b"data")
    store.discard(blob)
    with pytest.raises(KeyLost):
        sign(key, b"data")


def test_a_key_in_the_tpm_is_used_by_another_process(platform: CngKeyStore) -> None:
    used_by_another_process(platform, n.PLATFORM_PROVIDER)


def test_a_key_in_software_is_used_by_another_process() -> None:
    used_by_another_process(CngKeyStore(n.WindowsNcrypt(), n.SOFTWARE_PROVIDER), n.SOFTWARE_PROVIDER)


def test_the_tpm_says_who_made_it(platform: CngKeyStore) -> None:
    facts = platform.examine()
    assert facts.hardware
    assert facts.tpm_version.startswith("2.")
    assert facts.manufacturer
    assert facts.algorithms


@pytest.mark.parametrize("blob_type", ["RSAFULLPRIVATEBLOB", "RSAPRIVATEBLOB", "PKCS8_PRIVATEKEY"])
def test_a_private_key_is_not_exported(blob_type: str) -> None:
    ncrypt = n.WindowsNcrypt()
    provider = ncrypt.open_storage_provider(n.SOFTWARE_PROVIDER)
    key = ncrypt.create_persisted_key(provider, n.RSA, f"tp-test-{os.getpid()}-{os.urandom(4).hex()}", 0)
    ncrypt.set_property(key, n.EXPORT_POLICY, bytes(4))
    ncrypt.finalize_key(key)
    try:
        with pytest.raises(n.NcryptError):
            ncrypt.export_key(key, blob_type)
    finally:
        ncrypt.delete_key(key)


def test_the_tpm_vouches_for_keys(platform: CngKeyStore, tmp_path: Path) -> None:
    shell: Any = ctypes.WinDLL("shell32.dll")  # type: ignore[attr-defined, unused-ignore]
    if not shell.IsUserAnAdmin():
        pytest.skip("keys of the machine take an administrator")
    machine = Machine.of(Settings(state_dir=tmp_path / "state"), lambda: datetime.now(UTC), machine_keys=True)
    machine.recover()
    found = list(try_identity(machine))
    made = Identities(machine.keys, machine.settings.state_dir).known()
    assert made is not None
    machine.keys.hardware().discard(made.blob)
    assert {finding.mark for finding in found} == {Mark.GOOD}, found
